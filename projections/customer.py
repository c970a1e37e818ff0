"""The customer: one state per customer, folded from the events that are theirs.

Facts that merge (design: states are a commutative, associative combine over disjoint sets of events): activity for
every event, and what single types add, found by the class of their data in `FOLDS`. Called by the projector (apply,
combine, encode, decode, columns) and by the API's reader (decode, describe). Judgements (stage, flags) are derived
elsewhere, from facts and a time.

The encoded facts are read by analysts as `customer.facts`; docs/reference/customer-facts.md documents them:

    {"activity":     see `projections.activity.ActivityFacts`,
     "profile":      {trait: see `projections.profile.Register`},
     "purchases":    see `projections.purchases.PurchaseFacts`,
     "seen":         {identifier_id: [first_us, last_us]},
     "complaints":   see `projections.complaints.ComplaintFacts`,
     "contracts":    see `projections.contracts.ContractFacts`,
     "satisfaction": see `projections.satisfaction.SatisfactionFacts`}

The last three are left out where they are empty, as they are for most customers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

import orjson

from customer_timeline.projections import activity, complaints, contracts, profile, purchases, satisfaction
from customer_timeline.projections.activity import ActivityFacts
from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.complaints import ComplaintFacts
from customer_timeline.projections.contracts import ContractFacts
from customer_timeline.projections.profile import ProfileFacts
from customer_timeline.projections.purchases import PurchaseFacts
from customer_timeline.projections.satisfaction import SatisfactionFacts
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.touchpoint import TouchpointData
from customer_timeline.schemas.touchpoints.case import Case
from customer_timeline.schemas.touchpoints.complaint import (
    ComplaintClosed,
    ComplaintOpened,
    ComplaintReopened,
    ComplaintResolved,
)
from customer_timeline.schemas.touchpoints.consent import PreferenceStated
from customer_timeline.schemas.touchpoints.contract import ContractEnded, ContractRenewed, ContractSigned
from customer_timeline.schemas.touchpoints.profile import AccountUpdated, ProfileUpdated
from customer_timeline.schemas.touchpoints.purchase import PurchaseCompleted, PurchaseRefunded
from customer_timeline.schemas.touchpoints.survey import SurveyAnswered

# identifier_id -> [first, last] instant (microseconds since 1970) at which the customer's events name it
SeenFacts = dict[str, list[int]]


class CustomerFacts:
    """The accumulator of one customer: the decoded JSON itself, so that decoding and encoding build nothing else.

    Mutable, and private to the fold that holds it. Equal where the facts are equal.
    """

    __slots__ = ("activity", "complaints", "contracts", "profile", "purchases", "satisfaction", "seen")

    def __init__(
        self,
        activity: ActivityFacts,
        profile: ProfileFacts,
        purchases: PurchaseFacts,
        seen: SeenFacts,
        complaints: ComplaintFacts,
        contracts: ContractFacts,
        satisfaction: SatisfactionFacts,
    ) -> None:
        self.activity = activity
        self.profile = profile
        self.purchases = purchases
        self.seen = seen
        self.complaints = complaints
        self.contracts = contracts
        self.satisfaction = satisfaction

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CustomerFacts):
            return NotImplemented
        return all(getattr(self, part) == getattr(other, part) for part in self.__slots__)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        # Traits and identifiers are personal and reprs end up in logs.
        return f"CustomerFacts(events={self.activity['events']})"


class CustomerColumns(NamedTuple):
    """The facts that the customer's row holds as columns of their own. Instants: microseconds since 1970, UTC."""

    events: int
    signs_of_life: int
    first_event_us: int | None
    last_event_us: int | None
    last_sign_of_life_us: int | None
    purchases: int


Fold = Callable[[CustomerFacts, DecodedEvent, BusinessCalendar], None]


def _profile_updated(facts: CustomerFacts, event: DecodedEvent, calendar: BusinessCalendar) -> None:
    profile.fold(facts.profile, event, cast(ProfileUpdated, event.data))


def _account_updated(facts: CustomerFacts, event: DecodedEvent, calendar: BusinessCalendar) -> None:
    profile.fold_account(facts.profile, event, cast(AccountUpdated, event.data))


def _preference_stated(facts: CustomerFacts, event: DecodedEvent, calendar: BusinessCalendar) -> None:
    profile.fold_preference(facts.profile, event, cast(PreferenceStated, event.data))


def _purchase_completed(facts: CustomerFacts, event: DecodedEvent, calendar: BusinessCalendar) -> None:
    purchases.fold_completed(facts.purchases, event, cast(PurchaseCompleted, event.data), calendar)


def _purchase_refunded(facts: CustomerFacts, event: DecodedEvent, calendar: BusinessCalendar) -> None:
    purchases.fold_refunded(facts.purchases, cast(PurchaseRefunded, event.data))


def _complaint(verb: complaints.Verb) -> Fold:
    def fold(facts: CustomerFacts, event: DecodedEvent, calendar: BusinessCalendar) -> None:
        complaints.fold(facts.complaints, event, cast(Case, event.data).case_id, verb)

    return fold


def _contract_signed(facts: CustomerFacts, event: DecodedEvent, calendar: BusinessCalendar) -> None:
    contracts.fold_signed(facts.contracts, event, cast(ContractSigned, event.data))


def _contract_renewed(facts: CustomerFacts, event: DecodedEvent, calendar: BusinessCalendar) -> None:
    contracts.fold_renewed(facts.contracts, event, cast(ContractRenewed, event.data))


def _contract_ended(facts: CustomerFacts, event: DecodedEvent, calendar: BusinessCalendar) -> None:
    contracts.fold_ended(facts.contracts, event, cast(ContractEnded, event.data))


def _survey_answered(facts: CustomerFacts, event: DecodedEvent, calendar: BusinessCalendar) -> None:
    satisfaction.fold(facts.satisfaction, event, cast(SurveyAnswered, event.data))


# What a type adds beyond activity. A new type that carries facts adds a module with a fold, a combine and a describe, a
# slot in CustomerFacts and a line here; a type without an entry is activity only.
FOLDS: Final[dict[type[TouchpointData], Fold]] = {
    ProfileUpdated: _profile_updated,
    AccountUpdated: _account_updated,
    PreferenceStated: _preference_stated,
    PurchaseCompleted: _purchase_completed,
    PurchaseRefunded: _purchase_refunded,
    ComplaintOpened: _complaint("opened"),
    ComplaintReopened: _complaint("reopened"),
    ComplaintResolved: _complaint("resolved"),
    ComplaintClosed: _complaint("closed"),
    ContractSigned: _contract_signed,
    ContractRenewed: _contract_renewed,
    ContractEnded: _contract_ended,
    SurveyAnswered: _survey_answered,
}


class CustomerProjection:
    """The projection `customer`. Satisfies `projections.protocols.Projection[CustomerFacts]`."""

    __slots__ = ("calendar",)

    name: Final = "customer"
    version: Final = 3

    def __init__(self, calendar: BusinessCalendar) -> None:
        self.calendar = calendar

    def initial(self) -> CustomerFacts:
        """The facts of no events."""
        return CustomerFacts(activity.initial(), {}, {}, {}, {}, {}, {})

    def apply(self, facts: CustomerFacts, event: DecodedEvent) -> None:
        """Fold one event into `facts`, in place.

        Total: every type of the catalogue folds; unlisted events (retractions, identity decisions) leave the facts as
        they are. Order does not matter. An event must be applied once: the timeline's insert tells which are new.
        """
        if not event.listed:
            return
        activity.fold(facts.activity, event, self.calendar)
        us = event.occurred_us
        seen = facts.seen
        for identifier in event.identifiers:
            bounds = seen.get(identifier.identifier_id)
            if bounds is None:
                seen[identifier.identifier_id] = [us, us]
            elif us < bounds[0]:
                bounds[0] = us
            elif us > bounds[1]:
                bounds[1] = us
        fold = FOLDS.get(type(event.data))
        if fold is not None:
            fold(facts, event, self.calendar)

    def combine(self, into: CustomerFacts, other: CustomerFacts) -> None:
        """Add the facts of other events to `into`, in place; `other` is left as it was."""
        activity.combine(into.activity, other.activity)
        profile.combine(into.profile, other.profile)
        purchases.combine(into.purchases, other.purchases)
        complaints.combine(into.complaints, other.complaints)
        contracts.combine(into.contracts, other.contracts)
        satisfaction.combine(into.satisfaction, other.satisfaction)
        for identifier_id, (first_us, last_us) in other.seen.items():
            bounds = into.seen.get(identifier_id)
            into.seen[identifier_id] = (
                [first_us, last_us] if bounds is None else [min(bounds[0], first_us), max(bounds[1], last_us)]
            )

    def encode(self, facts: CustomerFacts) -> bytes:
        """JSON with sorted keys: equal facts are equal bytes."""
        content: dict[str, Any] = {
            "activity": facts.activity,
            "profile": facts.profile,
            "purchases": facts.purchases,
            "seen": facts.seen,
        }
        if facts.complaints:
            content["complaints"] = facts.complaints
        if facts.contracts:
            content["contracts"] = facts.contracts
        if facts.satisfaction:
            content["satisfaction"] = facts.satisfaction
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)

    def decode(self, encoded: bytes | str) -> CustomerFacts:
        """The facts of `encode`, from bytes or from what a driver made of a json column."""
        facts = orjson.loads(encoded)
        return CustomerFacts(
            facts["activity"],
            facts["profile"],
            facts["purchases"],
            facts["seen"],
            facts.get("complaints", {}),
            facts.get("contracts", {}),
            facts.get("satisfaction", {}),
        )

    def columns(self, facts: CustomerFacts) -> CustomerColumns:
        """What the customer's row repeats outside the JSON, for indexes and lists."""
        counted = facts.activity
        return CustomerColumns(
            counted["events"],
            counted["signs_of_life"],
            counted.get("first_event_us"),
            counted.get("last_event_us"),
            counted.get("last_sign_of_life_us"),
            facts.purchases.get("count", 0),
        )

    def describe(self, facts: CustomerFacts) -> dict[str, Any]:
        """The facts as the API shows them, part by part, ready for JSON."""
        return {
            "profile": profile.describe(facts.profile),
            "activity": activity.describe(facts.activity),
            "purchases": purchases.describe(facts.purchases),
            "complaints": complaints.describe(facts.complaints),
            "contracts": contracts.describe(facts.contracts),
            "satisfaction": satisfaction.describe(facts.satisfaction),
        }
