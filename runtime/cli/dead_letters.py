"""`customer-timeline dead-letters list|show`: the records that could not become events."""

from __future__ import annotations

import asyncio
import base64
import re
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import orjson
import typer

from customer_timeline.api.dead_letters import DeadLetterFilters, decision_item, group_item, record_item
from customer_timeline.projections.dead_letters import (
    DeadLetter,
    DeadLetterFilter,
    DeadLetterGroup,
    DeadLetterPlace,
    DeadLetterReader,
    DeadLetterState,
    DeadLetterSummary,
)
from customer_timeline.projections.instants import rfc3339
from customer_timeline.runtime import wiring
from customer_timeline.runtime.asking import parameters
from customer_timeline.runtime.record_progress import shown_step
from customer_timeline.runtime.settings import load_settings
from customer_timeline.schemas.errors import CustomerTimelineError, RejectionReason

MAX_LISTED = 10_000
Result = TypeVar("Result")


class NoDeadLetterError(CustomerTimelineError):
    """The record is no dead letter."""

    def __init__(self, topic: str, partition: int, offset: int) -> None:
        self.position = (topic, partition, offset)
        super().__init__(
            f"The record at {topic}/{partition}/{offset} is no dead letter; "
            "`dead-letters list --each` shows those that are."
        )


def register(app: typer.Typer) -> None:
    """Add the commands `dead-letters list` and `dead-letters show`."""
    commands = typer.Typer(help="Records that could not become events, and why.", no_args_is_help=True)
    commands.command("list")(list_command)
    commands.command("show")(show_command)
    app.add_typer(commands, name="dead-letters")


def list_command(
    reason: RejectionReason = typer.Option(None, help="Only those of one reason."),
    type_: str = typer.Option(None, "--type", help="Only those of one type, with or without its version."),
    since: str = typer.Option(None, help="Recorded at this instant or later."),
    until: str = typer.Option(None, help="Recorded before this instant."),
    fingerprint: str = typer.Option(None, help="Only those of one group, by the fingerprint that the list shows."),
    state: DeadLetterState = typer.Option(None, help="Only those of one state; left out: all that are no events yet."),
    each: bool = typer.Option(False, "--each", help="Single records instead of groups."),
    limit: int = typer.Option(50, min=1, max=MAX_LISTED, help="At most so many, newest first."),
    after: str = typer.Option(None, help="With --each: go on after this record, TOPIC/PARTITION/OFFSET."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object a line."),
) -> None:
    """List what could not become events, in groups of one reason and one kind of error; the newest first.

    Of each group: the newest record, how many there are, since when, the fingerprint, and what is wrong (numbers as #).
    """
    named = {
        "reason": reason,
        "type": type_,
        "since": since,
        "until": until,
        "fingerprint": fingerprint,
        "state": state,
    }
    wanted = parameters(DeadLetterFilters, named).wanted()
    if after is not None and not each:
        raise typer.BadParameter("goes with --each: groups have no pages here, use --limit", param_hint="--after")
    if each:
        _list_records(wanted, limit, None if after is None else place_of(after, "--after"), as_json=as_json)
    else:
        _list_groups(wanted, limit, as_json=as_json)


def _list_groups(wanted: DeadLetterFilter, limit: int, *, as_json: bool) -> None:
    page = _read(lambda reader: reader.dead_letter_groups(wanted, limit=limit))
    for group in page.rows:
        print(orjson.dumps(group_item(group)).decode() if as_json else _group_line(group))
    if page.more:
        print(f"There are more groups: use a --limit above {limit}.", file=sys.stderr)


def _list_records(wanted: DeadLetterFilter, limit: int, after: DeadLetterPlace | None, *, as_json: bool) -> None:
    if after is not None and _read(lambda reader: reader.dead_letter(*after)) is None:
        raise NoDeadLetterError(*after)
    page = _read(lambda reader: reader.dead_letters(wanted, limit=limit, after=after))
    for letter in page.rows:
        print(orjson.dumps(record_item(letter)).decode() if as_json else _record_line(letter))
    if page.more:
        print(f"There are more: go on with --after {_place(page.rows[-1])}", file=sys.stderr)


def _group_line(group: DeadLetterGroup) -> str:
    newest = f"{rfc3339(group.last_us)}  {_place(group.last)}"
    return f"{newest}  {_count(group)} since {rfc3339(group.first_us)}  {group.fingerprint}  {printable(group.error)}"


def _count(group: DeadLetterGroup) -> str:
    return f"{group.records:,}" if group.open == group.records else f"{group.records:,} ({group.open:,} open)"


def _record_line(letter: DeadLetterSummary) -> str:
    state = "" if letter.state == "open" else f"{letter.state}  "
    return f"{rfc3339(letter.recorded_us)}  {_place(letter)}  {state}{letter.reason}  {printable(letter.error)}"


def _place(record: DeadLetterPlace | DeadLetterSummary) -> str:
    return f"{record.topic}/{record.partition}/{record.offset}"


def show_command(
    record: str = typer.Argument(help="Where it stands: TOPIC/PARTITION/OFFSET, as `list` prints it."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object; bytes that are no UTF-8 in base64."),
    raw: bool = typer.Option(False, "--raw", help="Nothing but the original bytes of the value."),
) -> None:
    """Show one dead letter whole. Its content may be personal."""
    place = place_of(record)
    letter = _read(lambda reader: reader.dead_letter(*place))
    if letter is None:
        raise NoDeadLetterError(*place)
    if raw:
        sys.stdout.buffer.write(letter.value or b"")
        return
    told = _whole(letter)
    if as_json:
        print(orjson.dumps(told).decode())
        return
    for name, value in told.items():
        print(f"{name:12} {printable(value if isinstance(value, str) else orjson.dumps(value).decode())}")


def _read(ask: Callable[[DeadLetterReader], Awaitable[Result]]) -> Result:
    async def reading() -> Result:
        reader = wiring.reader(load_settings())
        try:
            return await ask(reader)
        finally:
            await reader.aclose()

    with shown_step("reading"):
        return asyncio.run(reading())


def place_of(record: str, hint: str = "RECORD") -> DeadLetterPlace:
    """The place that TOPIC/PARTITION/OFFSET names; colons do as well. `hint`: what the user calls it.

    Raises BadParameter, NoDeadLetterError.
    """
    found = re.fullmatch(r"([^/:]+)[/:]([0-9]+)[/:]([0-9]+)", record)
    if found is None:
        raise typer.BadParameter("use TOPIC/PARTITION/OFFSET, such as touchpoints/2/18211", param_hint=hint)
    topic, partition, offset = found.groups()
    # Wider numbers stand nowhere and do not fit the columns.
    if int(partition) >= 1 << 31 or int(offset) >= 1 << 63:
        raise NoDeadLetterError(topic, int(partition), int(offset))
    return DeadLetterPlace(topic, int(partition), int(offset))


def _whole(letter: DeadLetter) -> dict[str, object]:
    return {
        **record_item(letter.summary),
        "decision": decision_item(letter),
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


def printable(text: str) -> str:
    """The text without what a terminal would act on."""
    # Broken records come from anywhere: nothing in them may move the cursor of a terminal.
    return "".join(char if char.isprintable() else "�" for char in text)
