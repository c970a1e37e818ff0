"""The parts of events that every adapter writes: who is meant, and how much money.

Values go into the log as the source has them; normalising is the reader's work, so an adapter never trims or guesses.
"""

from __future__ import annotations

from decimal import Decimal

from customer_timeline.producers.building import checked_part
from customer_timeline.schemas.identity_policy import PLATFORM_KIND
from customer_timeline.schemas.touchpoint import IdentifierRef
from customer_timeline.schemas.values import Money


def identifier(kind: str, value: str) -> IdentifierRef:
    """A value that means a person, of a kind that the settings know. Raises `InvalidEvent` if it can be none."""
    return checked_part(IdentifierRef, kind=kind, value=value)


def member_id(value: str) -> IdentifierRef:
    """The number of a loyalty programme's member."""
    return identifier("member_id", value)


def user_id(value: str) -> IdentifierRef:
    """The account of a registered user."""
    return identifier("user_id", value)


def crm_id(value: str) -> IdentifierRef:
    """The person's record in the CRM."""
    return identifier("crm_id", value)


def open_id(platform: str, value: str) -> IdentifierRef:
    """What a platform calls the person: `open_id("wechat", "o6_bm…")`."""
    return identifier(f"{PLATFORM_KIND}:{platform}", value)


def email(value: str) -> IdentifierRef:
    """An email address, in any spelling."""
    return identifier("email", value)


def phone(value: str) -> IdentifierRef:
    """A telephone number, in any spelling; without a `+` it is read as of the configured region."""
    return identifier("phone", value)


def device_id(value: str) -> IdentifierRef:
    """A browser or device, by its cookie or advertising id."""
    return identifier("device_id", value)


def money(amount: Decimal | int | str, currency: str) -> Money:
    """An exact amount of one currency (ISO 4217): `money("12.50", "USD")`. Floats are refused: they are not exact."""
    return checked_part(Money, amount=amount, currency=currency)
