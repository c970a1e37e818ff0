"""The profile: for every trait the value learnt last, with where and when it was learnt.

Three types of event say something of a person: `profile.updated`, `account.updated` (of the company that they belong
to) and `preference.stated`. Each trait is a register, "last by (occurred_at, event_id) wins", whichever type it came
by. A trait that an event leaves out says nothing; an explicit null of a profile or account forgets: the register then
holds null and stays, so that an older value that arrives later does not come back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypedDict

from customer_timeline.projections.instants import rfc3339
from customer_timeline.schemas.decoded import DecodedEvent
from customer_timeline.schemas.touchpoints.consent import PreferenceStated
from customer_timeline.schemas.touchpoints.profile import AccountUpdated, ProfileUpdated

# What a company is called there, and the trait that it is of the person. Its name and industry are what a profile calls
# the person's company and industry, so they are one register each.
_TRAITS_OF_COMPANY: Final = {
    "name": "company",
    "industry": "industry",
    "size": "company_size",
    "address": "company_address",
    "website": "company_website",
}
_PREFERENCES: Final = ("interests", "preferred_channel", "topics")


class Register(TypedDict):
    """What `facts->'profile'->'<trait>'` holds. `value` null: forgotten at that instant (microseconds since 1970)."""

    value: Any
    occurred_us: int
    event_id: str
    source: str


ProfileFacts = dict[str, Register]


def fold(profile: ProfileFacts, event: DecodedEvent, data: ProfileUpdated) -> None:
    """Set the registers of the traits that the event names, where it is later than what they hold."""
    _learn(profile, event, data.traits.model_dump(mode="json", exclude_unset=True))
    if data.account is not None:
        _learn(profile, event, {"account": data.account})


def fold_account(profile: ProfileFacts, event: DecodedEvent, data: AccountUpdated) -> None:
    """The same for what is said of the company that the person belongs to."""
    said = data.traits.model_dump(mode="json", exclude_unset=True)
    _learn(profile, event, {"account": data.account, **{_TRAITS_OF_COMPANY[name]: said[name] for name in said}})


def fold_preference(profile: ProfileFacts, event: DecodedEvent, data: PreferenceStated) -> None:
    """The same for what the person said of themselves; here a null says nothing."""
    said = data.model_dump(mode="json", include=set(_PREFERENCES), exclude_none=True)
    _learn(profile, event, said)


def _learn(profile: ProfileFacts, event: DecodedEvent, said: Mapping[str, Any]) -> None:
    for trait, value in said.items():
        held = profile.get(trait)
        if held is None or (event.occurred_us, event.event_id) > (held["occurred_us"], held["event_id"]):
            profile[trait] = {
                "value": _without_nulls(value),
                "occurred_us": event.occurred_us,
                "event_id": event.event_id,
                "source": event.source,
            }


def _without_nulls(value: Any) -> Any:
    # Only a trait's own null means something. Within an address, null and absent are one content: two records that
    # differ in that are plain duplicates of each other and must leave equal facts.
    if isinstance(value, dict):
        return {key: _without_nulls(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_without_nulls(part) for part in value]
    return value


def combine(into: ProfileFacts, other: ProfileFacts) -> None:
    """Keep the later register of each trait."""
    for trait, theirs in other.items():
        mine = into.get(trait)
        if mine is None or (theirs["occurred_us"], theirs["event_id"]) > (mine["occurred_us"], mine["event_id"]):
            into[trait] = theirs  # registers are replaced, never changed, so two states may hold one


def describe(profile: ProfileFacts) -> dict[str, Any]:
    """The profile as the API shows it, traits sorted. Forgotten traits are left out."""
    return {
        trait: {
            "value": register["value"],
            "occurred_at": rfc3339(register["occurred_us"]),
            "source": register["source"],
            "event_id": register["event_id"],
        }
        for trait, register in sorted(profile.items())
        if register["value"] is not None
    }
