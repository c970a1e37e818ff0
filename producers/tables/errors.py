"""What can be wrong with a mapping, a table, or one row of it. Each reads as a sentence: what, where, what to do.

None of them holds the value of a cell: messages are logged, and cells are personal. The row itself goes to the file of
rejected rows and nowhere else.
"""

# ruff: noqa: N818 (named for what is the case, as the codebase names its verdicts)

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from customer_timeline.schemas.errors import CustomerTimelineError, InvalidEvent

_USAGE = 2  # exit code of the command line


class InvalidMapping(CustomerTimelineError):
    """The mapping cannot be used for this table. `problems` holds all that is wrong with it, one sentence each."""

    exit_code = _USAGE

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        head = "One thing in the mapping is" if len(self.problems) == 1 else "Some things in the mapping are"
        super().__init__(f"{head} wrong.\n  " + "\n  ".join(self.problems))


class TableUnreadable(CustomerTimelineError):
    """The table cannot be read on after `row` rows; `reason` says why."""

    def __init__(self, row: int, reason: str) -> None:
        self.row = row
        self.reason = reason
        where = f"after row {row:,}" if row else "from its beginning"
        super().__init__(f"The table cannot be read {where}: {reason}.")


class Unconvertible(ValueError):
    """A cell is not what the mapping says it is; the message says what is expected, never what stands there."""


class RowReason(StrEnum):
    """Why a row is rejected before any event is made of it. Beside these stand the reasons of dead letters."""

    UNREADABLE_ROW = "unreadable_row"
    INVALID_CELL = "invalid_cell"


class RejectedRow(CustomerTimelineError):
    """A row gives no event. `field` is the target at fault, `type` the event's, `column` the table's."""

    def __init__(
        self,
        reason: RowReason,
        detail: str,
        *,
        type: str | None = None,  # noqa: A002 - the attribute's own name
        field: str | None = None,
        column: str | None = None,
    ) -> None:
        self.reason = reason
        self.detail = detail
        self.type = type
        self.field = field
        self.column = column
        super().__init__(f"{reason.value} ({field or column or 'the row'}): {detail}")


Rejection = RejectedRow | InvalidEvent
"""Either of the two has `reason`, `detail`, `type` and `field`."""
