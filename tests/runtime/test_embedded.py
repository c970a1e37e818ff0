"""The embedded servers: real, side by side, keeping their data over every kind of stop, and never orphaned."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from customer_timeline.runtime.embedded import EmbeddedKafka, EmbeddedPostgres, FolderInUse, ServerError
from customer_timeline.runtime.embedded.jars import JarsDiffer, differences, expected_jars, kafka_jars
from customer_timeline.runtime.embedded.passage import closed_parents
from customer_timeline.runtime.embedded.ports import choose_ports, free_port, is_free

DEADLINE_S = 120


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {DEADLINE_S} s: {what}")
        time.sleep(0.05)


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # A zombie is gone; it waits for its parent to look at it.
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it went meanwhile
        return True
    return status.rsplit(")", 1)[1].split()[0] == "Z"


def _write(url: str, value: int) -> None:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS kept (n integer)")
        cursor.execute("INSERT INTO kept VALUES (%s)", [value])


def _read(url: str) -> list[int]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT n FROM kept ORDER BY n")
        return [n for (n,) in cursor.fetchall()]


def _append(bootstrap: str, *values: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    for value in values:
        producer.send("kept", value=value).get(timeout=DEADLINE_S)
    producer.close()


def _log(bootstrap: str) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest")
    partition = TopicPartition("kept", 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    end, found = consumer.end_offsets([partition])[partition], []
    while consumer.position(partition) < end:
        found += [record.value for records in consumer.poll(timeout_ms=1000).values() for record in records]
    consumer.close()
    return found


@pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
def test_postgres_keeps_what_was_committed_and_its_address(own_postgres: EmbeddedPostgres, mode: str) -> None:
    url, pid = own_postgres.url, own_postgres.pid
    _write(url, 1)
    own_postgres.restart(mode)  # type: ignore[arg-type]
    assert own_postgres.url == url
    assert own_postgres.pid != pid
    _write(url, 2)
    assert _read(url) == [1, 2]


def test_kafka_keeps_the_log_over_a_clean_stop_and_a_kill(own_kafka: EmbeddedKafka) -> None:
    bootstrap = own_kafka.bootstrap
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        admin.create_topics({"kept": {"num_partitions": 1, "replication_factor": 1}}, wait_for_metadata=True)
    _append(bootstrap, b"one")
    own_kafka.restart("clean")
    assert own_kafka.bootstrap == bootstrap
    _append(bootstrap, b"two")
    own_kafka.restart("kill")
    assert _log(own_kafka.bootstrap) == [b"one", b"two"]


def test_two_servers_side_by_side_do_not_see_each_other(own_folder: Path, own_postgres: EmbeddedPostgres) -> None:
    with EmbeddedPostgres(own_folder / "second") as second:
        assert second.url != own_postgres.url
        _write(second.url, 7)
        with closing(psycopg2.connect(own_postgres.url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('kept') IS NULL")
            assert cursor.fetchone() == (True,)


def test_another_object_on_the_same_folder_finds_the_data_and_the_port(own_folder: Path) -> None:
    with EmbeddedPostgres(own_folder / "again") as first:
        _write(first.url, 1)
        url = first.url
    with EmbeddedPostgres(own_folder / "again") as second:
        assert second.url == url
        assert _read(second.url) == [1]


def test_a_folder_in_use_is_refused(own_postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("customer_timeline.runtime.embedded.process.PATIENCE_S", 0.2)
    with pytest.raises(FolderInUse, match="Another server is running"):
        EmbeddedPostgres(own_postgres.data_dir).start()


def test_a_process_id_left_by_a_crash_keeps_nobody_out(own_postgres: EmbeddedPostgres) -> None:
    _write(own_postgres.url, 1)
    own_postgres.kill()
    left = own_postgres.data_dir / "cluster" / "postmaster.pid"
    assert left.exists()
    # The machine was restarted meanwhile, and the number now belongs to somebody else who lives: us.
    left.write_text(left.read_text().replace(left.read_text().splitlines()[0], str(os.getpid()), 1))
    own_postgres.start()
    assert _read(own_postgres.url) == [1]


def test_a_data_folder_that_other_users_cannot_reach_works_too(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with EmbeddedPostgres(tmp_path / "data") as server:
        _write(server.url, 3)
        assert _read(server.url) == [3]
    if os.geteuid() == 0:
        # Let through, but not opened: for everybody else the folder is as closed as before.
        assert tmp_path in closed_parents(tmp_path / "data" / "cluster")


def test_a_taken_port_is_said_so(own_postgres: EmbeddedPostgres, own_folder: Path) -> None:
    port = int(own_postgres.url.rsplit(":", 1)[1].split("/")[0])
    with pytest.raises(ServerError, match=f"Port {port} is taken"):
        EmbeddedPostgres(own_folder / "other", port=port).start()


def test_a_server_that_cannot_start_says_why(own_folder: Path) -> None:
    server = EmbeddedPostgres(own_folder / "broken").start()
    server.stop()
    (server.data_dir / "cluster" / "postgresql.conf").write_text("no_such_parameter = 1\n")
    with pytest.raises(ServerError, match="no_such_parameter"):
        server.start()


PARENT = """
import sys, time
from pathlib import Path
from customer_timeline.runtime.embedded import EmbeddedKafka, EmbeddedPostgres
folder = Path(sys.argv[1])
postgres, kafka = EmbeddedPostgres(folder / "postgres"), EmbeddedKafka(folder / "kafka", ephemeral=True)
postgres.start(), kafka.start()
print(postgres.pid, kafka.pid, postgres.url, flush=True)
time.sleep(600)
"""


def test_when_the_parent_is_killed_no_server_is_left_and_the_data_are(own_folder: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(own_folder)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    postgres, kafka, url = parent.stdout.readline().split()
    _write(url, 5)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _until(lambda: _gone(int(postgres)) and _gone(int(kafka)), "both servers have ended")
    with EmbeddedPostgres(own_folder / "postgres") as again:
        assert _read(again.url) == [5]
    _until(lambda: not (own_folder / "kafka").exists(), "the folder that was for one run only is deleted")


def test_when_the_guard_is_killed_the_server_ends_too(own_folder: Path) -> None:
    server = EmbeddedPostgres(own_folder / "guarded").start()
    pid = server.pid
    guard = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    os.kill(guard, signal.SIGKILL)
    _until(lambda: _gone(pid), "the server has ended")
    assert not server.running


def test_jars_are_those_of_the_list() -> None:
    expected = expected_jars()
    assert len(expected) == 46
    assert differences(kafka_jars(), expected) == []


def test_a_changed_missing_or_foreign_jar_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha256(b"right").hexdigest()
    expected = {"a.jar": digest, "b.jar": digest}
    (tmp_path / "a.jar").write_bytes(b"wrong")
    (tmp_path / "c.jar").write_bytes(b"right")
    assert differences(tmp_path, expected) == [
        "b.jar is missing",
        "c.jar is not on the list",
        f"a.jar has SHA-256 {hashlib.sha256(b'wrong').hexdigest()}, expected {digest}",
    ]


def test_jars_that_differ_in_the_cache_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = kafka_jars()
    monkeypatch.setenv("CUSTOMER_TIMELINE_CACHE_DIR", str(tmp_path))
    copy = tmp_path / right.name
    copy.mkdir()
    for jar in right.glob("*.jar"):
        (copy / jar.name).symlink_to(jar)
    name = sorted(expected_jars())[0]
    (copy / name).unlink()
    (copy / name).write_bytes(b"something else")
    with pytest.raises(JarsDiffer, match=f"{name} has SHA-256"):
        kafka_jars()


def test_ports_are_remembered_and_lie_below_those_of_outgoing_connections(tmp_path: Path) -> None:
    memory = tmp_path / "ports.json"
    first = choose_ports(memory, {"client": 0, "controller": 0})
    assert choose_ports(memory, {"client": 0, "controller": 0}) == first
    assert len(set(first.values())) == 2
    assert all(is_free(port) and port < 32_768 for port in (*first.values(), free_port()))
