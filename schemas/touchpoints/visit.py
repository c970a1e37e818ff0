"""Visits: meetings in person, and events that the customer attended."""

from __future__ import annotations

from typing import Annotated, Literal

from customer_timeline.schemas.touchpoint import CustomerTouchpoint
from customer_timeline.schemas.values import LongText, Personal, Seconds, ShortText


class VisitCompleted(CustomerTouchpoint):
    """The customer was in a shop or office, at an exhibition, a meeting, a lecture or a webinar."""

    type_name = "visit.completed.v1"
    who = "customer"
    life = True
    example = {
        "identifiers": [{"kind": "member_id", "value": "M-4711"}],
        "channel": "store",
        "kind": "store",
        "purpose": "advice",
        "outcome": "tried two models",
        "duration_s": 1500,
        "location": {"place": "store-berlin-1", "region": "Berlin", "lat": "52.52", "lon": "13.405"},
    }

    kind: Literal["store", "office", "exhibition", "meeting", "lecture", "webinar", "interview", "focus_group", "other"]
    purpose: ShortText | None = None
    outcome: Annotated[LongText | None, Personal()] = None
    duration_s: Seconds | None = None
