"""Servers and fresh places on them. One fixture, two providers: the embedded servers, or the official images.

Servers start when the first test asks for one and are shared by the session; with xdist the controller starts them once
for all its workers. What a test writes goes to its own topic and its own database, so tests never see each other.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import psycopg2
import pytest
from kafka.admin import KafkaAdminClient
from psycopg2.extensions import make_dsn, parse_dsn
from psycopg2.sql import SQL, Identifier
from servers import SCHEMA, DockerProvider, EmbeddedProvider, MakeTopic, Provider, as_environment, why_no_docker

from customer_timeline.runtime.embedded import EmbeddedKafka, EmbeddedPostgres
from customer_timeline.runtime.migrate import migrate
from customer_timeline.runtime.settings import PREFIX, Settings
from customer_timeline.schemas.topics import touchpoints_topic

# Tests share the cores with servers: a deadline would fail by the load of the machine, not by the code.
_COMMON: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [hypothesis.HealthCheck.too_slow],
    "print_blob": True,
}
# The suite tries the same examples everywhere, so that it fails by the change in hand and not by the day;
# `make verify` goes looking for new ones (--hypothesis-profile=explore).
hypothesis.settings.register_profile("suite", derandomize=True, **_COMMON)
hypothesis.settings.register_profile("explore", max_examples=2_000, **_COMMON)
hypothesis.settings.load_profile("suite")

# A process of the suite takes file after file: one of these at the end would be waited for by the others.
_LONGEST = frozenset(
    {
        "test_against_plain_customers.py",
        "test_cdnow_pipeline.py",
        "test_crash_steps.py",
        "test_dev_stack.py",
        "test_kafka_publisher.py",
        "test_rebuild.py",
        "test_snippets.py",
    }
)

# What a test sees must not depend on the shell it is started from.
for _name in [name for name in os.environ if name.startswith(PREFIX) and name != f"{PREFIX}CACHE_DIR"]:
    del os.environ[_name]


class Servers(NamedTuple):
    """Where the session's Kafka and Postgres are."""

    bootstrap: str
    postgres_url: str


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--servers",
        choices=["embedded", "docker"],
        default="embedded",
        help="where Kafka and Postgres come from: child processes, or the official images",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--servers") == "docker":
        reason = why_no_docker()
        if reason is not None:
            config.stash[_NO_DOCKER] = reason


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest files first. Tests marked `docker` run only where an engine does, and say loudly why not."""
    items.sort(key=lambda item: item.path.name not in _LONGEST)
    marked = [item for item in items if item.get_closest_marker("docker")]
    reason = why_no_docker() if marked else None
    for item in marked if reason is not None else []:
        item.add_marker(pytest.mark.skip(reason=f"NOT RUN: {reason}"))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    reason = config.stash.get(_NO_DOCKER, None)
    if reason is not None:
        terminalreporter.section("--servers=docker", red=True, bold=True)
        terminalreporter.write_line(f"Every test that needs a server was SKIPPED: {reason}")


_NO_DOCKER: pytest.StashKey[str] = pytest.StashKey()
_PROVIDER: pytest.StashKey[Provider] = pytest.StashKey()


def _provider(config: pytest.Config) -> Provider:
    if _PROVIDER not in config.stash:
        made: Provider = EmbeddedProvider() if config.getoption("--servers") == "embedded" else DockerProvider()
        config.stash[_PROVIDER] = made
    return config.stash[_PROVIDER]


class _ForXdistWorkers:
    """In the controller of xdist: start both servers once and tell every worker where they are."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        if self._config.stash.get(_NO_DOCKER, None) is None:
            provider = _provider(self._config)
            node.workerinput["servers"] = (provider.kafka(), provider.postgres())


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.pluginmanager.hasplugin("dsession"):
        session.config.pluginmanager.register(_ForXdistWorkers(session.config))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _PROVIDER in session.config.stash:
        session.config.stash[_PROVIDER].stop()


def _shared(config: pytest.Config) -> Servers | None:
    """In a worker of xdist: what the controller told us."""
    told = getattr(config, "workerinput", {}).get("servers")
    return Servers(*told) if told else None


def _require_engine(config: pytest.Config) -> None:
    reason = config.stash.get(_NO_DOCKER, None)
    if reason is not None:
        pytest.skip(f"NOT RUN: {reason}")


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config) -> str:
    """Bootstrap address of the session's Kafka."""
    _require_engine(pytestconfig)
    shared = _shared(pytestconfig)
    return shared.bootstrap if shared else _provider(pytestconfig).kafka()


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> str:
    """Connection URL of the session's Postgres, as superuser, database `postgres`."""
    _require_engine(pytestconfig)
    shared = _shared(pytestconfig)
    return shared.postgres_url if shared else _provider(pytestconfig).postgres()


@pytest.fixture(scope="session")
def kafka_admin(kafka: str) -> Iterator[KafkaAdminClient]:
    """An admin client of the session's Kafka."""
    client = KafkaAdminClient(bootstrap_servers=kafka)
    yield client
    client.close()


@pytest.fixture
def make_topic(kafka_admin: KafkaAdminClient) -> MakeTopic:
    """A factory of topics: `make_topic(partitions=1, **{"retention.ms": "1000"})`."""

    def make(partitions: int = 4, **config: str) -> str:
        name = f"test-{uuid.uuid4().hex[:12]}"
        settings = {**touchpoints_topic(name, partitions, 1).config, **config}
        options = {"num_partitions": partitions, "replication_factor": 1, "configs": settings}
        kafka_admin.create_topics({name: options}, wait_for_metadata=True)
        return name

    return make


@pytest.fixture
def topic(make_topic: MakeTopic, request: pytest.FixtureRequest) -> str:
    """A topic of the test's own with 4 partitions; or `@pytest.mark.parametrize("topic", [1], indirect=True)`."""
    return make_topic(int(getattr(request, "param", 4)))


@pytest.fixture(scope="session")
def empty_database(postgres: str) -> Iterator[Callable[[], str]]:
    """A factory of databases with nothing in them; they are dropped at the end of the session."""
    made: list[str] = []

    def make() -> str:
        made.append(_create_database(postgres, template="template0"))
        return _url(postgres, made[-1])

    yield make
    for name in made:
        _drop_database(postgres, name)


@pytest.fixture(scope="session")
def template_database(postgres: str) -> Iterator[str]:
    """Name of the database that was migrated once and is copied for every test."""
    name = _create_database(postgres, template="template0")
    migrate(_url(postgres, name), SCHEMA)
    yield name
    _drop_database(postgres, name)


@pytest.fixture
def database(postgres: str, template_database: str) -> Iterator[str]:
    """Connection URL of a migrated database of the test's own; the tables are in the schema `customer_timeline`."""
    name = _create_database(postgres, template=template_database)
    yield _url(postgres, name)
    _drop_database(postgres, name)


@pytest.fixture
def settings(kafka: str, database: str, topic: str) -> Settings:
    """Settings of a deployment of the test's own."""
    return Settings(
        kafka_bootstrap=kafka,
        database_url=database,
        database_schema=SCHEMA,
        touchpoints_topic=topic,
        changes_topic=f"{topic}.changes",
        worker_group=f"group-{topic}",
    )


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    """`settings` as an environment for real processes: the current one plus `CUSTOMER_TIMELINE_*`."""
    return {**os.environ, **as_environment(settings)}


@pytest.fixture
def own_folder() -> Iterator[Path]:
    """A folder for servers of the test's own; unlike `tmp_path`, other users may pass through it."""
    folder = Path(tempfile.mkdtemp(prefix="ct-own-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_kafka(own_folder: Path) -> Iterator[EmbeddedKafka]:
    """A Kafka of the test's own, started: to `restart("clean"|"kill")`, `stop()` and `kill()`."""
    server = EmbeddedKafka(own_folder / "kafka", ephemeral=True).start()
    yield server
    server.kill()


@pytest.fixture
def own_postgres(own_folder: Path) -> Iterator[EmbeddedPostgres]:
    """A Postgres of the test's own, started: to `restart("fast"|"immediate"|"kill")`, `stop(mode)` and `kill()`."""
    server = EmbeddedPostgres(own_folder / "postgres", ephemeral=True).start()
    yield server
    server.stop("immediate")


def _url(postgres: str, database: str) -> str:
    words = parse_dsn(postgres)
    password = f":{words['password']}" if words.get("password") else ""
    return f"postgresql://{words['user']}{password}@{words['host']}:{words['port']}/{database}"


def _create_database(postgres: str, *, template: str) -> str:
    name = f"test_{uuid.uuid4().hex[:12]}"
    _execute(postgres, SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template)))
    return name


def _drop_database(postgres: str, name: str) -> None:
    # FORCE: a worker that the test killed may still have a session.
    _execute(postgres, SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


def _execute(postgres: str, statement: Any) -> None:
    connection = psycopg2.connect(make_dsn(postgres))
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()
