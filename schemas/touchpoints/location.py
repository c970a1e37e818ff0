"""Places: where a customer checked in, and when they entered and left an area."""

from __future__ import annotations

from typing import Literal

from customer_timeline.schemas.touchpoint import CustomerTouchpoint, Location


class LocationTouchpoint(CustomerTouchpoint):
    """Says where, and how that is known."""

    who = "customer"

    location: Location
    via: Literal["gps", "wifi", "bluetooth", "manual"]


class LocationCheckedIn(LocationTouchpoint):
    """The customer told us where they are."""

    type_name = "location.checked_in.v1"
    life = True
    example = {
        "identifiers": [{"kind": "member_id", "value": "M-4711"}],
        "channel": "app",
        "location": {"place": "store-berlin-1", "region": "Berlin"},
        "via": "manual",
    }


class LocationEntered(LocationTouchpoint):
    """The customer's device came into an area. No sign of life: nobody need have looked at it."""

    type_name = "location.entered.v1"
    example = {
        "identifiers": [{"kind": "device_id", "value": "5f0c1d52-7f0e-4f0b-9d51-0a6f7d1c9b11"}],
        "channel": "app",
        "location": {"place": "store-berlin-1", "region": "Berlin", "lat": "52.52", "lon": "13.405"},
        "via": "gps",
    }


class LocationLeft(LocationTouchpoint):
    """The customer's device left the area."""

    type_name = "location.left.v1"
    example = {
        "identifiers": [{"kind": "device_id", "value": "5f0c1d52-7f0e-4f0b-9d51-0a6f7d1c9b11"}],
        "channel": "app",
        "location": {"place": "store-berlin-1"},
        "via": "bluetooth",
    }
