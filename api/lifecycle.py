"""The lifecycle of one customer: where it stands at an instant, why, what was, and what will be if nothing happens.

Called by the route and by the command line. Worked out from the facts by the pure functions of `projections`, never
from the columns that lists read, so it is right whether or not a sweeper runs. Facts hold most event ids that stand
behind a reason; for the others the reader is asked what happened at that instant.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol

import orjson

from customer_timeline.api.answers import Answer, content_hash
from customer_timeline.projections.activity import type_without_version
from customer_timeline.projections.alive import AliveParameters, alive
from customer_timeline.projections.customer import CustomerFacts, CustomerProjection
from customer_timeline.projections.instants import rfc3339, rfc3339_or_none
from customer_timeline.projections.lifecycle import Schedule, stage_schedule, stage_since_us
from customer_timeline.projections.purchases import next_due_on
from customer_timeline.projections.reading import CustomerRecord, EventAt
from customer_timeline.projections.reasons import Evidence, Explanation, Reason, explain
from customer_timeline.projections.stage_rules import StageRules

# The facts and the events behind them are two reads. Where a merge or a correction came between, both are done again.
_READS: Final = 3
_MICROSECONDS: Final = "_us"

EventIds = Mapping[Evidence, list[str]]


class Assessment(NamedTuple):
    """By what customers are assessed."""

    projection: CustomerProjection
    rules: StageRules
    alive: AliveParameters


class _Case(NamedTuple):
    """One customer at an instant."""

    record: CustomerRecord
    facts: CustomerFacts
    schedule: Schedule
    explanation: Explanation | None
    at_us: int

    def evidence_to_find(self) -> set[Evidence]:
        """What the facts know by its instant alone."""
        reasons = self.explanation.reasons if self.explanation else ()
        return {one for reason in reasons for one in reason.evidence if one.event_id is None}


class FactsReader(Protocol):
    """Customers and their events at instants: a `TimelineReader`, or the past at one cut."""

    async def customer(self, identifier_id: str) -> CustomerRecord | None:
        """The customer that holds the identifier."""
        ...

    async def events_at(self, identifier_id: str, instants_us: Collection[int]) -> tuple[EventAt, ...]:
        """The events of that customer at instants."""
        ...


async def lifecycle_answer(
    reader: FactsReader, identifier_id: str, by: Assessment, at_us: int, *, reads: int = _READS
) -> Answer | None:
    """The lifecycle of the customer that holds an identifier; None where nobody ever named it."""
    record = await reader.customer(identifier_id)
    if record is None:
        return None
    case = _case(record, by, at_us)
    wanted = case.evidence_to_find()
    found = await reader.events_at(identifier_id, {one.at_us for one in wanted}) if wanted else ()
    event_ids = {one: _events_behind(one, found) for one in wanted}
    if reads > 1 and not all(event_ids.values()):
        return await lifecycle_answer(reader, identifier_id, by, at_us, reads=reads - 1)
    return _answer(case, by, event_ids)


def _case(record: CustomerRecord, by: Assessment, at_us: int) -> _Case:
    projection = by.projection
    facts = projection.initial() if record.facts is None else projection.decode(record.facts)
    schedule = stage_schedule(facts, by.rules, projection.calendar)
    return _Case(record, facts, schedule, explain(facts, by.rules, projection.calendar, at_us), at_us)


def _events_behind(evidence: Evidence, found: Iterable[EventAt]) -> list[str]:
    """The ids of the events at that instant that can play that part; ascending."""
    return [
        event.event_id
        for event in found
        if event.occurred_us == evidence.at_us
        and (evidence.role != "sign_of_life" or event.sign_of_life)
        and (evidence.role != "purchase" or type_without_version(event.type) == "purchase.completed")
    ]


def _answer(case: _Case, by: Assessment, event_ids: EventIds) -> Answer:
    explanation = case.explanation
    described = by.projection.describe(case.facts)
    content = orjson.dumps(
        {
            "customer_id": case.record.customer_id,
            "stage": explanation and explanation.stage,
            "flags": explanation.flags if explanation else (),
            "stage_since": rfc3339_or_none(stage_since_us(case.schedule, case.at_us)),
            "since": explanation and rfc3339(explanation.since_us),
            "until": explanation and rfc3339_or_none(explanation.until_us),
            "rule": explanation and explanation.rule,
            "reasons": [_reason(reason, event_ids) for reason in explanation.reasons] if explanation else (),
            **_entries(case.schedule, case.at_us),
            "p_alive": _p_alive(case, by),
            "next_purchase_due_on": next_due_on(case.facts.purchases),
            "complaints": described["complaints"],
            "contracts": described["contracts"],
            "satisfaction": described["satisfaction"],
            "rules_version": by.rules.version,
        }
    )
    body = content[:-1] + b',"at":"' + rfc3339(case.at_us).encode() + b'","cut":null}'
    return Answer(body, content_hash(content), weak=True)


def _reason(reason: Reason, event_ids: EventIds) -> dict[str, Any]:
    return {
        "of": reason.of,
        "rule": reason.rule,
        "inputs": _with_instants(reason.inputs),
        "events": [
            {
                "role": evidence.role,
                "at": rfc3339(evidence.at_us),
                "event_ids": event_ids[evidence] if evidence.event_id is None else [evidence.event_id],
            }
            for evidence in reason.evidence
        ],
    }


def _with_instants(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs with their instants as text: `last_end_us` becomes `last_end_at`."""
    shown: dict[str, Any] = {}
    for name, value in inputs.items():
        if name.endswith(_MICROSECONDS):
            shown[f"{name.removesuffix(_MICROSECONDS)}_at"] = rfc3339_or_none(value)
        elif isinstance(value, list):
            shown[name] = [_with_instants(one) for one in value]
        else:
            shown[name] = value
    return shown


def _entries(schedule: Schedule, at_us: int) -> dict[str, list[dict[str, Any]]]:
    """The entries that began until an instant, each with its end, and those still to come."""
    shown: dict[str, list[dict[str, Any]]] = {"history": [], "schedule": []}
    ends: list[int | None] = [*(entry.from_us for entry in schedule[1:]), None]
    for entry, until_us in zip(schedule, ends, strict=False):
        shown["history" if entry.from_us <= at_us else "schedule"].append(
            {
                "stage": entry.stage,
                "flags": entry.flags,
                "from": rfc3339(entry.from_us),
                "until": rfc3339_or_none(until_us),
            }
        )
    return shown


def _p_alive(case: _Case, by: Assessment) -> dict[str, Any] | None:
    found = alive(case.facts, by.projection.calendar, case.at_us, by.alive)
    return found and {**found._asdict(), "parameters": found.parameters.model_dump()}
