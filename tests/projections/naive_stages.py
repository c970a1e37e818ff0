"""A second opinion on stages: the rules, one by one, straight from the list of events, slow and obvious.

Shares nothing with the product but the calendar and the names of the thresholds. Every function answers for one instant
and looks at the events until then; the spans in which a customer had churned are found by asking at every instant at
which any answer can change.
"""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Any

from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.decoded import DecodedEvent

DAY = 24 * 3600 * 1_000_000
FOR_EVER = 10**30


class NaiveStages:
    """Stage and flags of one history, by asking."""

    def __init__(self, events: list[DecodedEvent], rules: StageRules, calendar: BusinessCalendar) -> None:
        self.events = sorted(events, key=lambda event: (event.occurred_us, event.event_id))
        self.rules = rules
        self.calendar = calendar
        self._instants = self.instants_of_change()
        self._churned = [(at, self.churned(at)) for at in self._instants]

    def until(self, at: int, *kinds: str) -> list[DecodedEvent]:
        """The events of some types until `at`, oldest first; of all types without one."""
        return [
            event
            for event in self.events
            if event.occurred_us <= at and (not kinds or event.type.removesuffix(".v1") in kinds)
        ]

    # -- silence --

    def last_sign(self, at: int) -> int:
        known = self.until(at)
        return max([event.occurred_us for event in known if event.sign_of_life] or [known[0].occurred_us])

    def bought_days(self, at: int) -> list[int]:
        return sorted({self.calendar.day(event.occurred_us) for event in self.bought(at, recurring=False)})

    def bought(self, at: int, *, recurring: bool) -> list[DecodedEvent]:
        found = self.until(at, "purchase.completed")
        return [event for event in found if recurring or not data(event).recurring]

    def gap(self, at: int) -> float | None:
        bought_on = self.bought_days(at)
        gaps = sorted(bought_on[index + 1] - bought_on[index] for index in range(len(bought_on) - 1))
        if not gaps:
            return None
        middle = len(gaps) // 2
        return gaps[middle] if len(gaps) % 2 else (gaps[middle - 1] + gaps[middle]) / 2

    def silent_for(self, at: int, days: int, gaps: int) -> bool:
        gap = self.gap(at)
        limit = days if gap is None else max(days, gaps * gap)
        return at - self.last_sign(at) >= limit * DAY

    # -- contracts --

    def contracts(self, at: int) -> dict[str, list[DecodedEvent]]:
        found: dict[str, list[DecodedEvent]] = {}
        for event in self.until(at, "contract.signed", "contract.renewed", "contract.ended"):
            found.setdefault(data(event).contract_id, []).append(event)
        return found

    def midnight(self, day: date, later: int = 0) -> int:
        return self.calendar.midnight_us(day.toordinal() + later - date(1970, 1, 1).toordinal())

    def start_end_ended(self, events: list[DecodedEvent]) -> tuple[int, int, int]:
        start = end = ended = FOR_EVER
        for event in events:
            verb = event.type.split(".")[1]
            if verb == "ended":
                ended = min(ended, event.occurred_us)
                continue
            ended = FOR_EVER
            end = self.midnight(data(event).ends_on, later=1)
            if verb == "signed":
                start = self.midnight(data(event).starts_on)
            elif start == FOR_EVER:
                start = event.occurred_us
        return start, end, ended

    def running(self, at: int) -> bool:
        terms = [self.start_end_ended(events) for events in self.contracts(at).values()]
        return any(start <= at < end and at < ended for start, end, ended in terms)

    def contract_over(self, at: int) -> bool:
        ends = [min(end, ended) for _, end, ended in map(self.start_end_ended, self.contracts(at).values())]
        if not ends or any(end > at for end in ends) or at < max(ends) + self.rules.contract_grace_days * DAY:
            return False
        return all(event.occurred_us < max(ends) for event in self.bought(at, recurring=True))

    # -- complaints and answers --

    def complaint_open(self, at: int) -> bool:
        open_since: dict[str, int] = {}
        for event in self.until(at):
            family, verb = event.type.split(".")[:2]
            if family == "complaint" and verb in ("opened", "reopened"):
                open_since.setdefault(data(event).case_id, event.occurred_us)
            elif family == "complaint":
                open_since.pop(data(event).case_id, None)
        return any(at - since >= self.rules.complaint_days * DAY for since in open_since.values())

    def unhappy(self, at: int) -> bool:
        answers = self.until(at, "survey.answered")
        for scale, worst in (("csat", self.rules.unhappy_csat), ("nps", self.rules.unhappy_nps)):
            given = [event for event in answers if getattr(event.data, scale) is not None]
            recent = given and at - given[-1].occurred_us < self.rules.unhappy_days * DAY
            if recent and getattr(given[-1].data, scale) <= worst:
                return True
        return False

    # -- stage --

    def known(self, at: int) -> bool:
        return bool(self.bought(at, recurring=True) or self.contracts(at))

    def churned(self, at: int) -> bool:
        if not self.known(at):
            return False
        gone = not self.running(at) and self.silent_for(at, self.rules.churn_days, self.rules.churn_gaps)
        return gone or self.contract_over(at)

    def instants_of_change(self) -> list[int]:
        """Every instant at which an answer can change."""
        whole = [self.start_end_ended(events[:n]) for events in self.contracts(FOR_EVER).values() for n in range(9)]
        anchors = {event.occurred_us for event in self.events}
        anchors |= {us for terms in whole for us in terms if us < FOR_EVER}
        rules = self.rules
        gaps = {self.gap(event.occurred_us) or 0 for event in self.events}
        spans: set[float] = {0, rules.dormant_days, rules.contract_grace_days, rules.won_back_days, rules.new_days}
        spans |= {rules.complaint_days, rules.unhappy_days, rules.silent_days, rules.churn_days}
        spans |= {rules.silent_gaps * gap for gap in gaps} | {rules.churn_gaps * gap for gap in gaps}
        first = self.events[0].occurred_us
        return sorted({at for anchor in anchors for span in spans if (at := anchor + int(span * DAY)) >= first})

    def won_back(self, at: int) -> bool:
        came = [event.occurred_us for event in self.bought(at, recurring=False)]
        came += [event.occurred_us for event in self.until(at, "contract.signed")]
        asked = [(instant, churned) for instant, churned in self._churned if instant <= at]
        for (_, before), (ended, after) in pairwise(asked):
            later = [us for us in came if us >= ended]
            if before and not after and later and at - min(later) < self.rules.won_back_days * DAY:
                return True
        return False

    def new(self, at: int) -> bool:
        began = self.bought(at, recurring=True) + self.until(at, "contract.signed")
        return bool(began) and at - min(event.occurred_us for event in began) < self.rules.new_days * DAY

    def flags(self, at: int) -> tuple[str, ...]:
        rules = self.rules
        holding = {
            "silent": self.silent_for(at, rules.silent_days, rules.silent_gaps),
            "dormant": not self.known(at) and at - self.last_sign(at) >= rules.dormant_days * DAY,
            "contract_over": self.contract_over(at),
            "complaint_open": self.complaint_open(at),
            "unhappy": self.unhappy(at),
        }
        return tuple(sorted(flag for flag, holds in holding.items() if holds))

    def at(self, at: int) -> tuple[str, tuple[str, ...]] | None:
        """Stage and flags at an instant; None before the first event."""
        if not self.until(at):
            return None
        flags = self.flags(at)
        return self.stage(at, flags), flags

    def stage(self, at: int, flags: tuple[str, ...]) -> str:
        if not self.known(at):
            return "prospect"
        if self.churned(at):
            return "churned"
        if self.won_back(at):
            return "won_back"
        if ("silent" in flags and not self.new(at)) or "complaint_open" in flags or "unhappy" in flags:
            return "at_risk"
        if len(self.bought_days(at)) >= self.rules.loyal_purchase_days:
            return "loyal"
        return "new" if self.new(at) else "active"

    @property
    def instants(self) -> list[int]:
        """Where to ask: every instant of change, one microsecond before it and one after."""
        return sorted({near for at in self._instants for near in (at - 1, at, at + 1)})


def data(event: DecodedEvent) -> Any:
    """The event's own fields."""
    return event.data
