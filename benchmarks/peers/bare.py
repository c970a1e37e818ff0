"""(e) The bare limit: consume, decode, COPY, offset, commit. No validation, no states, no identity, nothing to rely on.

Copies of an event are dropped by a set in memory, which no restart survives: COPY alone would stop at the first one.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.peers.session import Progress, Task, read_task

_COPY = """
COPY timeline (event_id, anchor_id, strongest_id, identifier_ids, type, channel, direction, sign_of_life, listed,
               occurred_at, recorded_at, revision, part, position, record_hash, event) FROM STDIN
"""
_NULL = "\\N"
_STORE_OFFSET = "UPDATE projector_offset SET next_offset = %s WHERE topic = %s AND part = %s"


def lines(records: Iterable[Any], seen: set[bytes]) -> bytes:
    """The records as COPY lines; adds their ids to `seen` and leaves out what is there already."""
    out: list[str] = []
    for record in records:
        event = orjson.loads(record.value)
        digest = hashlib.sha1(f"{event['source']}\n{event['id']}".encode(), usedforsecurity=False).digest()[:16]
        if digest in seen:
            continue
        seen.add(digest)
        event_id = digest.hex()
        data = event["data"]
        ids = [_identifier_id(identifier) for identifier in data.get("identifiers", ())]
        anchor = ids[0] if ids else _NULL  # things are not for the bare limit: what names only an order stands nowhere
        channel = data.get("channel", _NULL)
        recorded_at = datetime.fromtimestamp(record.timestamp / 1_000, UTC).isoformat()
        text = record.value.decode().replace("\\", "\\\\")
        out.append(
            f"{event_id}\t{anchor}\t{anchor}\t{{{','.join(ids)}}}\t{event['type']}\t{channel}\tinbound\tt\tt\t"
            f"{event['time']}\t{recorded_at}\t0\t{record.partition}\t{record.offset}\t{event_id}\t{text}\n"
        )
    return "".join(out).encode()


def _identifier_id(identifier: dict[str, str]) -> str:
    return hashlib.blake2b(f"{identifier['kind']}:{identifier['value']}".encode(), digest_size=16).hexdigest()


def write(connection: Any, topic: str, copied: bytes, offsets: dict[int, int]) -> None:
    """One transaction: the rows and the offsets."""
    with connection.cursor() as cursor:
        cursor.copy_expert(_COPY, io.BytesIO(copied))
        for part, offset in offsets.items():
            cursor.execute(_STORE_OFFSET, (offset, topic, part))
    connection.commit()


async def run(task: Task) -> None:
    """Consume until the process is stopped; Postgres writes one batch while the next one is decoded."""
    connection, progress, seen = task.connect(), Progress(task.start), set[bytes]()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=task.bootstrap, enable_auto_commit=False, max_partition_fetch_bytes=8 * 1024 * 1024
    )
    await consumer.start()
    consumer.assign([TopicPartition(task.topic, part) for part in task.start])
    for part, offset in task.start.items():
        consumer.seek(TopicPartition(task.topic, part), offset)
    reached = dict(task.start)
    writing: asyncio.Task[None] | None = None
    while True:
        fetched = await consumer.getmany(timeout_ms=100, max_records=task.batch)
        copied = lines((record for records in fetched.values() for record in records), seen)
        for records in fetched.values():
            reached[records[-1].partition] = records[-1].offset + 1
        if writing is not None:
            await writing
            progress.committed()
            writing = None
        if fetched:
            progress.next_offsets = dict(reached)
            writing = asyncio.create_task(asyncio.to_thread(write, connection, task.topic, copied, dict(reached)))
            await asyncio.sleep(0)  # lets the writing start before the next fetch is awaited


if __name__ == "__main__":
    asyncio.run(run(read_task()))
