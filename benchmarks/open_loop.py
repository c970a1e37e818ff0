"""Reads of an API at instants that are fixed beforehand: nobody waits for an answer before the next question.

They are asked in a process of their own, which shares no interpreter with the harness. A read's clock starts when it
was due, so neither a slow API nor a slow client can hide a delay.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import blake2b
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

_PATIENCE_S = 30.0
_IDLE_S = 60.0
Essence = Callable[[str, bytes], bytes]


class Read(NamedTuple):
    """One read: which of the paths, the instants of the monotonic clock, and what came; `status` 0: no answer."""

    path: int
    due_at: float
    sent_at: float
    done_at: float
    status: int
    said: bytes


def digest(said: bytes) -> bytes:
    """Few bytes that are equal exactly where `said` is."""
    return blake2b(said, digest_size=8).digest()


@contextmanager
def reading(port: int, paths: Sequence[str], order: Sequence[int], rate: int, essence: Essence) -> Iterator[Reads]:
    """Ask for `paths` in `order`, again and again, `rate` times a second until the block ends.

    `essence` gives what of an answer has to be compared; it is a function of a module, for another process calls it.
    """
    context = get_context("spawn")
    with TemporaryDirectory(prefix="bench-reads-") as folder, ProcessPoolExecutor(1, context) as pool:
        stop = Path(folder) / "stop"
        reads = Reads(pool.submit(drive, port, paths, order, rate, essence, stop), stop)
        try:
            yield reads
        finally:
            reads.end()


class Reads:
    """Reads under way."""

    def __init__(self, future: Future[list[Read]], stop: Path) -> None:
        self._future = future
        self._stop = stop

    def check(self) -> None:
        """Raise what ended the reads before their time."""
        if self._future.done():
            self._future.result()

    def end(self) -> list[Read]:
        """Stop, and all reads there were."""
        self._stop.touch()
        return self._future.result(2 * _PATIENCE_S)


def drive(port: int, paths: Sequence[str], order: Sequence[int], rate: int, essence: Essence, stop: Path) -> list[Read]:
    """See `reading`: until the file `stop` is there."""
    return asyncio.run(_Client(port, paths, essence).run(order, rate, stop))


class _Client:
    def __init__(self, port: int, paths: Sequence[str], essence: Essence) -> None:
        self._port = port
        self._paths = paths
        self._essence = essence
        self._requests = [f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode() for path in paths]
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter, float]] = []
        self._reads: list[Read] = []

    async def run(self, order: Sequence[int], rate: int, stop: Path) -> list[Read]:
        begin, number = time.monotonic() + 0.1, 0
        async with asyncio.TaskGroup() as group:
            while number % rate or not await asyncio.to_thread(stop.exists):  # a look at the disk a second
                due_at = begin + number / rate
                await asyncio.sleep(max(0.0, due_at - time.monotonic()))
                group.create_task(self._read(order[number % len(order)], due_at))
                number += 1
        for _, writer, _ in self._free:
            writer.close()
        return self._reads

    async def _read(self, path: int, due_at: float) -> None:
        sent_at, status, said = time.monotonic(), 0, b""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                status, body = await self._answer(path)
            said = digest(self._essence(self._paths[path], body) if status == 200 else body)
        except (OSError, TimeoutError, EOFError, ValueError) as exc:
            said = repr(exc).encode()
        self._reads.append(Read(path, due_at, sent_at, time.monotonic(), status, said))

    async def _answer(self, path: int) -> tuple[int, bytes]:
        reader, writer = await self._connection()
        try:
            writer.write(self._requests[path])
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
        except BaseException:
            writer.close()
            raise
        self._free.append((reader, writer, time.monotonic()))
        return int(head.split(b" ", 2)[1]), body

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._free:
            reader, writer, used_at = self._free.pop()
            # A server closes what nobody used for a while: that is no failed read.
            if not reader.at_eof() and time.monotonic() - used_at < _IDLE_S:
                return reader, writer
            with suppress(OSError):
                writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)
