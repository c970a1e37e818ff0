"""Topics with the right settings: created where missing, refused with the difference where they are wrong.

A topic whose retention deletes events, or whose records carry the producer's time, would lose or falsify history
silently, so a worker refuses it. The number of partitions is not among what is refused: any number is correct.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError

from customer_timeline.schemas.errors import CustomerTimelineError
from customer_timeline.schemas.topics import TopicSpec

State = Literal["right", "missing", "different"]


class SettingDifference(NamedTuple):
    """One setting of an existing topic that is not as it must be."""

    setting: str
    found: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.setting} is {self.found}, must be {self.wanted}"


class TopicReport(NamedTuple):
    """How a topic is, compared with how it should be. `topic_id` is Kafka's own; `created` = by this call."""

    name: str
    state: State
    partitions: int
    topic_id: str | None = None
    differences: tuple[SettingDifference, ...] = ()
    created: bool = False


class TopicSetupError(CustomerTimelineError):
    """Topics could not be read or created."""


class WrongTopicError(TopicSetupError):
    """An existing topic has settings that would lose or falsify events."""

    def __init__(self, reports: Sequence[TopicReport]) -> None:
        self.reports = tuple(reports)
        told = "; ".join(f"{report.name}: {', '.join(map(str, report.differences))}" for report in reports)
        configs = [
            f"kafka-configs.sh --bootstrap-server … --alter --topic {report.name} --add-config "
            + ",".join(f"{d.setting}={d.wanted}" for d in report.differences if d.setting != "replication.factor")
            for report in reports
        ]
        super().__init__(f"Existing topics are not as they must be. {told}. Change them with: {'; '.join(configs)}")


class UnreachableKafkaError(TopicSetupError):
    """No broker answers."""

    exit_code = 3


def ensure_topics(bootstrap: str, specs: Iterable[TopicSpec], *, timeout_s: float = 30.0) -> list[TopicReport]:
    """Create the topics that are missing and check all of them; safe to call from several programs at once.

    Raises WrongTopicError, with every difference, or UnreachableKafkaError.
    """
    wanted = list(specs)
    with _admin(bootstrap, timeout_s) as admin:
        before = _inspect(admin, wanted)
        missing = {report.name for report in before if report.state == "missing"}
        for spec in wanted:
            if spec.name in missing:
                _create(admin, spec)
        after = _inspect(admin, wanted) if missing else before
    reports = [report._replace(created=report.name in missing) for report in after]
    wrong = [report for report in reports if report.differences]
    if wrong:
        raise WrongTopicError(wrong)
    return reports


def inspect_topics(bootstrap: str, specs: Iterable[TopicSpec], *, timeout_s: float = 10.0) -> list[TopicReport]:
    """Compare without changing anything. Raises UnreachableKafkaError."""
    with _admin(bootstrap, timeout_s) as admin:
        return _inspect(admin, list(specs))


@contextmanager
def _admin(bootstrap: str, timeout_s: float) -> Iterator[Any]:
    try:
        client = KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=int(timeout_s * 1000))
    except KafkaError as exc:
        raise UnreachableKafkaError(f"No Kafka broker answers at {bootstrap}: {exc}") from exc
    try:
        yield client
    except KafkaError as exc:
        raise TopicSetupError(f"Kafka at {bootstrap} refused: {exc}") from exc
    finally:
        client.close()


def _create(admin: Any, spec: TopicSpec) -> None:
    options = {
        "num_partitions": spec.partitions,
        "replication_factor": spec.replication_factor,
        "configs": dict(spec.config),
    }
    try:
        admin.create_topics({spec.name: options}, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        # Another worker starts at the same moment; what it made is checked like any other.
        admin.wait_for_topics([spec.name])


def _inspect(admin: Any, specs: Sequence[TopicSpec]) -> list[TopicReport]:
    existing = set(admin.list_topics())
    found = [spec for spec in specs if spec.name in existing]
    layout = {topic["name"]: topic for topic in admin.describe_topics([spec.name for spec in found])}
    configs = _configs(admin, found)
    reports = []
    for spec in specs:
        if spec.name not in existing:
            reports.append(TopicReport(spec.name, "missing", 0))
            continue
        partitions, topic_id = layout[spec.name]["partitions"], str(layout[spec.name]["topic_id"])
        differences = tuple(_differences(spec, configs[spec.name], partitions))
        reports.append(
            TopicReport(spec.name, "different" if differences else "right", len(partitions), topic_id, differences)
        )
    return reports


def _configs(admin: Any, specs: Sequence[TopicSpec]) -> dict[str, dict[str, str]]:
    if not specs:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, spec.name) for spec in specs]
    answer = admin.describe_configs(resources, config_filter="all")
    (topics,) = answer.values()
    return {name: {setting: _value(entry) for setting, entry in settings.items()} for name, settings in topics.items()}


def _value(entry: Any) -> str:
    return str(entry["value"] if isinstance(entry, Mapping) else entry)


def _differences(
    spec: TopicSpec, config: Mapping[str, str], partitions: Sequence[Mapping[str, Any]]
) -> Iterator[SettingDifference]:
    for setting, wanted in spec.config.items():
        found = config.get(setting, "unknown")
        # A larger limit takes everything that the wanted one takes.
        larger = setting == "max.message.bytes" and found.isdigit() and int(found) >= int(wanted)
        if found != wanted and not larger:
            yield SettingDifference(setting, found, wanted)
    copies = min((len(partition["replica_nodes"]) for partition in partitions), default=0)
    if copies < spec.replication_factor:
        yield SettingDifference("replication.factor", str(copies), f"{spec.replication_factor} or more")
