"""What stands where a replay writes: the names of its parts, and whether something else is in the way."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from customer_timeline.runtime.replay.errors import OutputInTheWay, OutputIsNoReplay

PEOPLE: Final = "people.parquet"
EVENTS: Final = "events"
IDENTITY: Final = "identity"
"""What is in a folder of Parquet; nothing else is removed with it."""


def check_output(to: str, output: Path | None, *, replace: bool) -> None:
    """Nothing is in the way of the output; `replace`: but what a replay may have written there.

    Raises OutputInTheWay, and OutputIsNoReplay where something else would be lost.
    """
    if output is None:
        return
    if not output.name:
        raise OutputIsNoReplay(str(output), "no name of its own")
    if not output.exists():
        return
    if not replace:
        raise OutputInTheWay(str(output))
    if to != "parquet" and output.is_dir():
        raise OutputIsNoReplay(str(output), "a folder")
    if to == "parquet" and not _is_written(output):
        raise OutputIsNoReplay(str(output), "no folder that a replay wrote")


def _is_written(output: Path) -> bool:
    return output.is_dir() and {one.name for one in output.iterdir()} <= {EVENTS, PEOPLE, IDENTITY}
