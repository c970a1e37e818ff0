"""Short makers of the events that stages are decided from, and random histories of them for the laws.

Histories meet on purpose: few people's habits, few instants, ties to the microsecond, days on which a clock changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from itertools import count
from typing import Any, NamedTuple

from folding import decoded, folded
from hypothesis import strategies as st

from customer_timeline.projections.calendar import DAY_US, HOUR_US, BusinessCalendar
from customer_timeline.projections.customer import CustomerFacts, CustomerProjection
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.decoded import EPOCH, DecodedEvent, from_micros, to_micros

# 2026-01-01T00:00Z; examples count days from it.
START_US = 1_767_225_600_000_000


def day(number: float) -> int:
    """The instant so many days of 24 hours after 2026-01-01T00:00Z."""
    return START_US + round(number * DAY_US)


def made(type_name: str, at_us: int, number: int, **fields: Any) -> DecodedEvent:
    """An event of a type, at an instant; `number` makes its id."""
    data = {name: value for name, value in fields.items() if value is not None}
    kind = CATALOGUE[f"{type_name}.v1"]
    return decoded(kind, from_micros(at_us), {"channel": "web", **data}, number=number)


class History:
    """A customer's events, numbered in the order they are told, in one business zone."""

    def __init__(self, zone: str = "UTC") -> None:
        self.calendar = BusinessCalendar(zone)
        self.events: list[DecodedEvent] = []
        self._numbers = count(1)

    def add(self, type_name: str, at_us: int, **fields: Any) -> History:
        """One more event."""
        self.events.append(made(type_name, at_us, next(self._numbers), **fields))
        return self

    def page(self, at_us: int, **fields: Any) -> History:
        """A page viewed: a sign of life, unless `automated` or by another `actor`."""
        return self.add("page.viewed", at_us, url="https://shop.example/a", **fields)

    def mail(self, at_us: int) -> History:
        """A mail that we sent: no sign of life."""
        return self.add("email.sent", at_us, message_id="m-1")

    def purchase(self, at_us: int, **fields: Any) -> History:
        """A purchase."""
        return self.add("purchase.completed", at_us, order_id="o-1", total={"amount": "5", "currency": "USD"}, **fields)

    def case(self, verb: str, at_us: int, case_id: str = "c-1") -> History:
        """A complaint opened, reopened, resolved or closed."""
        theme = "delivery" if verb == "opened" else None
        return self.add(f"complaint.{verb}", at_us, case_id=case_id, theme=theme)

    def signed(self, at_us: int, starts_on: str, ends_on: str, contract_id: str = "k-1") -> History:
        """A contract signed."""
        return self.add("contract.signed", at_us, contract_id=contract_id, starts_on=starts_on, ends_on=ends_on)

    def renewed(self, at_us: int, ends_on: str, contract_id: str = "k-1") -> History:
        """A contract renewed."""
        return self.add("contract.renewed", at_us, contract_id=contract_id, ends_on=ends_on)

    def ended(self, at_us: int, contract_id: str = "k-1") -> History:
        """A contract ended."""
        return self.add("contract.ended", at_us, contract_id=contract_id)

    def answered(self, at_us: int, csat: int | None = None, nps: int | None = None) -> History:
        """A survey answered."""
        return self.add("survey.answered", at_us, survey_id="s-1", via="online", csat=csat, nps=nps)

    def facts(self, until_us: int | None = None) -> CustomerFacts:
        """The facts of the events until an instant, itself included; of all without one."""
        return facts_of(self.events, self.calendar, until_us)


def facts_of(events: Iterable[DecodedEvent], calendar: BusinessCalendar, until_us: int | None = None) -> CustomerFacts:
    """The facts of the events until an instant, itself included; of all without one."""
    chosen = (event for event in events if until_us is None or event.occurred_us <= until_us)
    return folded(CustomerProjection(calendar), chosen)


class RandomHistory(NamedTuple):
    """What the laws are tried on."""

    events: list[DecodedEvent]
    rules: StageRules
    calendar: BusinessCalendar


# Each zone with a day a week before its clock changes in a way that has broken calendars.
ZONES = {
    f"{zone} {year}-{month}": (BusinessCalendar(zone), to_micros(EPOCH.replace(year=year, month=month, day=first)))
    for zone, year, month, first in (
        ("UTC", 2026, 1, 1),
        ("Europe/Berlin", 2026, 3, 22),
        ("Europe/Berlin", 2026, 10, 18),
        ("America/Sao_Paulo", 2018, 10, 28),  # no midnight on 2018-11-04
        ("America/St_Johns", 1987, 10, 20),  # back over midnight on 1987-10-25
        ("Pacific/Apia", 2011, 12, 24),  # no 2011-12-30
    )
}
# Small thresholds, so that twenty days hold a whole life; the defaults, so that they are tried too.
RULES = st.one_of(
    st.just(StageRules()),
    st.builds(
        StageRules,
        silent_days=st.integers(2, 4),
        silent_gaps=st.integers(1, 3),
        churn_days=st.integers(2, 7),
        churn_gaps=st.integers(1, 4),
        dormant_days=st.integers(2, 6),
        contract_grace_days=st.integers(2, 4),
        won_back_days=st.integers(1, 5),
        new_days=st.integers(1, 5),
        complaint_days=st.integers(1, 3),
        unhappy_days=st.integers(1, 5),
        loyal_purchase_days=st.integers(1, 4),
    ),
)
_TIMES_OF_DAY = st.sampled_from(
    (
        0,
        0,
        1,
        2 * HOUR_US,
        2 * HOUR_US + HOUR_US // 2,
        3 * HOUR_US,
        10 * HOUR_US,
        12 * HOUR_US,
        23 * HOUR_US,
        DAY_US - 1,
    )
)


@st.composite
def histories(draw: st.DrawFn, *, max_size: int = 9) -> RandomHistory:
    """Random histories of every type that a stage depends on."""
    zone = draw(st.sampled_from(sorted(ZONES)))
    calendar, start_us = ZONES[zone]
    rules = draw(RULES)
    longest = 400 if rules == StageRules() else 20
    days = st.one_of(st.integers(0, longest), st.integers(0, longest // 4), st.sampled_from((0, 5, 6)))
    first_day = date(1970, 1, 1) + timedelta(days=start_us // DAY_US)

    def fields(type_name: str) -> dict[str, Any]:
        some_day = st.integers(-3, longest).map(lambda number: (first_day + timedelta(days=number)).isoformat())
        if type_name == "page.viewed":
            return {"url": "https://shop.example/a"} | draw(_ACTING)
        if type_name == "purchase.completed":
            total = {"amount": "5", "currency": "USD"}
            return {"order_id": "o-1", "total": total} | draw(_ACTING) | draw(_RECURRING)
        if type_name.startswith("complaint."):
            theme = {"theme": "delivery"} if type_name == "complaint.opened" else {}
            return {"case_id": draw(st.sampled_from(("c-1", "c-2")))} | theme | draw(_ACTING)
        if type_name.startswith("contract."):
            named: dict[str, Any] = {"contract_id": draw(st.sampled_from(("k-1", "k-1", "k-2")))}
            agreed = sorted((draw(some_day), draw(some_day)))
            if type_name == "contract.signed":
                named |= {"starts_on": agreed[0], "ends_on": agreed[1]}
            return named | ({"ends_on": agreed[1]} if type_name == "contract.renewed" else {})
        if type_name == "survey.answered":
            return {"survey_id": "s-1", "via": "online"} | draw(_ANSWERS)
        return {"message_id": "m-1"}

    types = draw(_TYPES)
    numbers = draw(st.lists(st.integers(1, 99), unique=True, min_size=1, max_size=max_size))
    events = []
    for number in numbers:
        type_name = draw(types)
        at_us = start_us + draw(days) * DAY_US + draw(_TIMES_OF_DAY)
        events.append(made(type_name, at_us, number, **fields(type_name)))
    return RandomHistory(events, rules, calendar)


_ACTING: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    ({}, {}, {}, {"automated": True}, {"actor": "company"}, {"actor": "customer"})
)
_RECURRING: st.SearchStrategy[dict[str, Any]] = st.sampled_from(({}, {}, {"recurring": True}))
_ANSWERS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    ({"csat": 1}, {"csat": 5}, {"nps": 0}, {"nps": 6}, {"nps": 7}, {"csat": 2, "nps": 10}, {})
)
_PURCHASES, _CONTRACTS = ("purchase.completed",), ("contract.signed", "contract.renewed", "contract.ended")
_COMPLAINTS = ("complaint.opened", "complaint.reopened", "complaint.resolved", "complaint.closed")
_OTHERS = ("page.viewed", "email.sent")
# Each history is about something: in one of everything, the two events that would meet are rarely both there.
_TYPES = st.sampled_from(
    (
        st.one_of(
            [st.sampled_from(types) for types in (_PURCHASES, _CONTRACTS, _COMPLAINTS, _OTHERS, ("survey.answered",))]
        ),
        st.sampled_from((*_PURCHASES, *_PURCHASES, *_OTHERS)),
        st.one_of(st.sampled_from(_CONTRACTS), st.sampled_from(_PURCHASES)),
        st.sampled_from((*_COMPLAINTS, *_PURCHASES)),
        st.sampled_from((*_PURCHASES, "survey.answered")),
    )
)
