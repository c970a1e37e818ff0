"""Wiring: where connections stand, and what makes a projection version."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import closing
from typing import Any, Literal

import pytest
from psycopg2.extensions import make_dsn

from customer_timeline.producers import confluent_publisher
from customer_timeline.producers.errors import PackageMissing
from customer_timeline.runtime import wiring
from customer_timeline.runtime.interrupts import between_events
from customer_timeline.runtime.settings import Settings
from customer_timeline.runtime.wiring import connect, projection_details, projection_version, publisher, topics


def test_connections_stand_in_the_schema_and_in_utc_and_keep_what_the_url_says(database: str) -> None:
    url = make_dsn(database, options="-c statement_timeout=4321")
    settings = Settings(database_url=url)
    with closing(connect(settings, application="the test")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_schema(), current_setting('TimeZone'), current_setting('statement_timeout')")
        assert cursor.fetchone() == ("customer_timeline", "UTC", "4321ms")
        cursor.execute("SELECT current_setting('application_name'), count(*) FROM timeline")
        assert cursor.fetchone() == ("the test", 0)


@pytest.mark.parametrize(
    "change",
    [
        {"business_time_zone": "Europe/Berlin"},
        {"identity_secret": "another-secret-of-enough-bytes"},
        {"max_future_s": 301},
        {"extra_channels": ["pigeon"]},
        {"identity": {"default_phone_region": "DE"}},
        {"identity": {"kinds": {"email": {"rank": 51}}}},
        {"identity": {"kinds": {"email": {"max_per_customer": 9}}}},
        {"identity": {"kinds": {"email": {"share_limit": 6}}}},
        {"identity": {"kinds": {"email": {"links": False}}}},
        {"identity": {"kinds": {"email": {"blocked": ["info@example.com"]}}}},
        {"identity": {"kinds": {"email": {"blocked_prefixes": ["noreply@"]}}}},
        {"identity": {"kinds": {"email": {"blocked_patterns": [".*@mailinator[.]com"]}}}},
        {"identity": {"kinds": {"loyalty_card": {"rank": 70}}}},
    ],
)
def test_settings_of_identity_and_time_change_the_projection_version(change: dict[str, Any]) -> None:
    assert projection_version(Settings(**change)) != projection_version(Settings())


def test_settings_that_change_no_view_leave_the_projection_version_alone() -> None:
    other = Settings(kafka_bootstrap="localhost:19092", batch_events=7, worker_group="g", api_port=9, log_level="debug")
    assert projection_version(other) == projection_version(Settings())


def test_the_details_of_the_version_hold_no_secret() -> None:
    details = repr(projection_details(Settings(identity_secret="a-secret-of-enough-bytes")))  # noqa: S106
    assert "a-secret-of-enough-bytes" not in details
    assert "phonenumbers" in details


def test_topics_have_the_configured_names_and_sizes() -> None:
    settings = Settings(
        touchpoints_topic="t", changes_topic="c", operations_topic="o", topic_partitions=7, topic_replication=3
    )
    log, changes, operations = topics(settings)
    assert (log.name, log.partitions, log.replication_factor) == ("t", 7, 3)
    assert (changes.name, changes.partitions, changes.replication_factor) == ("c", 7, 3)
    # Of two decisions about one record the later one counts, so all of them stand in one order.
    assert (operations.name, operations.partitions, operations.replication_factor) == ("o", 1, 3)


@pytest.mark.parametrize(
    ("chosen", "installed", "made"),
    [
        ("auto", True, "ConfluentPublisher"),
        ("auto", False, "KafkaPublisher"),
        ("kafka-python", True, "KafkaPublisher"),
        ("confluent", True, "ConfluentPublisher"),
    ],
)
def test_the_faster_client_publishes_where_it_is_installed_unless_the_setting_says_otherwise(
    chosen: Literal["auto", "kafka-python", "confluent"],
    installed: bool,
    made: str,
    kafka: str,
    topic: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not installed:
        without_confluent(monkeypatch)

    with publisher(Settings(kafka_bootstrap=kafka, touchpoints_topic=topic, publisher=chosen)) as log:
        assert type(log).__name__ == made


def test_a_client_that_is_asked_for_and_missing_is_told_with_the_line_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_confluent(monkeypatch)

    with pytest.raises(PackageMissing, match=r"pip install 'customer-timeline\[fast\]'"):
        publisher(Settings(publisher="confluent"))


def without_confluent(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the package had never been installed."""
    for name in [name for name in sys.modules if name.startswith("confluent_kafka")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "customer_timeline.producers.confluent_publisher", raising=False)
    monkeypatch.setattr(sys, "meta_path", [_NotThere(), *sys.meta_path])
    monkeypatch.setattr(wiring, "find_spec", lambda name: None)


class _NotThere:
    """Finds nothing of the package, and says so."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] == "confluent_kafka":
            raise ModuleNotFoundError(name)


def test_a_publisher_that_waits_for_kafka_where_no_signal_comes_through_keeps_nobody_from_ctrl_c(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, end = threading.Event(), threading.Event()

    def waiting(*_: object) -> None:
        # Like librdkafka's calls: on the main thread no handler would run before it returns.
        assert threading.current_thread() is not threading.main_thread()
        asked.set()
        end.wait(60)

    def pressing() -> None:
        asked.wait()
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(confluent_publisher, "ConfluentPublisher", waiting)
    threading.Thread(target=pressing, daemon=True).start()
    try:
        with between_events(lambda: False), pytest.raises(KeyboardInterrupt):
            publisher(Settings(publisher="confluent"))
    finally:
        end.set()
