"""What commands share that decide something: show what would happen, ask, do it, and let it be told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, TypeVar

import typer
from pydantic import TypeAdapter, ValidationError

from customer_timeline.runtime.asking import InvalidOptionsError
from customer_timeline.schemas.operations import Operator, Reason

Done = TypeVar("Done")

GO_ON: Final = "Run the same command again: what is done already is not done twice."
"""What an operator is told whose command was interrupted."""

PLANNING: Final = "working out what it changes"
PUBLISHING: Final = "waiting for Kafka"
"""What a command is at that plans and publishes one event."""


class Decider(NamedTuple):
    """Who decides, and why, as an operation can hold it."""

    operator: str
    reason: str


def decider(operator: str, reason: str, *, reason_option: str = "--reason") -> Decider:
    """Who decides and why, checked before anything is done. Raises InvalidOptionsError."""
    return Decider(_checked(Operator, operator, "--operator"), _checked(Reason, reason, reason_option))


def _checked(form: Any, text: str, option: str) -> str:
    try:
        return TypeAdapter[str](form).validate_python(text)
    except ValidationError as exc:
        raise InvalidOptionsError(f"Not valid: {option}: {exc.errors()[0]['msg']}.") from exc


class Manner(NamedTuple):
    """How the command was called: only to show, for a program, without a question."""

    dry_run: bool
    as_json: bool
    yes: bool

    def decide(
        self, show: Callable[[bool], object], question: str, act: Callable[[], Done], *, worth: bool = True
    ) -> Done | None:
        """What `act` gives once somebody agreed; None in a dry run, and where nothing is `worth` doing.

        `show` is given whether to write to stderr: stdout is then for JSON. Raises typer.Abort where nobody agrees.
        """
        if not self.as_json or not (self.dry_run or self.yes):
            show(self.as_json)
        if self.dry_run or not worth:
            return None
        if not self.yes:
            typer.confirm(question, abort=True, err=True)
        return act()


def place(at: Iterable[object]) -> str:
    """A place in the log as it is printed: TOPIC/PARTITION/OFFSET."""
    return "/".join(map(str, at))
