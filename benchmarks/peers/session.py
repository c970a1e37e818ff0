"""What every peer needs: its arguments, its connection, and a way to say how far it is. No peer imports another."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from typing import Any

import orjson

from benchmarks.database import connect
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.identity_policy import IdentityPolicy


@dataclass(frozen=True, slots=True)
class Task:
    """What to consume, from where, into which database. `start` is the first offset to apply, per partition."""

    bootstrap: str
    topic: str
    database: str
    start: dict[int, int]
    group: str
    secret: str
    batch: int
    limit: int

    def connect(self) -> Any:
        """A new connection to the run's database."""
        return connect(self.database)

    def codec(self) -> Codec:
        """The product's own decoding, so that all contenders validate alike."""
        return Codec(IdentityPolicy(), self.secret.encode())


def read_task() -> Task:
    """The task from the command line; argparse ends the process with status 2 where it is malformed."""
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "topic", "database", "start", "group", "secret"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--batch", type=int, default=5_000)
    parser.add_argument("--limit", type=int, default=0)
    parsed = vars(parser.parse_args())
    start = {int(part): int(offset) for part, offset in orjson.loads(parsed.pop("start")).items()}
    return Task(start=start, **parsed)


class Progress:
    """Says on standard output, after a commit, how many records are applied and which offsets come next.

    At most every 20 ms: the Faust agent with a commit per event would otherwise measure our own printing.
    """

    def __init__(self, start: dict[int, int]) -> None:
        self.next_offsets = dict(start)
        self._base = sum(start.values())
        self._said_at = 0.0

    @property
    def applied(self) -> int:
        """Records applied since the start."""
        return sum(self.next_offsets.values()) - self._base

    def committed(self, *, final: bool = False) -> None:
        """Report what `next_offsets` says; call right after the commit."""
        now = time.monotonic()
        if not final and now - self._said_at < 0.02:
            return
        self._said_at = now
        report = {"applied": self.applied, "at": now, "offsets": {str(k): v for k, v in self.next_offsets.items()}}
        sys.stdout.buffer.write(orjson.dumps(report) + b"\n")
        sys.stdout.buffer.flush()
