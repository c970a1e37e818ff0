"""(c) A Faust agent with `take` and `execute_values`: batches, but Faust's stream machinery for every event."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from benchmarks.peers.faust_app import app_and_channel
from benchmarks.peers.session import Progress, Task, read_task
from benchmarks.peers.store import BatchStore
from customer_timeline.schemas.decoded import DecodedEvent


def run(task: Task) -> None:
    """Start the worker; it runs until stopped."""
    app, channel = app_and_channel(task)
    codec, connection, progress = task.codec(), task.connect(), Progress(task.start)
    store = BatchStore(connection)

    @app.agent(channel)  # type: ignore[untyped-decorator]
    async def batches(stream: Any) -> None:
        async for taken in stream.take_events(task.batch, within=0.1):
            batch: list[tuple[DecodedEvent, int, int]] = []
            for incoming in taken:
                message = incoming.message
                appended_at = datetime.fromtimestamp(message.timestamp, UTC)
                event = codec.decode(incoming.value, appended_at=appended_at)
                batch.append((event, message.partition, message.offset))
                progress.next_offsets[message.partition] = message.offset + 1
            store.apply(batch)
            connection.commit()
            progress.committed()

    app.worker_init()
    app.finalize()
    app.Worker(loglevel="WARN", quiet=True, redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    run(read_task())
