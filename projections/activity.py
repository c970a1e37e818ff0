"""Activity: how often, where, how and when a customer was in touch. Counts and first and last instants, no judgement.

Folded for every event of a customer by `projections.customer`. Counts add, instants take the least or the greatest, so
the order of events does not matter.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, TypedDict

from customer_timeline.projections import spells
from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.instants import rfc3339, rfc3339_or_none
from customer_timeline.schemas.decoded import DIRECTION, DecodedEvent

DIRECTIONS: Final = ("inbound", "outbound", "system")


class ActivityFacts(TypedDict, total=False):
    """What `facts->'activity'` holds. Instants: microseconds since 1970-01-01T00:00Z, absent where there was none."""

    events: int
    signs_of_life: int
    first_event_us: int
    last_event_us: int
    first_sign_of_life_us: int
    last_sign_of_life_us: int
    life_spells: str  # projections.spells
    # channel -> direction -> events, and last_us; directions without an event are absent
    by_channel: dict[str, dict[str, int]]
    # type without its version -> events
    by_type: dict[str, int]
    # YYYY-MM in the business time zone -> events
    by_month: dict[str, int]


def initial() -> ActivityFacts:
    """No event."""
    return {"events": 0, "signs_of_life": 0, "by_channel": {}, "by_type": {}, "by_month": {}}


@cache
def type_without_version(event_type: str) -> str:
    """`purchase.completed` for `purchase.completed.v1`: a newer version of a type is still that type to a reader."""
    return event_type.rpartition(".v")[0] or event_type


def fold(activity: ActivityFacts, event: DecodedEvent, calendar: BusinessCalendar) -> None:
    """Count one event. Written out rather than looped over: it runs for every event of the log."""
    us = event.occurred_us
    if activity["events"] == 0:
        activity["first_event_us"] = activity["last_event_us"] = us
    elif us < activity["first_event_us"]:
        activity["first_event_us"] = us
    elif us > activity["last_event_us"]:
        activity["last_event_us"] = us
    activity["events"] += 1
    if event.sign_of_life:
        _fold_sign_of_life(activity, us)
    kind = type_without_version(event.type)
    by_type = activity["by_type"]
    by_type[kind] = by_type.get(kind, 0) + 1
    month = calendar.month(us)
    by_month = activity["by_month"]
    by_month[month] = by_month.get(month, 0) + 1
    if event.channel is not None:
        _fold_channel(activity["by_channel"], event.channel, DIRECTION[event.actor], us)


def _fold_sign_of_life(activity: ActivityFacts, us: int) -> None:
    activity["life_spells"] = spells.with_sign(activity.get("life_spells", spells.EMPTY), us)
    if activity["signs_of_life"] == 0:
        activity["first_sign_of_life_us"] = activity["last_sign_of_life_us"] = us
    elif us < activity["first_sign_of_life_us"]:
        activity["first_sign_of_life_us"] = us
    elif us > activity["last_sign_of_life_us"]:
        activity["last_sign_of_life_us"] = us
    activity["signs_of_life"] += 1


def _fold_channel(by_channel: dict[str, dict[str, int]], channel: str, direction: str, us: int) -> None:
    entry = by_channel.get(channel)
    if entry is None:
        by_channel[channel] = {direction: 1, "last_us": us}
        return
    entry[direction] = entry.get(direction, 0) + 1
    if us > entry["last_us"]:
        entry["last_us"] = us


def combine(into: ActivityFacts, other: ActivityFacts) -> None:
    """Add the activity of other events."""
    into["events"] += other["events"]
    into["signs_of_life"] += other["signs_of_life"]
    for first in ("first_event_us", "first_sign_of_life_us"):
        if first in other:
            into[first] = min(into.get(first, other[first]), other[first])
    for last in ("last_event_us", "last_sign_of_life_us"):
        if last in other:
            into[last] = max(into.get(last, other[last]), other[last])
    if "life_spells" in other:
        into["life_spells"] = spells.union(into.get("life_spells", spells.EMPTY), other["life_spells"])
    _add_counts(into["by_type"], other["by_type"])
    _add_counts(into["by_month"], other["by_month"])
    for channel, theirs in other["by_channel"].items():
        mine = into["by_channel"].get(channel)
        if mine is None:
            into["by_channel"][channel] = dict(theirs)
            continue
        last_us = max(mine["last_us"], theirs["last_us"])
        _add_counts(mine, theirs)
        mine["last_us"] = last_us


def _add_counts(into: dict[str, int], other: dict[str, int]) -> None:
    for key, count in other.items():
        into[key] = into.get(key, 0) + count


def describe(activity: ActivityFacts) -> dict[str, Any]:
    """The activity as the API shows it: keys sorted, all directions present, instants RFC 3339 UTC or None."""
    return {
        "events": activity["events"],
        "signs_of_life": activity["signs_of_life"],
        "first_at": rfc3339_or_none(activity.get("first_event_us")),
        "last_at": rfc3339_or_none(activity.get("last_event_us")),
        "last_sign_of_life_at": rfc3339_or_none(activity.get("last_sign_of_life_us")),
        "by_channel": {
            channel: {
                **{direction: entry.get(direction, 0) for direction in DIRECTIONS},
                "last_at": rfc3339(entry["last_us"]),
            }
            for channel, entry in sorted(activity["by_channel"].items())
        },
        "by_type": dict(sorted(activity["by_type"].items())),
        "by_month": dict(sorted(activity["by_month"].items())),
    }
