"""Everything that the proofs of backup and restore need."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline import farm, pipeline

from customer_timeline.runtime.embedded import EmbeddedKafka

__all__ = ["farm", "pipeline"]


@pytest.fixture(scope="module")
def other_kafka() -> Iterator[EmbeddedKafka]:
    """Another Kafka than the session's; each test restores a topic of its own into it."""
    folder = Path(tempfile.mkdtemp(prefix="ct-other-"))
    server = EmbeddedKafka(folder / "kafka", ephemeral=True).start()
    yield server
    server.kill()
    shutil.rmtree(folder, ignore_errors=True)
