"""What changed of a customer between two instants of recording, and the events that did it.

Called by the route and by the command line.
"""

from __future__ import annotations

from typing import Any

import orjson

from customer_timeline.api.answers import Answer, content_hash, customer_content
from customer_timeline.api.lifecycle import Assessment
from customer_timeline.projections.customer import CustomerFacts
from customer_timeline.projections.cut_reading import CutReader
from customer_timeline.projections.cuts import Past
from customer_timeline.projections.differences import Change, Difference, Fields, Side, changes_of, fields_of
from customer_timeline.projections.instants import rfc3339, rfc3339_or_none
from customer_timeline.projections.lifecycle import entry_at, stage_schedule
from customer_timeline.schemas.decoded import DecodedEvent, to_micros


async def difference_answer(
    reader: CutReader, identifier_id: str, before: Past, after: Past, by: Assessment, now_us: int
) -> Answer | None:
    """The fields that differ between two cuts; None where neither knows the identifier.

    Stage and flags are compared at one instant, that of the later cut.
    """
    found = await reader.difference(identifier_id, before, after)
    if found is None:
        return None
    at_us = after.cut.instant_us(now_us)
    facts_before, facts_after = found.facts_before(by.projection), found.facts_after(by.projection)
    changes = changes_of(
        found,
        _fields(found.before, facts_before, by, at_us),
        _fields(found.after, facts_after, by, at_us),
        by.projection,
        lambda facts: _facts_fields(facts, by, at_us),
    )
    horizon = await reader.horizon()
    content = orjson.dumps(
        {
            "changes": [_change(change) for change in changes],
            "events": [*_events(found)],
            "as_of": rfc3339_or_none(after.cut.as_of_us),
            "known_from": rfc3339_or_none(before.cut.known_at_us),
            "known_to": rfc3339_or_none(after.cut.known_at_us),
            "identity": after.who,
            "complete": horizon.complete(after.cut),
        }
    )
    body = content[:-1] + b',"at":"' + rfc3339(at_us).encode() + b'"}'
    return Answer(body, content_hash(content), weak=True)


def _fields(side: Side | None, facts: CustomerFacts, by: Assessment, at_us: int) -> Fields:
    if side is None:
        return {}
    content = customer_content(side.customer_id, side.members, facts, by.projection)
    content["identifiers"] = {f"{one.pop('kind')}:{one.pop('value')}": one for one in content["identifiers"]}
    return {
        **fields_of(content),
        **_stage_fields(facts, by, at_us),
    }


def _facts_fields(facts: CustomerFacts, by: Assessment, at_us: int) -> Fields:
    """The fields that follow from facts alone."""
    described = by.projection.describe(facts)
    parts = {name: described[name] for name in ("profile", "activity", "purchases")}
    return {**fields_of(parts), **_stage_fields(facts, by, at_us)}


def _stage_fields(facts: CustomerFacts, by: Assessment, at_us: int) -> Fields:
    entry = entry_at(stage_schedule(facts, by.rules, by.projection.calendar), at_us)
    return {"lifecycle.stage": entry and entry.stage, "lifecycle.flags": list(entry.flags) if entry else []}


def _change(change: Change) -> dict[str, Any]:
    return {"field": change.field, "before": change.before, "after": change.after, "event_ids": change.event_ids}


def _events(found: Difference) -> list[dict[str, Any]]:
    """The events of the difference, in the order they happened; one that was corrected shows its later record."""
    removed = {event.event_id: event for event in found.removed}
    added = {event.event_id: event for event in found.added}
    shown = [*found.added, *(event for event in found.removed if event.event_id not in added)]
    shown.sort(key=lambda event: (event.occurred_us, event.event_id))
    return [_event(event, event.event_id in added, event.event_id in removed) for event in shown]


def _event(event: DecodedEvent, added: bool, removed: bool) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "type": event.type,
        "occurred_at": rfc3339(event.occurred_us),
        "recorded_at": rfc3339(to_micros(event.recorded_at)),
        "how": "corrected" if added and removed else "added" if added else "removed",
    }
