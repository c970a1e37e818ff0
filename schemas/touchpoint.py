"""What every touchpoint has: the common fields of event data, and what a type declares about itself beside its model.

A type of event is one class in `schemas/touchpoints/`, deriving from `CustomerTouchpoint`, `CompanyTouchpoint` or
`Decision` (or, rarely, `AnyonesTouchpoint`). It declares its name, who acts by default, and whether it is a sign of
life; the catalogue finds it there, and nothing else has to change. Pure data: no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from customer_timeline.schemas.decoded import Actor
from customer_timeline.schemas.identity_policy import THING_KINDS
from customer_timeline.schemas.values import (
    Flag,
    JsonObject,
    Latitude,
    Longitude,
    Part,
    Personal,
    Token,
)

Who = Literal["customer", "company", "system", "direction"]
"""Who acted by default; `direction` = the customer if the field `direction` is inbound, else the company."""

CHANNELS: Final = frozenset(
    (
        *("phone", "email", "sms", "web", "app", "chat", "social", "store"),
        *("office", "event", "mail", "partner", "marketplace", "field", "crm", "other"),
    )
)
"""The closed list of channels; a deployment adds its own by the setting `extra_channels`."""

MAX_IDENTIFIERS: Final = 20

_THING_FIELDS: Final = tuple((f"{kind}_id", kind) for kind in THING_KINDS)
# These begin something with a person in hand; every other event that names a thing continues it.
_BEGINNING_VERBS: Final = frozenset({"opened", "placed", "signed", "planned"})
_BEGINNING_TYPES: Final = frozenset({"purchase.completed"})


class IdentifierRef(Part):
    """A value that means a person, as the channel wrote it; normalised on reading, kept raw in the log."""

    kind: Annotated[
        str,
        StringConstraints(max_length=64, pattern=r"^[a-z][a-z0-9_]*(:[a-z0-9][a-z0-9_.-]*)?$"),
        Field(
            description="member_id, user_id, crm_id, open_id:<platform>, email, phone, device_id; more by the settings"
        ),
    ]
    value: Annotated[str, StringConstraints(max_length=4096), Personal()]


Identifiers = Annotated[tuple[IdentifierRef, ...], Field(max_length=MAX_IDENTIFIERS)]


class Campaign(Part):
    """The campaign that an event belongs to."""

    id: Token
    medium: Token | None = None
    content: Token | None = None


class Location(Part):
    """Where it happened. Coordinates are decimal strings in degrees (WGS 84)."""

    place: Token | None = None
    region: Token | None = None
    lat: Annotated[Latitude | None, Personal()] = None
    lon: Annotated[Longitude | None, Personal()] = None


class Staff(Part):
    """The member of staff who was involved."""

    id: Token
    team: Token | None = None


class TouchpointData(BaseModel):
    """The `data` of one type of event: frozen, closed to unknown fields; its declarations are class attributes."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    type_name: ClassVar[str] = ""
    """The full type, `purchase.completed.v1`; empty for the classes that only share fields."""
    who: ClassVar[Who] = "system"
    life: ClassVar[bool] = False
    """The customer does this on purpose, so it counts for recency and silence; see `is_sign_of_life`."""
    concerns_customer: ClassVar[bool] = True
    customer_optional: ClassVar[bool] = False
    """It may be about nobody: then it stands in the timeline with no anchor, as what concerns no customer does."""
    channel_fields: ClassVar[tuple[str, ...]] = ()
    """Fields other than `channel` that name a channel, so that a misspelt one is refused."""
    listed: ClassVar[bool] = True
    """False for retractions and identity decisions: in no timeline, count, sighting or link."""
    least_revision: ClassVar[int] = 0
    example: ClassVar[Mapping[str, Any]] = {}
    """A valid `data`, for the documentation, the OpenAPI examples and the tests."""

    attributes: Annotated[JsonObject | None, Personal()] = None

    @classmethod
    def thing_fields(cls) -> tuple[tuple[str, str], ...]:
        """(field, kind) of the things that this type can name: order, contract, opportunity, case, follow-up."""
        return tuple((field, kind) for field, kind in _THING_FIELDS if field in cls.model_fields)

    @classmethod
    def continues_thing(cls) -> bool:
        """The type carries on a thing that another event began, so it stands at that thing in the timeline."""
        stem, _, _ = cls.type_name.rpartition(".")
        begins = stem in _BEGINNING_TYPES or stem.rpartition(".")[2] in _BEGINNING_VERBS
        return bool(cls.thing_fields()) and not begins

    def acting(self) -> Actor:
        """Who acted."""
        return "customer" if self.who == "customer" else "company" if self.who == "company" else "system"

    def is_sign_of_life(self) -> bool:
        """Whether the customer did this on purpose."""
        return False


class Touchpoint(TouchpointData):
    """Common optional fields of everything that happens at a touchpoint."""

    channel: Annotated[
        Token | None,
        Field(description=f"One of {', '.join(sorted(CHANNELS))}; more by the setting extra_channels."),
    ] = None
    platform: Token | None = None
    campaign: Campaign | None = None
    location: Location | None = None
    staff: Staff | None = None
    account: Annotated[Token | None, Field(description="Id of the company that the person belongs to.")] = None
    conversation_id: Token | None = None
    intent: Annotated[Literal["nurture", "win_back", "retention"] | None, Field(description="Why we made contact.")] = (
        None
    )
    actor: Annotated[Actor | None, Field(description="Who acted, where it differs from the type's default.")] = None
    automated: Annotated[Flag | None, Field(description="A machine did it; no sign of life.")] = None

    def acting(self) -> Actor:
        """Who acted: the explicit `actor`, else the type's default."""
        if self.actor is not None:
            return self.actor
        if self.who == "direction":
            return "customer" if getattr(self, "direction", None) == "inbound" else "company"
        return self.who

    def is_sign_of_life(self) -> bool:
        """Whether the customer did this on purpose: never when automated, and an explicit actor can only void it."""
        return self._would_be_life() and not self.automated and self.actor in (None, "customer")

    def _would_be_life(self) -> bool:
        """The type's own rule, before `actor` and `automated` void it."""
        return self.life


class AnyonesTouchpoint(Touchpoint):
    """A touchpoint that may concern a customer or nobody; with a customer it needs a channel."""

    customer_optional: ClassVar[bool] = True

    identifiers: Annotated[Identifiers, Field(description="Who is meant, if anybody.")] = ()


class CustomerTouchpoint(AnyonesTouchpoint):
    """A touchpoint of a customer: who is meant, and through which channel."""

    customer_optional: ClassVar[bool] = False

    channel: Annotated[
        Token,
        Field(description=f"One of {', '.join(sorted(CHANNELS))}; more by the setting extra_channels."),
    ]
    identifiers: Annotated[
        Identifiers, Field(description="Who is meant; may be empty only where the event names a thing.")
    ] = ()


class CompanyTouchpoint(Touchpoint):
    """What the company does without any customer in mind: stands in the timeline table with no anchor, for reports."""

    concerns_customer: ClassVar[bool] = False


class Decision(TouchpointData):
    """What an operator decides about events or identifiers: nobody's touchpoint, so no channel and no identifiers."""

    concerns_customer: ClassVar[bool] = False
    listed: ClassVar[bool] = False

    reason: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    operator: Token


class IdentityDecision(Decision):
    """A decision about two identifiers: whether they mean one customer."""

    a: IdentifierRef
    b: IdentifierRef
