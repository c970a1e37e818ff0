"""(b) The Faust agent of the tutorials: for every event insert, read the state, fold, write the state, commit."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from psycopg2.extras import execute_values

from benchmarks.peers.faust_app import app_and_channel
from benchmarks.peers.session import Progress, Task, read_task
from benchmarks.peers.store import (
    INSERT_IDENTIFIERS,
    INSERT_TIMELINE,
    TIMELINE_TEMPLATE,
    UPSERT_CUSTOMERS,
    customer_row,
    projection,
    timeline_row,
)
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.schemas.decoded import DecodedEvent

_READ_STATE = "SELECT facts::text FROM customer WHERE customer_id = %s FOR UPDATE"


def apply(cursor: Any, fold: CustomerProjection, event: DecodedEvent, partition: int, offset: int) -> None:
    """One event, one transaction; the caller commits."""
    row = timeline_row(event, partition, offset)
    if not execute_values(cursor, INSERT_TIMELINE, [row], TIMELINE_TEMPLATE, fetch=True):
        return
    anchor = event.identifiers[0]
    cursor.execute(_READ_STATE, (anchor.identifier_id,))
    found = cursor.fetchone()
    if found is None:
        new = (anchor.identifier_id, anchor.kind, anchor.value, anchor.identifier_id)
        execute_values(cursor, INSERT_IDENTIFIERS, [new])
    facts = fold.initial() if found is None else fold.decode(found[0].encode())
    fold.apply(facts, event)
    execute_values(cursor, UPSERT_CUSTOMERS, [customer_row(fold, anchor.identifier_id, facts)])


def run(task: Task) -> None:
    """Start the worker; it runs until stopped, and waits once `task.limit` records are applied."""
    app, channel = app_and_channel(task)
    codec, connection, fold, progress = task.codec(), task.connect(), projection(), Progress(task.start)

    @app.agent(channel)  # type: ignore[untyped-decorator]
    async def each(stream: Any) -> None:
        async for incoming in stream.events():
            message = incoming.message
            if message.offset < progress.next_offsets[message.partition]:
                continue  # delivered again after the join
            if task.limit and progress.applied >= task.limit:
                progress.committed(final=True)
                await asyncio.Event().wait()  # enough: the harness stops this process
            event = codec.decode(incoming.value, appended_at=datetime.fromtimestamp(message.timestamp, UTC))
            with connection.cursor() as cursor:
                apply(cursor, fold, event, message.partition, message.offset)
            connection.commit()
            progress.next_offsets[message.partition] = message.offset + 1
            progress.committed()

    app.worker_init()
    app.finalize()
    app.Worker(loglevel="WARN", quiet=True, redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    run(read_task())
