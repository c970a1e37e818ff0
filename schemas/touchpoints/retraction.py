"""Retractions: taking an event back."""

from __future__ import annotations

from customer_timeline.schemas.touchpoint import Decision


class EventRetracted(Decision):
    """The event with the same `id` and `source` did not happen. Carries a higher `revision` than what it retracts."""

    type_name = "event.retracted.v1"
    who = "system"
    least_revision = 1
    example = {"reason": "Booked twice by mistake.", "operator": "agent-7"}
