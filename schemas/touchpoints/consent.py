"""Consent and preference: for what we may use which channel, and what the customer prefers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from customer_timeline.schemas.touchpoint import CustomerTouchpoint, IdentifierRef
from customer_timeline.schemas.values import IsoDate, LongText, Personal, ShortTexts, Token


class Consent(CustomerTouchpoint):
    """Says for what, and through which channel, by which of the customer's identifiers."""

    who = "customer"
    channel_fields = ("on_channel",)

    purpose: Annotated[Token, Field(description="Such as newsletter or profiling.")]
    on_channel: Annotated[Token | None, Field(description="One of the channels; left out: all of them.")] = None
    identifier: Annotated[
        IdentifierRef | None,
        Field(description="The address or number that it is about, left out: all of the event's. Links nobody."),
    ] = None
    evidence: Annotated[LongText | None, Personal()] = None
    expires_on: IsoDate | None = None


class ConsentGranted(Consent):
    """The customer permitted something."""

    type_name = "consent.granted.v1"
    example = {
        "identifiers": [{"kind": "member_id", "value": "M-4711"}, {"kind": "email", "value": "ann@example.com"}],
        "channel": "web",
        "purpose": "newsletter",
        "on_channel": "email",
        "identifier": {"kind": "email", "value": "ann@example.com"},
        "evidence": "Ticked the box and confirmed by mail.",
        "expires_on": "2028-01-31",
    }


class ConsentWithdrawn(Consent):
    """The customer forbade something; without `on_channel` on all channels."""

    type_name = "consent.withdrawn.v1"
    example = {
        "identifiers": [{"kind": "phone", "value": "+1 202 555 0143"}],
        "channel": "phone",
        "purpose": "newsletter",
    }


class PreferenceStated(CustomerTouchpoint):
    """The customer said how they want to be reached, or what interests them."""

    type_name = "preference.stated.v1"
    who = "customer"
    channel_fields = ("preferred_channel",)
    example = {
        "identifiers": [{"kind": "member_id", "value": "M-4711"}],
        "channel": "web",
        "preferred_channel": "email",
        "interests": ["lamps", "garden"],
        "topics": ["offers"],
    }

    preferred_channel: Annotated[Token | None, Field(description="One of the channels.")] = None
    interests: Annotated[ShortTexts | None, Personal()] = None
    topics: Annotated[ShortTexts | None, Personal()] = None
