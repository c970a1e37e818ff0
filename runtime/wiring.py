"""The composition root: settings in, working parts out. The only place that knows which implementation stands where.

Imports are inside the functions: `customer-timeline --help` must not load a Kafka client, and no part may need the
extras of another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from importlib.metadata import version
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from customer_timeline.runtime.interrupts import aside
from customer_timeline.runtime.settings import Settings

SET_SUFFIXES: Mapping[str, str] = MappingProxyType({"live": "", "old": "_old", "rebuild": "_rebuild"})
"""What the name of the configured schema is followed by, for each set of tables (ADR 0014)."""

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

    from customer_timeline.producers.operations import OperationsLog
    from customer_timeline.producers.protocol import Publisher
    from customer_timeline.projections.customer import CustomerProjection
    from customer_timeline.projections.journal import Observer
    from customer_timeline.projections.postgres.cut_reader import PostgresCutReader
    from customer_timeline.projections.postgres.finishing import Finishing
    from customer_timeline.projections.postgres.journal import PostgresJournal
    from customer_timeline.projections.postgres.operations import OperationsJournal
    from customer_timeline.projections.postgres.partial_builder import PartialBuilder
    from customer_timeline.projections.postgres.reader import PostgresReader
    from customer_timeline.projections.postgres.sweep_store import SweepStore
    from customer_timeline.projections.postgres.view_set import Place, ViewSetPin
    from customer_timeline.runtime.retaining import Retaining
    from customer_timeline.schemas.codec import Codec
    from customer_timeline.schemas.identifiers import IdentifierSpace
    from customer_timeline.schemas.topics import TopicSpec


def secret(settings: Settings) -> bytes:
    """The key of identifiers' ids."""
    return settings.identity_secret.get_secret_value().encode()


def codec(settings: Settings) -> Codec:
    """From bytes of the log to decoded events, and back."""
    from customer_timeline.schemas.codec import Codec

    return Codec(
        settings.identity,
        secret(settings),
        max_future=timedelta(seconds=settings.max_future_s),
        extra_channels=settings.extra_channels,
    )


def identifier_space(settings: Settings) -> IdentifierSpace:
    """Normalises identifiers and computes their ids."""
    from customer_timeline.schemas.identifiers import IdentifierSpace

    return IdentifierSpace(settings.identity, secret(settings))


def publisher(settings: Settings) -> Publisher:
    """Appends events to the log; connects at once, which Ctrl-C ends. Close it, or use it in a `with`.

    Raises PackageMissing where the settings ask for a client that is not installed.
    """
    where = settings.kafka_bootstrap, settings.touchpoints_topic, codec(settings)
    if settings.publisher == "confluent" or (settings.publisher == "auto" and find_spec("confluent_kafka")):
        from customer_timeline.producers.confluent_publisher import ConfluentPublisher

        # librdkafka lets no signal through while it waits for Kafka to answer.
        return aside(lambda: ConfluentPublisher(*where))
    from customer_timeline.producers.publisher import KafkaPublisher

    return KafkaPublisher(*where)


def topics(settings: Settings) -> tuple[TopicSpec, ...]:
    """All topics, as they should be; the log first."""
    from customer_timeline.schemas.topics import changes_topic, operations_topic, touchpoints_topic

    size = (settings.topic_partitions, settings.topic_replication)
    return (
        touchpoints_topic(settings.touchpoints_topic, *size),
        changes_topic(settings.changes_topic, *size),
        operations_topic(settings.operations_topic, settings.topic_replication),
    )


def connect(settings: Settings, *, application: str = "customer-timeline", options: str = "") -> Connection:
    """A new connection: names resolve in the configured schema, the time zone is UTC. `options`: further ones.

    Raises psycopg2.OperationalError where Postgres cannot be reached.
    """
    import psycopg2

    return psycopg2.connect(dsn(settings, options), application_name=application)


def dsn(settings: Settings, options: str = "") -> str:
    """Connection string with the schema as search_path and UTC; what the URL sets by itself is kept."""
    from psycopg2.extensions import make_dsn, parse_dsn

    url = settings.database_url.get_secret_value()
    ours = f"-c search_path={settings.database_schema} -c timezone=UTC {options}"
    return str(make_dsn(url, options=f"{parse_dsn(url).get('options', '')} {ours}".strip()))


def connect_as(settings: Settings, role: str | None, *, application: str) -> Connection:
    """As `connect`, under a role that the login is a member of: what it may not, this connection may not."""
    import psycopg2
    from psycopg2.extensions import make_dsn, parse_dsn

    words = parse_dsn(dsn(settings))
    if role is not None:
        words["options"] = f"{words['options']} -c role={role}"
    return psycopg2.connect(make_dsn("", **words), application_name=application)


def customer_projection(settings: Settings) -> CustomerProjection:
    """The fold of a customer, in the configured business time zone."""
    from customer_timeline.projections.calendar import BusinessCalendar
    from customer_timeline.projections.customer import CustomerProjection

    return CustomerProjection(BusinessCalendar(settings.business_time_zone))


def reader(settings: Settings) -> PostgresReader:
    """Reads the views; refuses tables that another projection version wrote."""
    from customer_timeline.projections.postgres.reader import PostgresReader

    return PostgresReader(
        settings.database_url.get_secret_value(),
        settings.database_schema,
        projection_version=projection_version(settings),
    )


def cut_reader(settings: Settings) -> PostgresCutReader:
    """Reads the past of the views; refuses tables that another projection version wrote."""
    from customer_timeline.projections.postgres.cut_reader import PostgresCutReader

    return PostgresCutReader(
        settings.database_url.get_secret_value(),
        settings.database_schema,
        codec(settings),
        settings.identity,
        customer_projection(settings),
        settings.stages,
        projection_version=projection_version(settings),
    )


def serving_readers(settings: Settings) -> tuple[PostgresReader, PostgresCutReader]:
    """As `reader` and `cut_reader`, for a program that serves its version on while a switch replaces it (ADR 0014)."""
    from customer_timeline.projections.postgres.served_set import Served, of_one_version

    served, aside = Served(), _aside(settings)
    return (
        of_one_version(reader(settings), [reader(one) for one in aside], served),
        of_one_version(cut_reader(settings), [cut_reader(one) for one in aside], served),
    )


def _aside(settings: Settings) -> list[Settings]:
    # After a switch the set before is the old one; after a rollback the other one is the rebuild again.
    return [
        settings.model_copy(update={"database_schema": f"{settings.database_schema}{suffix}"})
        for suffix in SET_SUFFIXES.values()
        if suffix
    ]


def projection_version(settings: Settings) -> str:
    """What the tables depend on, in one word: the fold's code, and the settings of identity and of time.

    Two deployments with different words never write one set of tables. `projection_details` says what is in it.
    """
    projection = customer_projection(settings)
    considered = projection_details(settings)["considered"]
    digest = hashlib.sha256(json.dumps(considered, sort_keys=True).encode()).hexdigest()
    return f"{projection.name}-{projection.version}-{digest[:12]}"


def projection_details(settings: Settings) -> dict[str, Any]:
    """`considered`: what makes the projection version; `recorded`: what else may matter when results differ one day."""
    projection = customer_projection(settings)
    return {
        "considered": {
            "projection": f"{projection.name}-{projection.version}",
            "identity": settings.identity.model_dump(mode="json"),
            # A key check, not the key: other keys give other ids.
            "identity_secret": hashlib.blake2b(b"key check", key=secret(settings)[:64], digest_size=8).hexdigest(),
            "business_time_zone": settings.business_time_zone,
            "max_future_s": settings.max_future_s,
            "extra_channels": sorted(settings.extra_channels),
        },
        "recorded": {name: version(name) for name in ("customer-timeline", "phonenumbers", "tzdata")},
    }


def view_set_pin(
    settings: Settings,
    application: str,
    *,
    holding: bool = False,
    durable: bool = True,
    place: Place | None = None,
) -> ViewSetPin:
    """Connections to the set of tables that bears the configured name when the first is opened, whatever its name
    later. Not `durable`: a commit does not wait for the disk; a crash undoes the last ones, offsets included.
    """
    from customer_timeline.projections.postgres.view_set import ViewSetPin

    options = "" if durable else "-c synchronous_commit=off"
    return ViewSetPin(lambda: connect(settings, application=application, options=options), holding=holding, place=place)


def journal(
    settings: Settings,
    codec: Codec,
    observer: Observer,
    pin: ViewSetPin | None = None,
    *,
    filling: bool = False,
    place: Place | None = None,
) -> PostgresJournal:
    """Writes batches of the log to Postgres; connects when it is first used.

    `filling`: the set is being filled, so facts may wait, and a commit need not wait for the disk.
    """
    from customer_timeline.projections.postgres.deferral import Deferral
    from customer_timeline.projections.postgres.journal import PostgresJournal

    pin = pin or view_set_pin(settings, "customer-timeline-worker", durable=not filling, place=place)
    projection = customer_projection(settings)
    return PostgresJournal(
        pin.connect,
        codec,
        projection,
        settings.identity,
        settings.stages,
        version=projection_version(settings),
        details=projection_details(settings),
        observer=observer,
        name=settings.worker_instance_id,
        belongs=pin.check,
        deferral=Deferral(projection) if filling else None,
    )


def finishing(settings: Settings) -> Finishing:
    """Puts the facts of a filled set together; connects when it runs.

    A commit need not wait for the disk: the one that takes away what waited does, and brings all before it there.
    """
    from customer_timeline.projections.postgres.finishing import Finishing

    return Finishing(
        lambda: connect(settings, application="customer-timeline rebuild", options="-c synchronous_commit=off"),
        codec(settings),
        customer_projection(settings),
        settings.stages,
    )


def operations_journal(
    settings: Settings,
    codec: Codec,
    place: Place | None = None,
    observer: Observer = lambda step: None,
    *,
    pin: ViewSetPin | None = None,
) -> OperationsJournal:
    """Applies what operators decide about dead letters; connects when there is something to apply."""
    from customer_timeline.projections.postgres.operations import OperationsJournal

    pin = pin or view_set_pin(settings, "customer-timeline-operations", place=place)
    return OperationsJournal(
        pin.connect,
        codec,
        customer_projection(settings),
        settings.identity,
        settings.stages,
        version=projection_version(settings),
        details=projection_details(settings),
        observer=observer,
        belongs=pin.check,
    )


def dead_letter_keeper(settings: Settings, observer: Observer, place: Place | None = None) -> Retaining | None:
    """Exports old dead letters and has them removed; None where the settings keep them. Connects when there are any."""
    if settings.dead_letters_export_dir is None or not settings.dead_letters_keep_days:
        return None
    from customer_timeline.projections.postgres.retention_store import RetentionStore
    from customer_timeline.runtime.clock import SystemClock
    from customer_timeline.runtime.retaining import OperationsTopic, Retaining

    pin = view_set_pin(settings, "customer-timeline-retention", place=place)
    version = projection_version(settings)
    return Retaining(
        settings.dead_letters_export_dir,
        settings.dead_letters_keep_days,
        RetentionStore(pin.connect, settings.database_schema, version=version, belongs=pin.check),
        OperationsTopic(settings.kafka_bootstrap, settings.operations_topic),
        SystemClock().now,
        observer,
    )


def operations_log(settings: Settings) -> OperationsLog:
    """Appends what operators decide. Connects at once; close it, or use it in a `with`. Raises PublishError."""
    from customer_timeline.producers.operations import OperationsLog

    return OperationsLog(settings.kafka_bootstrap, settings.operations_topic)


def sweep_store(settings: Settings, place: Place | None = None) -> SweepStore:
    """The sweeper's side of the tables; connects when it is first used."""
    from customer_timeline.projections.postgres.sweep_store import SweepStore

    pin = view_set_pin(settings, "customer-timeline-sweeper", place=place)
    return SweepStore(
        pin.connect,
        customer_projection(settings),
        settings.stages,
        version=projection_version(settings),
        belongs=pin.check,
    )


def partial_builder(
    settings: Settings, codec: Codec, between: Callable[[], object] = lambda: None, place: Place | None = None
) -> PartialBuilder:
    """Builds the partial states of long histories; connects when it is first used. `between`: see PartialBuilder."""
    from customer_timeline.projections.postgres.partial_builder import PartialBuilder

    pin = view_set_pin(settings, "customer-timeline-sweeper", place=place)
    return PartialBuilder(
        pin.connect,
        codec,
        customer_projection(settings),
        version=projection_version(settings),
        between=between,
        belongs=pin.check,
    )
