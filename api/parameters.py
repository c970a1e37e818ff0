"""The parameters of requests for pages, their defaults and maxima."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from customer_timeline.api.cursors import LATEST_US, LENGTH, LIST_LENGTH, REVIEW_LENGTH
from customer_timeline.api.references import MAX_LENGTH
from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.cuts import Cut, IdentityAt
from customer_timeline.projections.identity_review import ReviewFilter, ReviewList
from customer_timeline.projections.lifecycle import Flag, Stage
from customer_timeline.projections.reading import CustomerFilter, Order, TimelineFilter
from customer_timeline.schemas.decoded import EPOCH, to_micros

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
OF_THE_ROUTER: Final = ("after", "wait_s")
"""Query parameters that every read of customers takes, by the dependency in `own_write`."""
DEFAULT_SIZE: Final = 20
MAX_SIZE: Final = 100_000

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})")


def _instant_us(value: Any) -> int:
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise ValueError("use RFC 3339 with an offset, such as 2026-03-01T00:00:00Z (a + is written %2B in a URL)")
    try:
        micros = to_micros(datetime.fromisoformat(value.upper()))
    except ValueError as exc:
        raise ValueError("there is no such date or time of day") from exc
    return min(max(micros, 0), LATEST_US)  # no event lies outside


def _instant_or_date(value: Any) -> int | date:
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError as exc:
            raise ValueError("there is no such date") from exc
    try:
        return _instant_us(value)
    except ValueError as exc:
        raise ValueError(f"{exc}; or a date such as 2026-03-31, which means its end in the business time zone") from exc


def whole_number(value: Any) -> int:
    """A number of digits only. Raises ValueError."""
    if not isinstance(value, int) and not re.fullmatch(r"[0-9]{1,9}", str(value)):
        raise ValueError("use a whole number")
    return int(value)


Instant = Annotated[
    int,
    BeforeValidator(_instant_us),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-01T00:00:00Z"]}),
]


class StrictParameters(BaseModel):
    """Query parameters of one route. Unknown ones are refused: a mistyped filter must not list everything."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _leave_those_of_the_router(cls, given: Any) -> Any:
        return {n: v for n, v in given.items() if n not in OF_THE_ROUTER} if isinstance(given, Mapping) else given


Moment = Annotated[
    int | date,
    BeforeValidator(_instant_or_date),
    WithJsonSchema(
        {
            "type": "string",
            "anyOf": [{"format": "date-time"}, {"format": "date"}],
            "examples": ["2026-03-01T00:00:00Z", "2026-03-31"],
        }
    ),
]


class CutParameters(StrictParameters):
    """Query parameters of every read: at what cut in two times, and who is who there."""

    as_of: Moment | None = Field(
        default=None,
        description="Only what had happened by then, this instant included. A date: its end in the business time zone.",
    )
    known_at: Moment | None = Field(
        default=None,
        description="Only what had been recorded by then: later events, corrections and retractions do not count.",
    )
    identity: IdentityAt | None = Field(
        default=None,
        description="Who is who: by the facts at the `cut`, or by all that is known today (`current`). "
        "Default: `cut`; in lists `current`.",
    )

    @property
    def cuts(self) -> bool:
        """Whether anything but the present is asked for."""
        return self.as_of is not None or self.known_at is not None

    def cut(self, calendar: BusinessCalendar) -> Cut:
        """The instants; a date stands for the last one of that day."""
        return Cut(_last_us(self.as_of, calendar), _last_us(self.known_at, calendar))


def _last_us(moment: int | date | None, calendar: BusinessCalendar) -> int | None:
    if isinstance(moment, date):
        return min(calendar.midnight_us(moment.toordinal() - EPOCH.toordinal() + 1) - 1, LATEST_US)
    return moment


class DifferenceParameters(StrictParameters):
    """Query parameters of what changed between two instants of recording."""

    known_from: Moment = Field(description="What had been recorded by then, this instant included, was known before.")
    known_to: Moment | None = Field(
        default=None, description="What had been recorded by then is known after; default: all that is."
    )
    as_of: Moment | None = Field(default=None, description="On both sides only what had happened by then.")
    identity: IdentityAt = Field(
        default="cut", description="Who is who on each side: by what it knew, or by all that is known (`current`)."
    )

    def cuts(self, calendar: BusinessCalendar) -> tuple[Cut, Cut]:
        """Before and after; a date stands for its last instant."""
        as_of_us = _last_us(self.as_of, calendar)
        return Cut(as_of_us, _last_us(self.known_from, calendar)), Cut(as_of_us, _last_us(self.known_to, calendar))


class LateEventParameters(StrictParameters):
    """Query parameters of the late-event report."""

    from_: Instant | None = Field(
        default=None, alias="from", description="Recorded at this instant or later; default: the close."
    )
    until: Instant | None = Field(default=None, description="Recorded before this instant; default: now.")
    close: Instant | None = Field(
        default=None,
        description="Months that ended by then are closed; default: the begin of this month in the business time zone.",
    )
    format: Literal["json", "csv"] = Field(default="json", description="CSV: one line a figure (RFC 4180).")

    @model_validator(mode="after")
    def _window_has_a_length(self) -> Self:
        begin = self.close if self.from_ is None else self.from_
        if begin is not None and self.until is not None and begin >= self.until:
            raise ValueError("until must be later than from (or, without from, than close)")
        return self


class TimelineParameters(CutParameters):
    """Query parameters of a timeline."""

    limit: Annotated[int, BeforeValidator(whole_number)] = Field(
        default=DEFAULT_LIMIT,
        ge=1,
        le=MAX_LIMIT,
        description=f"Events a page; default {DEFAULT_LIMIT}, at most {MAX_LIMIT}.",
    )
    cursor: str | None = Field(
        default=None,
        min_length=1,
        max_length=LENGTH,
        description="`next_cursor` of the page before, with the same filters. Stays valid when customers are merged.",
    )
    type: str | None = Field(
        default=None,
        max_length=100,
        pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*(\.v[1-9][0-9]{0,3})?$",
        description="Events of one type, with or without its version.",
        examples=["purchase.completed"],
    )
    channel: str | None = Field(
        default=None,
        max_length=100,
        pattern=r"^[a-z][a-z0-9_-]*$",
        description="Events of one channel.",
        examples=["email"],
    )
    from_: Instant | None = Field(default=None, alias="from", description="Events at this instant or later.")
    until: Instant | None = Field(default=None, description="Events before this instant.")

    def wanted(self) -> TimelineFilter:
        """The filters among them."""
        return TimelineFilter(self.type, self.channel, self.from_, self.until)


class WhyParameters(CutParameters):
    """Query parameters of `why`."""

    a: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_LENGTH,
        description="An identifier, as `ref` names one; the one in the path where it is not given.",
        examples=["email:ann@example.com"],
    )
    b: str = Field(
        min_length=1,
        max_length=MAX_LENGTH,
        description="The other identifier, of this customer or another.",
        examples=["phone:+14155550123"],
    )


class ListParameters(CutParameters):
    """Query parameters of a list of customers."""

    stage: Stage | None = Field(default=None, description="Customers of one stage.")
    flag: Flag | None = Field(default=None, description="Customers with this flag, whichever stage won.")
    order: Order = Field(
        default="customer_id",
        description="By id, by the last event, or by since when the stage and flags hold; a minus: latest first.",
    )
    limit: Annotated[int, BeforeValidator(whole_number)] = Field(
        default=DEFAULT_LIMIT,
        ge=1,
        le=MAX_LIMIT,
        description=f"Customers a page; default {DEFAULT_LIMIT}, at most {MAX_LIMIT}.",
    )
    cursor: str | None = Field(
        default=None,
        min_length=1,
        max_length=LIST_LENGTH,
        description="`next_cursor` of the page before, with the same filters and order.",
    )

    def wanted(self) -> CustomerFilter:
        """The filters and the order among them."""
        return CustomerFilter(self.stage, self.flag, self.order)


class ReviewParameters(BaseModel):
    """Query parameters of the review of identity. Unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: ReviewList = Field(
        description=(
            "`shared_values`: values that glue nobody. `refused_links`: links that limits, or decisions about others, "
            "skipped. `large_customers`: those of many identifiers. `recent_changes`: customers under another id."
        )
    )
    size: Annotated[int, BeforeValidator(whole_number)] = Field(
        default=DEFAULT_SIZE,
        ge=2,
        le=MAX_SIZE,
        description=f"Identifiers from which on a customer is large; default {DEFAULT_SIZE}, at most {MAX_SIZE:,}.",
    )
    limit: Annotated[int, BeforeValidator(whole_number)] = Field(
        default=DEFAULT_LIMIT,
        ge=1,
        le=MAX_LIMIT,
        description=f"Items a page; default {DEFAULT_LIMIT}, at most {MAX_LIMIT}.",
    )
    cursor: str | None = Field(
        default=None,
        min_length=1,
        max_length=REVIEW_LENGTH,
        description="`next_cursor` of the page before, with the same `of` and `size`.",
    )

    def wanted(self) -> ReviewFilter:
        """The list that is asked for."""
        return ReviewFilter(self.of, self.size)
