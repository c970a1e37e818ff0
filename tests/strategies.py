"""Hypothesis strategies of valid events: `event_json()` gives CloudEvents as dicts, of every type by default.

Identifiers and things are drawn from small pools, so that events of one example meet: the same person under several
spellings, the same order in several events. Instants lie within two years, in whole milliseconds, in several zones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from customer_timeline.schemas.catalogue import CATALOGUE

Json = dict[str, Any]

SOURCES = ("/shop", "/desk")
FROM, UNTIL = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 12, 31, tzinfo=UTC)

# Several spellings of one value stand beside each other on purpose.
IDENTIFIERS: tuple[Json, ...] = (
    {"kind": "member_id", "value": "M-1"},
    {"kind": "member_id", "value": "M-2"},
    {"kind": "user_id", "value": "u1"},
    {"kind": "crm_id", "value": " C-1 "},
    {"kind": "open_id:wechat", "value": "wx1"},
    {"kind": "email", "value": "ann@example.com"},
    {"kind": "email", "value": " Ann@Example.COM "},
    {"kind": "email", "value": "bob@example.com"},
    {"kind": "email", "value": "cy@bücher.example"},
    {"kind": "phone", "value": "+12025550143"},
    {"kind": "phone", "value": "(202) 555-0143"},
    {"kind": "phone", "value": "+442079460958"},
    {"kind": "device_id", "value": "d-1"},
    {"kind": "device_id", "value": "d-2"},
)
# Dropped with a note: a blocked value, one that is no address, a kind that nobody knows.
UNUSABLE: tuple[Json, ...] = (
    {"kind": "member_id", "value": "NULL"},
    {"kind": "email", "value": "not an address"},
    {"kind": "aura", "value": "blue"},
)
ORDERS = ("shop:1", "shop:2", "shop:3")
CASES = ("desk:1", "desk:2")
CONTRACTS = ("sap:1", "sap:2")
CHANNELS = ("phone", "email", "web", "store")

# No surrogates and no controls: what is refused or left to the storage has tests of its own.
_words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)
_seconds = st.integers(0, 7200)
_amounts = st.builds(
    lambda units, places: f"{units}.{places}" if places else str(units),
    st.integers(0, 9999),
    st.sampled_from(("", "5", "50", "05", "999999")),
)
_signed_amounts = st.builds(lambda sign, amount: sign + amount, st.sampled_from(("", "-")), _amounts)
_money = st.fixed_dictionaries({"amount": _amounts, "currency": st.sampled_from(("USD", "EUR"))})
_dates = st.dates().map(lambda day: day.isoformat())
_orders, _cases, _contracts = st.sampled_from(ORDERS), st.sampled_from(CASES), st.sampled_from(CONTRACTS)
_items = st.lists(
    st.fixed_dictionaries(
        {
            "sku": st.sampled_from(("LAMP-1", "BULB-7")),
            "quantity": st.one_of(st.integers(0, 20), _amounts),
            "amount": _signed_amounts,
        },
        optional={"name": _words, "category": st.sampled_from(("lighting", "garden"))},
    ),
    max_size=3,
)
_json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        _words,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_words, inner, max_size=3)),
    max_leaves=5,
)


def instants(least: datetime = FROM, greatest: datetime = UNTIL) -> SearchStrategy[str]:
    """RFC 3339 texts between two aware instants, in whole milliseconds and in various zones."""
    span = (greatest - least) // timedelta(milliseconds=1)

    def written(millis: int, zone_minutes: int | None) -> str:
        at = least + timedelta(milliseconds=millis)
        if zone_minutes is None:
            return at.isoformat().replace("+00:00", "Z")
        return at.astimezone(timezone(timedelta(minutes=zone_minutes))).isoformat()

    return st.builds(written, st.integers(0, span), st.sampled_from((None, 0, 120, -330, 765)))


def _data(required: Json, /, **optional: SearchStrategy[Any]) -> SearchStrategy[Json]:
    """Fields of one type: `required` by name, the others may be left out."""
    return st.fixed_dictionaries(required, optional=optional)


_direction = st.sampled_from(("inbound", "outbound"))
_message_id = st.sampled_from(("m-1", "m-2"))
_address = st.fixed_dictionaries(
    {"kind": st.sampled_from(("home", "work"))}, optional={"city": _words, "country": st.none() | _words}
)
_traits = st.fixed_dictionaries(
    {},
    optional={
        **{
            name: st.none() | _words
            for name in ("given_name", "family_name", "full_name", "gender", "language", "timezone")
        },
        **{name: st.none() | _words for name in ("company", "title", "industry")},
        **{name: st.none() | _dates for name in ("birthday", "anniversary")},
        **{
            name: st.none() | st.lists(_words, max_size=3)
            for name in ("emails", "phones", "interests", "hobbies", "needs")
        },
        "addresses": st.none() | st.lists(_address, max_size=2),
    },
)
_identifier = st.sampled_from(IDENTIFIERS)
_DECIDED = (
    {"kind": "member_id", "value": "M-1"},
    {"kind": "email", "value": "bob@example.com"},
    {"kind": "phone", "value": "+442079460958"},
)


def _span(first: str, last: str) -> SearchStrategy[Json]:
    """Two dates in order."""
    return st.lists(st.dates(), min_size=2, max_size=2).map(
        lambda days: {first: min(days).isoformat(), last: max(days).isoformat()}
    )


def _case(family: str, **required: SearchStrategy[Any]) -> dict[str, SearchStrategy[Json]]:
    """The six types of a family of cases; `required` are what its opening says besides."""
    opened = {"case_id": _cases, "theme": st.sampled_from(("delivery", "quality")), **required}
    verbs = {
        "opened": _data(
            opened,
            description=_words,
            severity=st.sampled_from(("low", "normal", "high")),
            sku=st.just("LAMP-1"),
            order_id=_orders,
        ),
        "assigned": _data({"case_id": _cases, "assignee": st.just("agent-7")}, step=_words),
        "answered": _data({"case_id": _cases}, text=_words),
        "resolved": _data({"case_id": _cases}, solution=_words, article_id=st.just("kb-1")),
        "reopened": _data({"case_id": _cases}, reason=_words),
        "closed": _data({"case_id": _cases}),
    }
    return {f"{family}.{verb}.v1": fields for verb, fields in verbs.items()}


OWN_FIELDS: dict[str, SearchStrategy[Json]] = {
    "profile.updated.v1": _data({"traits": _traits}),
    "call.completed.v1": _data(
        {
            "direction": _direction,
            "duration_s": _seconds,
            "result": st.sampled_from(("answered", "voicemail", "busy", "no_answer", "failed")),
        },
        purpose=_words,
        summary=_words,
        recording_ref=_words,
    ),
    "call.missed.v1": _data({"direction": _direction}, reason=_words),
    "email.sent.v1": _data({"message_id": _message_id}, subject=_words),
    "email.opened.v1": _data({"message_id": _message_id}),
    "email.clicked.v1": _data({"message_id": _message_id}, url=st.just("https://shop.example.com/")),
    "email.replied.v1": _data({"message_id": _message_id}, text=_words, in_reply_to=_message_id),
    "visit.completed.v1": _data(
        {"kind": st.sampled_from(("store", "office", "webinar", "other"))},
        purpose=_words,
        outcome=_words,
        duration_s=_seconds,
    ),
    "page.viewed.v1": _data(
        {"url": st.just("https://shop.example.com/p")}, title=_words, dwell_ms=_seconds, sku=st.just("LAMP-1")
    ),
    "purchase.completed.v1": _data(
        {"order_id": _orders, "total": _money},
        cost=_money,
        items=_items,
        coupon_id=st.just("SPRING"),
        recurring=st.booleans(),
    ),
    "purchase.refunded.v1": _data(
        {"order_id": _orders, "refund_id": st.sampled_from(("r-1", "r-2")), "total": _money},
        items=_items,
        reason=_words,
    ),
    **_case("complaint"),
    **_case("request", kind=st.sampled_from(("question", "ticket", "suggestion", "task"))),
    "contract.signed.v1": _span("starts_on", "ends_on").flatmap(
        lambda span: _data(
            {"contract_id": _contracts, **{name: st.just(day) for name, day in span.items()}},
            total=_money,
            terms=_words,
        )
    ),
    "contract.renewed.v1": _data({"contract_id": _contracts, "ends_on": _dates}, total=_money),
    "contract.ended.v1": _data({"contract_id": _contracts}, reason=_words),
    "survey.answered.v1": _data(
        {"survey_id": st.just("s-1"), "via": st.sampled_from(("online", "phone", "paper", "other"))},
        csat=st.integers(1, 5),
        nps=st.integers(0, 10),
        comment=_words,
        themes=st.lists(_words, max_size=2),
        about=st.fixed_dictionaries({"kind": st.just("order"), "id": _orders}),
    ),
    "delivery.completed.v1": _data({"order_id": _orders}, shipment_id=st.sampled_from(("s-1", "s-2"))),
    "identity.linked.v1": st.permutations(_DECIDED).map(
        lambda pair: {"a": dict(pair[0]), "b": dict(pair[1]), "reason": "told on the phone", "operator": "agent-7"}
    ),
    "event.retracted.v1": _data({"reason": st.just("booked twice"), "operator": st.just("agent-7")}),
}
"""The strategy of each type's own fields. A type without one fails a test of the schemas."""

COMMON_FIELDS: dict[str, SearchStrategy[Any]] = {
    "platform": st.sampled_from(("wechat", "weibo")),
    "campaign": st.fixed_dictionaries(
        {"id": st.sampled_from(("spring", "autumn"))}, optional={"medium": st.just("newsletter")}
    ),
    "location": st.fixed_dictionaries(
        {}, optional={"place": _words, "lat": st.sampled_from(("52.52", "-90")), "lon": st.just("13.4050")}
    ),
    "staff": st.fixed_dictionaries({"id": st.just("agent-7")}, optional={"team": st.just("hotline")}),
    "account": st.just("acme"),
    "conversation_id": st.sampled_from(("c-1", "c-2")),
    "intent": st.sampled_from(("nurture", "win_back", "retention")),
    "actor": st.sampled_from(("customer", "company", "system")),
    "automated": st.booleans(),
    "attributes": st.dictionaries(_words, _json_values, max_size=2),
}
"""The fields that every touchpoint may carry, beside identifiers and channel."""


# Most events carry few of the common fields, as in life.
_common = st.lists(
    st.one_of([st.tuples(st.just(name), values) for name, values in sorted(COMMON_FIELDS.items())]), max_size=3
).map(dict)


def data_json(
    type_name: str, *, identifiers: Sequence[Json] = IDENTIFIERS, unusable: bool = True
) -> SearchStrategy[Json]:
    """Valid `data` of one type. With `unusable`, identifiers that are dropped may stand among the usable ones."""
    model = CATALOGUE[type_name]
    if not model.listed:
        return OWN_FIELDS[type_name]
    parts = [OWN_FIELDS[type_name], _common, st.fixed_dictionaries({"channel": st.sampled_from(CHANNELS)})]
    if model.concerns_customer:
        names_thing = any(model.model_fields[field].is_required() for field, _ in model.thing_fields())
        named = st.lists(st.sampled_from(identifiers).map(dict), min_size=0 if names_thing else 1, max_size=3)
        dropped = st.lists(st.sampled_from(UNUSABLE).map(dict), max_size=1 if unusable else 0)
        parts.append(st.builds(lambda some, more: {"identifiers": some + more}, named, dropped))
    return st.tuples(*parts).map(lambda made: {name: value for part in made for name, value in part.items()})


def event_json(
    types: Iterable[str] | None = None,
    *,
    identifiers: Sequence[Json] = IDENTIFIERS,
    ids: SearchStrategy[str] | None = None,
    times: SearchStrategy[str] | None = None,
    unusable: bool = True,
) -> SearchStrategy[Json]:
    """Valid events as dicts. `types` are full names (default: all); `ids` and `times` replace how those are drawn."""

    def written(name: str, source: str, time: str, data: Json, revision: int, type_name: str) -> Json:
        event: Json = {
            "specversion": "1.0",
            "id": name,
            "source": source,
            "type": type_name,
            "time": time,
            "data": data,
        }
        return {**event, "revision": revision} if revision else event

    names = ids if ids is not None else st.uuids().map(str)
    at = times if times is not None else instants()
    # Built once, not at every draw: that is most of what an example costs.
    by_type = {
        type_name: st.builds(
            written,
            names,
            st.sampled_from(SOURCES),
            at,
            data_json(type_name, identifiers=identifiers, unusable=unusable),
            st.integers(CATALOGUE[type_name].least_revision, CATALOGUE[type_name].least_revision + 2),
            st.just(type_name),
        )
        for type_name in sorted(types if types is not None else CATALOGUE)
    }
    return st.sampled_from(sorted(by_type)).flatmap(by_type.__getitem__)
