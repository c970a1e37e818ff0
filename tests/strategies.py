"""Hypothesis strategies of valid events: `event_json()` gives CloudEvents as dicts, of every type by default.

Identifiers and things are drawn from small pools, so that events of one example meet: the same person under several
spellings, the same order in several events. Instants lie within two years, in whole milliseconds, in several zones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from field_values import IDENTIFIERS, UNUSABLE, Json, instants, json_values, words
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from own_fields import OWN_FIELDS

from customer_timeline.schemas.catalogue import CATALOGUE

SOURCES = ("/shop", "/desk")
CHANNELS = ("phone", "email", "web", "store")

COMMON_FIELDS: dict[str, SearchStrategy[Any]] = {
    "platform": st.sampled_from(("wechat", "weibo")),
    "campaign": st.fixed_dictionaries(
        {"id": st.sampled_from(("spring", "autumn"))}, optional={"medium": st.just("newsletter")}
    ),
    "location": st.fixed_dictionaries(
        {}, optional={"place": words, "lat": st.sampled_from(("52.52", "-90")), "lon": st.just("13.4050")}
    ),
    "staff": st.fixed_dictionaries({"id": st.just("agent-7")}, optional={"team": st.just("hotline")}),
    "account": st.just("acme"),
    "conversation_id": st.sampled_from(("c-1", "c-2")),
    "intent": st.sampled_from(("nurture", "win_back", "retention")),
    "actor": st.sampled_from(("customer", "company", "system")),
    "automated": st.booleans(),
    "attributes": st.dictionaries(words, json_values, max_size=2),
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
        named = st.lists(
            st.sampled_from(identifiers).map(dict),
            min_size=0 if names_thing or model.customer_optional else 1,
            max_size=3,
        )
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
