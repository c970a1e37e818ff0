"""`customer-timeline dead-letters list|show`: the records that could not become events."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import orjson
import typer

from customer_timeline.projections.instants import rfc3339
from customer_timeline.projections.reading import DeadLetter, DeadLetterSummary, TimelineReader
from customer_timeline.runtime import wiring
from customer_timeline.runtime.settings import load_settings
from customer_timeline.schemas.errors import CustomerTimelineError, RejectionReason

MAX_LISTED = 10_000
Result = TypeVar("Result")


class NoDeadLetterError(CustomerTimelineError):
    """The record is no dead letter."""

    def __init__(self, topic: str, partition: int, offset: int) -> None:
        self.position = (topic, partition, offset)
        super().__init__(
            f"The record at {topic}/{partition}/{offset} is no dead letter; `dead-letters list` shows those that are."
        )


def register(app: typer.Typer) -> None:
    """Add the commands `dead-letters list` and `dead-letters show`."""
    commands = typer.Typer(help="Records that could not become events, and why.", no_args_is_help=True)
    commands.command("list")(list_command)
    commands.command("show")(show_command)
    app.add_typer(commands, name="dead-letters")


def list_command(
    reason: RejectionReason = typer.Option(None, help="Only those of one reason."),
    limit: int = typer.Option(50, min=1, max=MAX_LISTED, help="At most so many, newest first."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object a line."),
) -> None:
    """List dead letters, newest first: where each stands in the log and why it is no event."""
    wanted = reason.value if reason else None
    for letter in _read(lambda reader: reader.dead_letters(reason=wanted, limit=limit)):
        if as_json:
            print(orjson.dumps(_summary(letter)).decode())
        else:
            place = f"{letter.topic}/{letter.partition}/{letter.offset}"
            print(f"{rfc3339(letter.recorded_us)}  {place}  {letter.reason}  {_printable(letter.error)}")


def show_command(
    record: str = typer.Argument(help="Where it stands: TOPIC/PARTITION/OFFSET, as `list` prints it."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object; bytes that are no UTF-8 in base64."),
    raw: bool = typer.Option(False, "--raw", help="Nothing but the original bytes of the value."),
) -> None:
    """Show one dead letter whole. Its content may be personal."""
    topic, partition, offset = _position(record)
    letter = _read(lambda reader: reader.dead_letter(topic, partition, offset))
    if letter is None:
        raise NoDeadLetterError(topic, partition, offset)
    if raw:
        sys.stdout.buffer.write(letter.value or b"")
        return
    told = _whole(letter)
    if as_json:
        print(orjson.dumps(told).decode())
        return
    for name, value in told.items():
        print(f"{name:12} {_printable(value if isinstance(value, str) else orjson.dumps(value).decode())}")


def _read(ask: Callable[[TimelineReader], Awaitable[Result]]) -> Result:
    async def reading() -> Result:
        reader = wiring.reader(load_settings())
        try:
            return await ask(reader)
        finally:
            await reader.aclose()

    return asyncio.run(reading())


def _position(record: str) -> tuple[str, int, int]:
    topic, _, rest = record.partition("/")
    partition, _, offset = rest.partition("/")
    if not topic or not partition.isdecimal() or not offset.isdecimal():
        raise typer.BadParameter("use TOPIC/PARTITION/OFFSET, such as touchpoints/2/18211", param_hint="RECORD")
    # Wider numbers stand nowhere and do not fit the columns.
    if int(partition) >= 1 << 31 or int(offset) >= 1 << 63:
        raise NoDeadLetterError(topic, int(partition), int(offset))
    return topic, int(partition), int(offset)


def _summary(letter: DeadLetterSummary) -> dict[str, object]:
    return {
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "recorded_at": rfc3339(letter.recorded_us),
        "reason": letter.reason,
        "type": letter.type,
        "error": letter.error,
    }


def _whole(letter: DeadLetter) -> dict[str, object]:
    return {
        **_summary(letter.summary),
        "sha256": letter.sha256.hex(),
        "headers": orjson.loads(letter.headers),
        **_bytes("key", letter.key),
        **_bytes("value", letter.value),
    }


def _bytes(name: str, content: bytes | None) -> dict[str, object]:
    if content is None:
        return {name: None}
    try:
        return {name: content.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(content).decode()}


def _printable(text: str) -> str:
    # Broken records come from anywhere: nothing in them may move the cursor of a terminal.
    return "".join(char if char.isprintable() else "�" for char in text)
