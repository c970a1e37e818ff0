"""Requests per second on the API: customers' views and timelines, drawn at random, over connections that stay open.

The client shares the machine with the server, so it does as little as a client can: one process,
a selector, answers read by their Content-Length. What it costs is taken from the server's share.
"""

from __future__ import annotations

import random
import selectors
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from benchmarks.contenders import Run, product_command, worker_environment
from benchmarks.database import connect
from benchmarks.processes import ContenderError, MeasuredProcess

_READY_S = 30


@dataclass(slots=True)
class Connection:
    """One open connection with one request under way."""

    socket: socket.socket
    received: bytearray
    asked_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Load:
    """What one client process saw."""

    requests: int
    seconds: float
    delays_ms: list[float]


def _answer_length(received: bytearray) -> int | None:
    """Bytes of the whole answer, or None while its head is incomplete; raises unless it says 200."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(received[:end]).lower()
    if not head.startswith(b"http/1.1 200"):
        raise ContenderError(f"The API answered {head.splitlines()[0].decode()}")
    at = head.find(b"content-length:")
    if at < 0:
        raise ContenderError("The API answered without a Content-Length.")
    return end + 4 + int(head[at + 15 :].split(b"\r\n", 1)[0])


def drive(port: int, paths: Sequence[str], connections: int, seconds: float) -> Load:
    """Ask for `paths` in turn over `connections` for `seconds`; the first fifth is warm-up."""
    requests = [f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode() for path in paths]
    selector = selectors.DefaultSelector()
    asked = 0
    for _ in range(connections):
        opened = socket.create_connection(("127.0.0.1", port))
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(opened, bytearray(), time.monotonic())
        opened.sendall(requests[asked % len(requests)])
        asked += 1
        selector.register(opened, selectors.EVENT_READ, connection)
    warm, delays, began = time.monotonic() + seconds / 5, list[float](), 0.0
    end = warm + seconds * 4 / 5
    while (now := time.monotonic()) < end:
        for key, _ in selector.select(1):
            connection = key.data
            chunk = connection.socket.recv(262_144)
            if not chunk:
                raise ContenderError("The API closed a connection that was in use.")
            connection.received += chunk
            length = _answer_length(connection.received)
            if length is None or len(connection.received) < length:
                continue
            now = time.monotonic()
            if now >= warm:
                began = began or now
                delays.append((now - connection.asked_at) * 1_000)
            connection.received.clear()
            connection.asked_at = now
            connection.socket.sendall(requests[asked % len(requests)])
            asked += 1
    for key in list(selector.get_map().values()):
        key.data.socket.close()
    return Load(len(delays), now - began, delays)


def free_port() -> int:
    """A port that nobody listens on."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_ready(port: int, process: MeasuredProcess) -> None:
    """Return once the API answers; raises ContenderError."""
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        process.check()
        try:
            with urlopen(f"http://127.0.0.1:{port}/livez", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    raise ContenderError("The API was not alive after 30 s.")


def _references(database: str, count: int, seed: int) -> list[str]:
    with closing(connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT customer_id::text FROM customer ORDER BY customer_id")
        everybody = [customer_id for (customer_id,) in cursor.fetchall()]
    return random.Random(seed).sample(everybody, min(count, len(everybody)))


def api_load(run: Run, seconds: float, connections: int, say: Any) -> list[dict[str, Any]]:
    """Views and timeline pages per second on an API with two workers, over the database of `run`."""
    port = free_port()
    settings = worker_environment(run) | {
        "CUSTOMER_TIMELINE_API_HOST": "127.0.0.1",
        "CUSTOMER_TIMELINE_API_PORT": str(port),
        "CUSTOMER_TIMELINE_API_WORKERS": "2",
    }
    references = _references(run.database, 10_000, 1)
    kinds = {
        "view": [f"/v1/customers/{reference}" for reference in references],
        "timeline, default page": [f"/v1/customers/{reference}/timeline" for reference in references],
    }
    found = []
    with MeasuredProcess(product_command("api"), settings) as server:
        wait_ready(port, server)
        for kind, paths in kinds.items():
            before = server.usage().cpu_s
            # In a process of its own: the harness holds threads and connections that would share its interpreter.
            with ProcessPoolExecutor(1, get_context("spawn")) as client:
                load = client.submit(drive, port, paths, connections, seconds).result()
            cpu = server.usage().cpu_s - before
            delays = sorted(load.delays_ms)
            rate = load.requests / load.seconds
            found.append(
                {
                    "request": kind,
                    "requests_per_s": round(rate),
                    "p50_ms": round(delays[len(delays) // 2], 2),
                    "p99_ms": round(delays[len(delays) * 99 // 100], 2),
                    "connections": connections,
                    "server_cpu_s": round(cpu, 2),
                }
            )
            say(f"API, {kind}: {rate:,.0f} requests/s")
    return found
