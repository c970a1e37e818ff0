"""Where the tests' Kafka and Postgres come from, and what tests share about them. `conftest` makes fixtures of it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import psycopg2
from psycopg2.sql import SQL, Identifier

from customer_timeline.runtime.embedded import EmbeddedKafka, EmbeddedPostgres
from customer_timeline.runtime.embedded.ports import free_port
from customer_timeline.runtime.settings import PREFIX, Settings

SCHEMA = "customer_timeline"
KAFKA_IMAGE, POSTGRES_IMAGE = "apache/kafka:4.3.0", "postgres:18"


class MakeTopic(Protocol):
    """Makes a topic of its own for a test; returns its name."""

    def __call__(self, partitions: int = 4, **config: str) -> str: ...


class Provider(Protocol):
    """Starts one Kafka and one Postgres on demand."""

    def kafka(self) -> str: ...
    def postgres(self) -> str: ...
    def stop(self) -> None: ...


# Hundreds of databases are made, copied from a template and dropped: without these every one of them is written twice,
# and dropping it waits for the disk. What a crash does is proved on servers that tests have for themselves.
_UNSAFE = {"wal_level": "minimal", "max_wal_senders": "0", "full_page_writes": "off", "fsync": "off"}


class EmbeddedProvider:
    """The embedded servers, on a folder that is thrown away."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ct-test-"))
        self._folder.chmod(0o755)
        self._kafka: EmbeddedKafka | None = None
        self._postgres: EmbeddedPostgres | None = None

    def kafka(self) -> str:
        if self._kafka is None:
            self._kafka = EmbeddedKafka(self._folder / "kafka", ephemeral=True).start()
        return self._kafka.bootstrap

    def postgres(self) -> str:
        if self._postgres is None:
            self._postgres = EmbeddedPostgres(self._folder / "postgres", ephemeral=True).start()
            alter_system(self._postgres.url, _UNSAFE)
            self._postgres.restart()
        return self._postgres.url

    def stop(self) -> None:
        # Nothing here is needed again.
        if self._kafka is not None:
            self._kafka.kill()
        if self._postgres is not None:
            self._postgres.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)


class DockerProvider:
    """The official images through testcontainers."""

    def __init__(self) -> None:
        self._containers: list[Any] = []

    def kafka(self) -> str:
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.wait_strategies import LogMessageWaitStrategy

        # testcontainers' own KafkaContainer runs scripts that only Confluent's image has. The address that the broker
        # tells its clients must be known before it starts, so the port is chosen here.
        container, port = DockerContainer(KAFKA_IMAGE), free_port()
        host = container.get_docker_client().host()
        environment = {
            "KAFKA_NODE_ID": "1",
            "KAFKA_PROCESS_ROLES": "broker,controller",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
            "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{host}:{port}",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
            "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
            "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        }
        container.with_envs(**environment).with_bind_ports(9092, port)
        container.waiting_for(LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(120)).start()
        self._containers.append(container)
        return f"{host}:{port}"

    def postgres(self) -> str:
        from testcontainers.postgres import PostgresContainer

        container = PostgresContainer(POSTGRES_IMAGE, driver=None)
        container.start()
        self._containers.append(container)
        return str(container.get_connection_url())

    def stop(self) -> None:
        for container in self._containers:
            container.stop()


def alter_system(url: str, settings: Mapping[str, str]) -> None:
    """Change settings of a whole Postgres, as far as it reads them again while it runs."""
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for name, value in settings.items():
            cursor.execute(SQL("ALTER SYSTEM SET {} = %s").format(Identifier(name)), (value,))
        cursor.execute("SELECT pg_reload_conf()")


def why_no_docker() -> str | None:
    """Why no Docker engine can be used, or None where one can."""
    try:
        import docker

        docker.from_env(timeout=5).ping()
    except ImportError as exc:
        return f"testcontainers is not installed ({exc})"
    except Exception as exc:  # noqa: BLE001 - whatever keeps us from the engine is the reason that we show
        return f"no Docker engine answers ({type(exc).__name__}: {exc})"
    return None


def as_environment(settings: Settings) -> dict[str, str]:
    """What was set on `settings`, as environment variables."""
    return {
        f"{PREFIX}{name.upper()}": str(getattr(value, "get_secret_value", lambda value=value: value)())
        for name, value in ((name, getattr(settings, name)) for name in settings.model_fields_set)
    }
