"""Decisions about two identifiers: the event, and what it would do to the customers concerned, before it is published.

Called by the command line. The event names the two identifiers that were given, never what they resolve to: who they
belong to is worked out again whenever the log is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from customer_timeline.api.identity import UnknownIdentifierError, around
from customer_timeline.api.references import is_identifier_id, kind_and_value
from customer_timeline.producers.parts import identifier
from customer_timeline.producers.touchpoints import identity_linked, identity_unlinked
from customer_timeline.projections.component import ComponentDecision, ComponentMember
from customer_timeline.projections.customer import CustomerFacts, CustomerProjection
from customer_timeline.projections.identity_preview import Preview, Side, preview
from customer_timeline.projections.lifecycle import entry_at, stage_schedule
from customer_timeline.projections.reading import TimelineReader
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.decoded import DecodedEvent, from_micros, to_micros
from customer_timeline.schemas.envelope import Event
from customer_timeline.schemas.touchpoint import IdentifierRef

SOURCE: Final = "/customer-timeline/operators"
MOST_EVENTS: Final = 20_000
"""Events that are folded to show the figures of a customer that does not exist yet; some tenths of a second."""

Verdict = Literal["linked", "unlinked"]


class Figures(NamedTuple):
    """What is shown of a customer's facts. `net` by currency, exact."""

    events: int
    purchases: int
    net: Mapping[str, str]
    stage: str | None


def figures_of(facts: CustomerFacts, projection: CustomerProjection, rules: StageRules, now: datetime) -> Figures:
    """What is shown of facts at an instant."""
    columns = projection.columns(facts)
    sums = projection.describe(facts)["purchases"]["by_currency"]
    entry = entry_at(stage_schedule(facts, rules, projection.calendar), to_micros(now))
    net = {currency: amounts["net"] for currency, amounts in sums.items()}
    return Figures(columns.events, columns.purchases, net, entry.stage if entry else None)


class ShownSide(NamedTuple):
    """A customer before or after; no figures where its history is too long to fold here, or it changes just now."""

    side: Side
    figures: Figures | None


class Plan(NamedTuple):
    """A decision that is ready to be published, and what it would do."""

    event: Event[Any]
    decoded: DecodedEvent
    found: Preview
    before: tuple[ShownSide, ...]
    after: tuple[ShownSide, ...]


class Planner:
    """Plans decisions by what the views say now."""

    def __init__(self, reader: TimelineReader, codec: Codec, projection: CustomerProjection, rules: StageRules) -> None:
        self._reader = reader
        self._codec = codec
        self._projection = projection
        self._rules = rules

    async def plan(self, verdict: Verdict, refs: tuple[str, str], *, reason: str, operator: str, now: datetime) -> Plan:
        """The event about the two identifiers that `refs` name, and its consequences.

        Raises InvalidReferenceError or InvalidEvent where they cannot be decided about, UnknownIdentifierError for an
        id that nobody ever gave out.
        """
        a, b = [await self._named(ref) for ref in refs]
        make = identity_linked if verdict == "linked" else identity_unlinked
        event = make(source=SOURCE, time=now, a=a, b=b, reason=reason, operator=operator)
        decoded = self._codec.decode(self._codec.encode(event), appended_at=now)
        pair = decoded.decides or ()
        unseen = {one.identifier_id: ComponentMember(*one, None, None, False) for one in pair}
        component = await around(self._reader, {one: one for one in unseen}, unseen=unseen)
        found = preview(component, _decision(decoded, verdict, reason, operator), self._codec.space.policy)
        facts = {side.ids: await self._facts_now(side) for side in found.before}
        before = tuple(ShownSide(side, self._figures(facts[side.ids], now)) for side in found.before)
        after = [ShownSide(side, self._figures(await self._facts_then(side, facts), now)) for side in found.after]
        return Plan(event, decoded, found, before, tuple(after))

    async def _named(self, ref: str) -> IdentifierRef:
        if not is_identifier_id(ref):
            return identifier(*kind_and_value(ref))
        component = await self._reader.identity(ref.lower())
        if component is None:
            raise UnknownIdentifierError(ref)
        member = next(one for one in component.inside if one.identifier_id == ref.lower())
        return identifier(member.kind, member.value)

    async def _facts_now(self, side: Side) -> CustomerFacts | None:
        record = await self._reader.customer(side.customer_id)
        if record is None:
            return self._projection.initial()
        if {member.identifier_id for member in record.members} != side.ids:
            return None  # it has changed since the component was read
        return self._projection.decode(record.facts) if record.facts else self._projection.initial()

    async def _facts_then(self, side: Side, now: Mapping[frozenset[str], CustomerFacts | None]) -> CustomerFacts | None:
        parts = [(ids, facts) for ids, facts in now.items() if ids <= side.ids]
        if sum(len(ids) for ids, _ in parts) == len(side.ids):
            return self._combined([facts for _, facts in parts])
        events = await self._reader.events_of(side.ids, limit=MOST_EVENTS)
        if events is None:
            return None
        folded = self._projection.initial()
        for event, recorded_us in events:
            recorded_at = from_micros(recorded_us)
            value = event.encode()
            self._projection.apply(
                folded,
                self._codec.decode(value, appended_at=recorded_at, recorded_header=recorded_at.isoformat()),
            )
        return folded

    def _combined(self, parts: list[CustomerFacts | None]) -> CustomerFacts | None:
        combined = self._projection.initial()
        for facts in parts:
            if facts is None:
                return None
            self._projection.combine(combined, facts)
        return combined

    def _figures(self, facts: CustomerFacts | None, now: datetime) -> Figures | None:
        return None if facts is None else figures_of(facts, self._projection, self._rules, now)


def _decision(decoded: DecodedEvent, verdict: Verdict, reason: str, operator: str) -> ComponentDecision:
    a, b = sorted(one.identifier_id for one in decoded.decides or ())
    recorded_us = to_micros(decoded.recorded_at)
    return ComponentDecision(decoded.event_id, (a, b), verdict, decoded.occurred_us, recorded_us, reason, operator)


def described(plan: Plan) -> dict[str, Any]:
    """The plan as the command line prints it with `--json`."""
    return {
        "event_id": plan.decoded.event_id,
        "type": plan.decoded.type,
        "a": plan.event.data.a.model_dump(),
        "b": plan.event.data.b.model_dump(),
        "reason": plan.event.data.reason,
        "operator": plan.event.data.operator,
        "counts": plan.found.judged.counts,
        "changes": plan.found.changes,
        "before": [_side(one) for one in plan.before],
        "after": [_side(one) for one in plan.after],
        "refused_links": _ties(plan, plan.found.refused),
        "restored_links": _ties(plan, plan.found.restored),
    }


def _side(shown: ShownSide) -> dict[str, Any]:
    return {
        "customer_id": shown.side.customer_id,
        "identifiers": [
            {"identifier_id": m.identifier_id, "kind": m.kind, "value": m.value} for m in shown.side.members
        ],
        "figures": shown.figures and shown.figures._asdict(),
    }


def _ties(plan: Plan, ties: tuple[Any, ...]) -> list[dict[str, Any]]:
    known = {member.identifier_id: member for shown in plan.before for member in shown.side.members}
    return [
        {
            **{
                name: {"kind": known[end].kind, "value": known[end].value}
                for name, end in zip("ab", tie.pair, strict=True)
            },
            "event_ids": [one.event_id for one in tie.evidence],
            "decided": tie.decision is not None,
            "reason": tie.refused,
        }
        for tie in ties
    ]
