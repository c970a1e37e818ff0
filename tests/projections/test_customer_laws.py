"""The laws of the customer's facts, over every type of the catalogue: order, merging and encoding change nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import orjson
from folding import decoded, folded
from hypothesis import given, settings
from hypothesis import strategies as st

from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.protocols import Projection
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.decoded import EPOCH, DecodedEvent
from customer_timeline.schemas.touchpoints.consent import PreferenceStated
from customer_timeline.schemas.touchpoints.profile import AccountUpdated, ProfileUpdated
from customer_timeline.schemas.touchpoints.purchase import PurchaseCompleted, PurchaseRefunded
from customer_timeline.schemas.touchpoints.survey import SurveyAnswered

PROJECTIONS = [CustomerProjection(BusinessCalendar(zone)) for zone in ("UTC", "America/Sao_Paulo", "Europe/Berlin")]

# Few of each, so that events meet: on one instant, one day, one channel, one trait, one currency.
INSTANTS = st.one_of(
    st.sampled_from([0, 21_600_000_000, 86_400_000_000, 90_000_000_000]),
    st.integers(0, 60 * 86_400_000_000),
    st.integers(0, 2_000_000_000_000_000),
).map(lambda us: EPOCH + timedelta(microseconds=us))
PEOPLE = [f"00000000-0000-0000-0000-{number:012x}" for number in range(4)]
MONEY = st.fixed_dictionaries(
    {
        "amount": st.one_of(
            st.just(Decimal(0)),
            st.decimals(0, 10**15 - 1, places=2),
            st.decimals(0, 1000, places=6),
        ),
        "currency": st.sampled_from(["USD", "EUR", "CNY"]),
    }
)
NAMES = st.one_of(st.none(), st.sampled_from(["Ann", "Anna", "Lee"]))
LISTS = st.one_of(st.none(), st.lists(st.sampled_from(["tea", "trains", "chess"]), max_size=2))
TRAITS = st.fixed_dictionaries(
    {},
    optional={
        "given_name": NAMES,
        "company": NAMES,
        "birthday": st.one_of(st.none(), st.just("1988-05-17")),
        "interests": LISTS,
        "addresses": st.one_of(
            st.none(), st.just([{"kind": "home", "city": "Bonn"}, {"kind": "work", "region": None}])
        ),
    },
)

ACCOUNT_TRAITS = st.fixed_dictionaries(
    {},
    optional={
        "name": NAMES,
        "size": st.one_of(st.none(), st.just("50-249")),
        "address": st.one_of(st.none(), st.just({"city": "Bonn", "region": None})),
    },
)


@st.composite
def data_of(draw: st.DrawFn, type_name: str) -> dict[str, Any]:
    """The catalogue's example of the type, with what the facts read drawn at random."""
    kind = CATALOGUE[type_name]
    # Read as JSON, as the log is: there an instant is a text.
    data = kind.model_validate_json(json.dumps(kind.example)).model_dump(exclude_unset=True)
    if "channel" in kind.model_fields:
        data["channel"] = draw(st.sampled_from(["web", "phone", "email"]))
    if "actor" in kind.model_fields:
        data["actor"] = draw(st.sampled_from([None, "customer", "company", "system"]))
        data["automated"] = draw(st.sampled_from([None, True, False]))
    if kind is ProfileUpdated:
        data["traits"] = draw(TRAITS)
    if kind is AccountUpdated:
        data |= {"account": draw(st.sampled_from(["acme", "globex"])), "traits": draw(ACCOUNT_TRAITS)}
    if kind is PreferenceStated:
        data["interests"] = draw(LISTS)
    if type_name.startswith(("complaint.", "contract.")):
        data |= {
            name: draw(st.sampled_from(["desk:1", "desk:2"])) for name in ("case_id", "contract_id") if name in data
        }
    if kind is SurveyAnswered:
        data["csat"] = draw(st.one_of(st.none(), st.integers(1, 5)))
        data["nps"] = draw(st.one_of(st.none(), st.integers(0, 10)))
    if kind in (PurchaseCompleted, PurchaseRefunded):
        data["total"] = draw(MONEY)
    if kind is PurchaseCompleted:
        data["cost"] = draw(st.one_of(st.none(), MONEY))
        data["recurring"] = draw(st.sampled_from([None, True, False]))
    return data


@st.composite
def events(draw: st.DrawFn, *, max_size: int = 12) -> list[DecodedEvent]:
    """Distinct events of any types, by any people."""
    # Types whose facts are more than counts come up more often than all the others together.
    types = st.one_of(
        st.sampled_from(["profile.updated.v1", "purchase.completed.v1", "purchase.refunded.v1"]),
        st.sampled_from(["account.updated.v1", "preference.stated.v1"]),
        st.sampled_from([name for name in CATALOGUE if name.startswith(("complaint.", "contract.", "survey."))]),
        st.sampled_from(sorted(CATALOGUE)),
    )
    made = []
    for number in draw(st.lists(st.integers(0, 10**6), unique=True, max_size=max_size)):
        type_name = draw(types)
        made.append(
            decoded(
                CATALOGUE[type_name],
                draw(INSTANTS),
                draw(data_of(type_name)),
                number=number,
                identifiers=draw(st.lists(st.sampled_from(PEOPLE), unique=True, max_size=3)),
                source=draw(st.sampled_from(["crm", "shop"])),
            )
        )
    return made


@given(projection=st.sampled_from(PROJECTIONS), log=events(), data=st.data())
def test_fold_is_independent_of_arrival_order(
    projection: CustomerProjection, log: list[DecodedEvent], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(log))
    assert projection.encode(folded(projection, log)) == projection.encode(folded(projection, shuffled))


@given(projection=st.sampled_from(PROJECTIONS), log=events(), data=st.data())
def test_fold_of_a_whole_is_the_combination_of_the_folds_of_its_parts(
    projection: CustomerProjection, log: list[DecodedEvent], data: st.DataObject
) -> None:
    parts: tuple[list[DecodedEvent], ...] = ([], [], [])
    for event in log:
        data.draw(st.sampled_from(parts)).append(event)
    left, middle, right = (folded(projection, part) for part in parts)
    whole = projection.encode(folded(projection, log))

    # left with middle, then right
    one = projection.decode(projection.encode(left))
    projection.combine(one, middle)
    projection.combine(one, right)
    # right with (middle with left): the other order and the other brackets at once
    inner = projection.decode(projection.encode(middle))
    projection.combine(inner, left)
    other = projection.decode(projection.encode(right))
    projection.combine(other, inner)

    assert projection.encode(one) == projection.encode(other) == whole


@given(log=events(), more=events(max_size=3))
def test_combining_leaves_the_other_state_as_it_was_and_shares_nothing(
    log: list[DecodedEvent], more: list[DecodedEvent]
) -> None:
    projection = PROJECTIONS[0]
    other = folded(projection, log)
    before = projection.encode(other)
    into = projection.initial()
    projection.combine(into, other)
    assert projection.encode(into) == before  # the initial state is neutral
    for event in more:
        projection.apply(into, event)
    projection.combine(into, folded(projection, more))
    assert projection.encode(other) == before


@given(projection=st.sampled_from(PROJECTIONS), log=events(), later=events(max_size=3))
def test_a_state_read_back_is_the_state_and_folds_on_like_it(
    projection: CustomerProjection, log: list[DecodedEvent], later: list[DecodedEvent]
) -> None:
    facts = folded(projection, log)
    encoded = projection.encode(facts)
    back = projection.decode(encoded)
    assert back == facts
    assert projection.encode(back) == encoded
    assert projection.columns(back) == projection.columns(facts)
    assert projection.describe(back) == projection.describe(facts)
    for event in later:
        projection.apply(facts, event)
        projection.apply(back, event)
    assert projection.encode(back) == projection.encode(facts)


@given(log=events())
def test_encoded_keys_are_sorted_at_every_level(log: list[DecodedEvent]) -> None:
    def check(value: object) -> None:
        if isinstance(value, dict):
            assert list(value) == sorted(value)
            for inner in value.values():
                check(inner)

    check(orjson.loads(PROJECTIONS[0].encode(folded(PROJECTIONS[0], log))))


@given(log=events())
def test_every_listed_event_counts_once_and_unlisted_ones_leave_no_trace(log: list[DecodedEvent]) -> None:
    projection = PROJECTIONS[0]
    listed = [event for event in log if event.listed]
    facts = folded(projection, log)
    assert projection.encode(facts) == projection.encode(folded(projection, listed))
    shown = projection.describe(facts)["activity"]
    assert shown["events"] == len(listed) == sum(shown["by_type"].values()) == sum(shown["by_month"].values())
    assert shown["signs_of_life"] == sum(event.sign_of_life for event in listed)
    by_channel = shown["by_channel"].values()
    assert sum(channel[way] for channel in by_channel for way in ("inbound", "outbound", "system")) == sum(
        event.channel is not None for event in listed
    )
    named = {known.identifier_id for event in listed for known in event.identifiers}
    assert set(facts.seen) == named


@settings(max_examples=20)
@given(data=st.data())
def test_every_type_of_the_catalogue_folds(data: st.DataObject) -> None:
    projection = PROJECTIONS[0]
    log = [
        decoded(kind, "2026-03-01T12:00:00Z", data.draw(data_of(name)), number=number)
        for number, (name, kind) in enumerate(CATALOGUE.items())
    ]
    facts = folded(projection, log)
    assert set(facts.activity["by_type"]) == {
        name.removesuffix(".v1") for name, kind in CATALOGUE.items() if kind.listed
    }


def test_the_projection_satisfies_the_protocol() -> None:
    projection: Projection[Any] = PROJECTIONS[0]
    assert (projection.name, projection.version) == ("customer", 3)
