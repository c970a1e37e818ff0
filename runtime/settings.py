"""Every setting of the product: environment variables `CUSTOMER_TIMELINE_*`, read once, checked together.

Only the composition root reads this; the layers below get values as arguments. `docs/reference/settings.md` is
generated from the descriptions here.
"""

from __future__ import annotations

import os
import zoneinfo
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

import psycopg2
from psycopg2.extensions import parse_dsn
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableSettings

from customer_timeline.projections.alive import AliveParameters
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.errors import CustomerTimelineError
from customer_timeline.schemas.identity_policy import IdentityPolicy

PREFIX = "CUSTOMER_TIMELINE_"
DEVELOPMENT_SECRET = "development-secret-not-for-production"  # noqa: S105 (refused wherever real data may be)
MASK = "**********"
_TOPIC = r"^[a-zA-Z0-9._-]{1,249}$"


class SettingsError(CustomerTimelineError):
    """The settings cannot be used. `problems` maps the name of each variable at fault to what is wrong with it."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        told = "; ".join(f"{name}: {problem}" for name, problem in self.problems.items())
        super().__init__(f"{'One setting is' if len(self.problems) == 1 else 'Some settings are'} wrong. {told}")


class Settings(BaseSettings):
    """All settings. A nested one is named with two underscores: `CUSTOMER_TIMELINE_IDENTITY__DEFAULT_PHONE_REGION`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid", hide_input_in_errors=True
    )

    kafka_bootstrap: str = Field(
        "127.0.0.1:9092", min_length=1, description="Kafka brokers to start from: `host:port`, separated by commas."
    )
    database_url: SecretStr = Field(
        SecretStr("postgresql://customer_timeline@127.0.0.1:5432/customer_timeline"),
        description="Connection URL of Postgres (or `key=value` words). Secret: it may hold a password.",
    )
    database_schema: str = Field(
        "customer_timeline",
        pattern=r"^[a-z_][a-z0-9_]{0,62}$",
        description="Schema of the tables; `migrate` creates it.",
    )

    api_url: str = Field(
        "http://127.0.0.1:8000", pattern=r"^https?://[^\s]+$", description="Where commands that ask the API find it."
    )
    api_host: str = Field("127.0.0.1", min_length=1, description="Address on which `customer-timeline api` listens.")
    api_port: int = Field(8000, ge=0, le=65_535, description="Port of the API; 0 is any free one.")
    api_workers: int = Field(2, ge=1, le=64, description="Processes of the API.")
    api_insecure: bool = Field(
        False, description="Let the API listen beyond loopback although it asks nobody for a key yet."
    )

    touchpoints_topic: str = Field("touchpoints", pattern=_TOPIC, description="Topic of the log: every event ever.")
    changes_topic: str = Field("customer.changes", pattern=_TOPIC, description="Topic on which changes are announced.")
    operations_topic: str = Field(
        "operations", pattern=_TOPIC, description="Topic of what operators decide about dead letters; kept for ever."
    )
    publisher: Literal["auto", "kafka-python", "confluent"] = Field(
        "auto",
        description="Client that appends events to the log: `kafka-python`, which is always there, or `confluent` "
        "(librdkafka, several times faster), which `pip install 'customer-timeline[fast]'` brings. `auto` takes the "
        "faster one where it is installed; the promises are the same.",
    )
    topic_partitions: int = Field(
        4, ge=1, le=1024, description="Partitions of a topic that is created; at most this many workers share the load."
    )
    topic_replication: int = Field(
        1, ge=1, le=9, description="Copies of each partition of a topic that is created; 3 in production."
    )

    identity_secret: SecretStr = Field(
        SecretStr(DEVELOPMENT_SECRET),
        validate_default=True,
        min_length=16,
        description=(
            "Key of the hash that turns identifiers into ids; the same for ever and on every machine of a deployment. "
            "Secret. The default is for development: it is refused unless Kafka and Postgres are on this machine."
        ),
    )
    identity: IdentityPolicy = Field(
        default_factory=IdentityPolicy,
        description="Kinds of identifiers, how strong each is, what it may glue. What is given changes the defaults.",
    )
    extra_channels: frozenset[str] = Field(
        frozenset(), description="Channels beside those of the catalogue, as a JSON list of words."
    )
    business_time_zone: str = Field("UTC", description="Zone in which days and months are cut: `Europe/Berlin`.")
    max_future_s: int = Field(
        300,
        ge=0,
        le=86_400,
        description="Seconds by which an event's time may be ahead of its recording.",
    )

    stages: StageRules = Field(
        default_factory=StageRules,
        description="Thresholds of the stage rules; other ones assess every customer again, and nothing is rebuilt.",
    )
    alive: AliveParameters = Field(
        default_factory=AliveParameters, description="Parameters of BG/NBD, by which P(alive) is computed, in weeks."
    )

    batch_events: int = Field(5000, ge=1, le=100_000, description="Most events of one transaction of a worker.")
    worker_group: str = Field(
        "customer-timeline", min_length=1, max_length=200, description="Consumer group of the workers."
    )
    worker_instance_id: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Name of this worker, unique in its group: killed and started again, it carries on at once.",
    )
    metrics_port: int | None = Field(
        None, ge=0, le=65_535, description="Port of a worker's Prometheus metrics; 0 is any free one."
    )
    metrics_host: str = Field(
        "127.0.0.1", min_length=1, description="Address of a worker's metrics; they hold no personal data."
    )
    ready_max_lag_s: float = Field(
        60.0,
        gt=0,
        le=86_400,
        description="Seconds that the views may be behind the log before `/readyz` says no.",
    )
    dead_letters_warn_above: int = Field(
        1000, ge=0, description="Dead letters stored beyond which `/readyz` warns; it stays ready."
    )

    dead_letters_keep_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="Days after which dead letters are taken out, once exported: by `dead-letters remove`, or by the "
        "workers where `dead_letters_export_dir` is given; 0 keeps all.",
    )
    dead_letters_export_dir: Path | None = Field(
        None,
        description="Folder to which workers export dead letters older than `dead_letters_keep_days`, and then remove "
        "them; one for all workers. Not given: nothing is removed by itself.",
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["json", "console"] = Field("json", description="One JSON object a line, or text for people.")
    cache_dir: Path | None = Field(
        None, description="Where downloads are kept; the user's cache folder where it is not given."
    )

    @field_validator("business_time_zone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("no such time zone") from None
        return name

    @field_validator("dead_letters_export_dir")
    @classmethod
    def _old_is_defined(cls, folder: Path | None, info: ValidationInfo) -> Path | None:
        if folder is not None and not info.data.get("dead_letters_keep_days", 1):
            raise ValueError(f"set {PREFIX}DEAD_LETTERS_KEEP_DAYS too: nothing says what is old")
        return folder

    @field_validator("database_url")
    @classmethod
    def _url_parses(cls, url: SecretStr) -> SecretStr:
        try:
            parse_dsn(url.get_secret_value())
        except psycopg2.ProgrammingError:
            raise ValueError("not a connection URL such as postgresql://user@host:5432/database") from None
        return url

    @field_validator("identity", mode="before")
    @classmethod
    def _change_the_defaults(cls, given: Any) -> Any:
        # One variable about one kind must not mean that all other kinds are gone.
        if not isinstance(given, Mapping) or not isinstance(given.get("kinds"), Mapping):
            return given
        kinds = {name: policy.model_dump() for name, policy in IdentityPolicy().kinds.items()}
        for name, policy in given["kinds"].items():
            kinds[name] = {**kinds.get(name, {}), **policy} if isinstance(policy, Mapping) else policy
        return {**given, "kinds": kinds}

    @field_validator("identity_secret")
    @classmethod
    def _development_secret_stays_here(cls, given: SecretStr, info: ValidationInfo) -> SecretStr:
        # The two were checked before (order of the fields); one that is wrong is told by itself.
        brokers, url = info.data.get("kafka_bootstrap"), info.data.get("database_url")
        elsewhere = (brokers is not None and not brokers_are_local(brokers)) or (
            url is not None and not database_is_local(url.get_secret_value())
        )
        if given.get_secret_value() == DEVELOPMENT_SECRET and elsewhere:
            raise ValueError(
                "it is not set, and its default is for development only: Kafka or Postgres is on another machine. "
                'Make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
        return given


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine and no other can reach it."""
    if host in {"localhost", ""}:
        return host == "localhost"
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def brokers_are_local(bootstrap: str) -> bool:
    """Whether every broker of the list is on loopback."""
    return all(is_loopback(broker.strip().rsplit(":", 1)[0]) for broker in bootstrap.split(","))


def database_is_local(url: str) -> bool:
    """Whether every host of the connection URL is loopback or a Unix socket (no host at all is one too)."""
    words = parse_dsn(url)
    hosts = str(words.get("hostaddr") or words.get("host") or "/").split(",")
    return all(host.startswith(("/", "@")) or is_loopback(host) for host in hosts)


def load_settings(**given: Any) -> Settings:
    """The settings of this process: `given` first, then the environment, then the defaults.

    Raises SettingsError with all problems at once, unknown variables included: a misspelt one would do nothing.
    """
    problems = {name: "unknown setting" for name in sorted(os.environ) if _unknown(name)}
    try:
        settings = Settings(**given)
    except ValidationError as exc:
        for error in exc.errors(include_input=False, include_url=False, include_context=False):
            problems[variable(*error["loc"])] = error["msg"].removeprefix("Value error, ")
        raise SettingsError(problems) from None
    except UnreadableSettings as exc:
        # Its cause quotes the value, which may be a secret.
        raise SettingsError({**problems, "settings": f"{exc}; JSON is expected"}) from None
    if problems:
        raise SettingsError(problems)
    return settings


def variable(*path: str | int) -> str:
    """The environment variable of a field, `identity`, `default_phone_region` for instance."""
    return PREFIX + "__".join(str(part).upper() for part in path) if path else "settings"


def shown(settings: Settings) -> dict[str, Any]:
    """All settings as plain JSON values. Secrets are masked; of the database URL only its password is."""
    values: dict[str, Any] = settings.model_dump(mode="json")
    values["extra_channels"] = sorted(settings.extra_channels)
    values["database_url"] = masked_url(settings.database_url.get_secret_value())
    return values


def masked_url(url: str) -> str:
    """The connection URL as `key=value` words, the password masked."""
    words = parse_dsn(url)
    return " ".join(f"{key}={MASK if 'password' in key else value}" for key, value in words.items())


def _unknown(name: str) -> bool:
    if not name.upper().startswith(PREFIX):
        return False
    return name.upper().removeprefix(PREFIX).split("__", 1)[0].lower() not in Settings.model_fields
