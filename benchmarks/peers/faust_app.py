"""The Faust app of the two Faust peers: raw records, at least once, nothing switched on that the work does not need."""

from __future__ import annotations

import tempfile
from typing import Any

import faust

from benchmarks.peers.session import Task


def app_and_channel(task: Task) -> tuple[Any, Any]:
    """A Faust app and its topic. Where it starts, the harness has committed for its group before."""
    app: Any = faust.App(
        task.group,
        broker=f"kafka://{task.bootstrap}",
        value_serializer="raw",
        key_serializer="raw",
        store="memory://",
        datadir=tempfile.mkdtemp(prefix="bench-faust-"),
        web_enabled=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=16_384,
    )
    return app, app.topic(task.topic, value_type=bytes, key_type=bytes)
