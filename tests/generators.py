"""Seeded event logs: CloudEvents as adapters would publish them, with everything in them that makes a log hard.

People with several identifiers, events that glue two of them, phones of a household, values shared by many, two
member ids that meet, things whose owner comes late, corrections, conflicting duplicates, retractions before and after
their event, decisions of operators both ways with corrections and retractions of their own, plain duplicates, other
spellings of the same content, late events, and broken records; every type of the catalogue where the shape asks for it.
Pure: the same seed gives the same bytes. No order of the log is meant: `shuffled` and `nearly_in_time` give others.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.json_schema import example_event
from customer_timeline.schemas.touchpoint import TouchpointData

START = datetime(2024, 1, 1, tzinfo=UTC)
Event = dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """One record to append. `group` names the records that one adapter would send with one key."""

    value: bytes
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True)
class Shape:
    """How much of what. Shares are per event, in percent."""

    events: int = 400
    people: int = 60
    days: int = 300
    glue_percent: int = 10
    thing_percent: int = 25
    correction_percent: int = 6
    conflict_percent: int = 3
    retraction_percent: int = 4
    duplicate_percent: int = 15
    respelled_percent: int = 2
    broken_percent: int = 2
    decisions: int = 6
    crowds: int = 2
    member_percent: int = 50
    any_type_percent: int = 0  # of any type of the catalogue; the others of the dozen that matter most


@dataclass
class _Person:
    number: int
    identifiers: list[dict[str, str]]


@dataclass
class _Writer:
    """Private accumulator of one log."""

    random: Random
    shape: Shape
    people: list[_Person] = field(default_factory=list)
    out: list[Sent] = field(default_factory=list)
    made: int = 0

    def append(self, event: Event) -> None:
        """Put the event at a random place of the log written so far."""
        key = _first_value(event)
        place = self.random.randint(0, len(self.out))
        self.out.insert(place, Sent(json.dumps(event, ensure_ascii=False).encode(), key))


def seeded_log(seed: int, shape: Shape = Shape()) -> list[Sent]:
    """The log of `seed`: about `shape.events` events and, beyond them, their copies, corrections and retractions."""
    writer = _Writer(Random(seed), shape)
    writer.people = [_person(writer, number) for number in range(shape.people)]
    for _ in range(shape.events):
        event = _touchpoint(writer)
        writer.append(event)
        _complicate(writer, event)
    _crowds(writer)
    _decisions(writer)
    _copies(writer)
    return writer.out


def shuffled(log: list[Sent], seed: int, *, twice_percent: int = 0) -> list[Sent]:
    """The same facts in another order, some of them once more."""
    random = Random(seed)
    out = [sent for sent in log for _ in range(2 if random.randrange(100) < twice_percent else 1)]
    random.shuffle(out)
    return out


def nearly_in_time(log: list[Sent], seed: int, *, late_percent: int = 10, late_days: int = 400) -> list[Sent]:
    """The same facts as they happened, but some of them late by up to `late_days`. What has no time comes anywhere."""
    random = Random(seed)

    def arrives(sent: Sent) -> float:
        late = random.random() * late_days if random.randrange(100) < late_percent else 0.0
        try:
            happened = datetime.fromisoformat(json.loads(sent.value)["time"])
        except ValueError:  # cut in the middle
            happened = START + timedelta(days=random.random() * late_days)
        return happened.timestamp() + late * 86_400

    return [sent for _, _, sent in sorted((arrives(sent), place, sent) for place, sent in enumerate(log))]


def _first_value(event: Event) -> bytes:
    named = event["data"].get("identifiers") or [{"value": event["id"]}]
    return str(named[0]["value"]).encode()


def _person(writer: _Writer, number: int) -> _Person:
    """Four identifiers: email, phone, an open id or a second email, and a member id or a device."""
    r = writer.random
    names = [
        {"kind": "email", "value": f"p{number}@example.com"},
        {"kind": "phone", "value": f"+1415555{2000 + number:04d}"},
        {"kind": "open_id:wechat", "value": f"wx-{number}"} if r.random() < 0.5 else _email(number, "second"),
        {"kind": "member_id", "value": f"M{number}"}
        if r.randrange(100) < writer.shape.member_percent
        else {"kind": "device_id", "value": f"dev-{number}"},
    ]
    return _Person(number, names)


def _email(number: int, box: str) -> dict[str, str]:
    return {"kind": "email", "value": f"{box}.p{number}@example.org"}


def _instant(writer: _Writer) -> datetime:
    """Often to the day, so that equal times are common."""
    r = writer.random
    day = START + timedelta(days=r.randrange(writer.shape.days))
    return day if r.random() < 0.15 else day + timedelta(microseconds=r.randrange(86_400_000_000))


def _named(writer: _Writer) -> list[dict[str, str]]:
    """Identifiers of a person; in a glue event also one of somebody else; at times a value that means nobody."""
    r = writer.random
    person = r.choice(writer.people)
    named = r.sample(person.identifiers, r.choice((1, 1, 1, 2, 2, 3)))
    if r.randrange(100) < writer.shape.glue_percent:
        # glue stays in the neighbourhood, so that components of some size arise instead of one giant
        other = writer.people[(person.number // 6 * 6 + r.randrange(6)) % len(writer.people)]
        named = [*named, r.choice(other.identifiers)]
    if r.random() < 0.03:
        named = [*named, {"kind": "member_id", "value": "null"}]
    if r.random() < 0.03:
        named = [*named, {"kind": "email", "value": "not an address"}]
    r.shuffle(named)
    if all(n["value"] in ("null", "not an address") for n in named):
        named = [person.identifiers[0]]
    return [dict(n) for n in {(n["kind"], n["value"]): n for n in named}.values()]


def _event(writer: _Writer, kind: str, data: dict[str, Any], at: datetime | None = None) -> Event:
    writer.made += 1
    return {
        "specversion": "1.0",
        "id": f"{kind.split('.')[0]}-{writer.made}",
        "source": writer.random.choice(("crm", "shop", "//app.example.com/tracker")),
        "type": f"{kind}.v1",
        "time": (at or _instant(writer)).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": data,
    }


def _money(writer: _Writer) -> dict[str, str]:
    r = writer.random
    return {"amount": f"{r.randrange(1, 50_000) / 100:.2f}", "currency": r.choice(("USD", "USD", "EUR", "JPY"))}


def _order(writer: _Writer) -> str:
    return f"shop:{writer.random.randrange(1 + writer.shape.events // 6)}"


def _case(writer: _Writer) -> str:
    return f"desk:{writer.random.randrange(1 + writer.shape.events // 8)}"


def _profile(writer: _Writer) -> tuple[str, dict[str, Any]]:
    r = writer.random
    traits = {
        "given_name": r.choice(("Ann", "Bob", "Zoë", None)),
        "language": r.choice(("en", "de", "zh")),
        "interests": r.sample(["tea", "chess", "sailing", "opera"], 2),
    }
    return "profile.updated", {"traits": dict(r.sample(sorted(traits.items(), key=lambda t: t[0]), 2))}


def _call(writer: _Writer) -> tuple[str, dict[str, Any]]:
    r = writer.random
    direction = r.choice(("inbound", "outbound"))
    if r.random() < 0.3:
        return "call.missed", {"direction": direction}
    result = r.choice(("answered", "voicemail", "no_answer"))
    return "call.completed", {"direction": direction, "duration_s": r.randrange(900), "result": result}


def _mail(writer: _Writer) -> tuple[str, dict[str, Any]]:
    r = writer.random
    verb = r.choice(("sent", "opened", "clicked", "replied"))
    data: dict[str, Any] = {"message_id": f"<{r.randrange(999)}@mail>"}
    if verb == "clicked":
        data["url"] = "https://example.com/offer"
    if r.random() < 0.2:
        data["automated"] = True
    return f"email.{verb}", data


def _visit(writer: _Writer) -> tuple[str, dict[str, Any]]:
    if writer.random.random() < 0.5:
        return "visit.completed", {"kind": "store", "outcome": "bought"}
    return "page.viewed", {"url": f"https://example.com/{writer.random.randrange(50)}", "dwell_ms": 1200}


def _purchase(writer: _Writer) -> tuple[str, dict[str, Any]]:
    r = writer.random
    data: dict[str, Any] = {"order_id": _order(writer), "total": _money(writer)}
    if r.random() < 0.3:
        return "purchase.refunded", {**data, "refund_id": f"r-{r.randrange(10_000)}"}
    if r.random() < 0.3:
        data["recurring"] = True
    return "purchase.completed", data


def _complaint(writer: _Writer) -> tuple[str, dict[str, Any]]:
    r = writer.random
    verb = r.choice(("opened", "opened", "resolved", "reopened"))
    data: dict[str, Any] = {"case_id": _case(writer)}
    if verb == "opened":
        data["theme"] = r.choice(("late", "broken"))
        if r.random() < 0.5:
            data["order_id"] = _order(writer)
    elif verb == "resolved":
        data["solution"] = "sent again"
    return f"complaint.{verb}", data


def _survey(writer: _Writer) -> tuple[str, dict[str, Any]]:
    return "survey.answered", {"survey_id": "s1", "csat": writer.random.randint(1, 5), "via": "online"}


def _delivery(writer: _Writer) -> tuple[str, dict[str, Any]]:
    return "delivery.completed", {"order_id": _order(writer)}


_THINGS = ("order_id", "contract_id", "opportunity_id", "case_id", "followup_id")
_ANY_TYPE = tuple(model for model in CATALOGUE.values() if model.listed)


def _any_type(writer: _Writer) -> Event:
    """The example of any type, about other people, things, amounts and days; at times about nobody."""
    r = writer.random
    model = r.choice(_ANY_TYPE)
    data = {**example_event(model)["data"], **_varied(writer, model)}
    names_thing = bool(data.keys() & set(_THINGS))
    if model.concerns_customer:
        nobody = r.random() < 0.3 and (names_thing or model.customer_optional)
        data["identifiers"] = [] if nobody else _named(writer)
        if nobody and not names_thing:
            del data["channel"]
    return _event(writer, model.type_name.rpartition(".v")[0], data)


def _varied(writer: _Writer, model: type[TouchpointData]) -> dict[str, Any]:
    """Other values for what the example says about things, money, days and opinions."""
    r = writer.random
    data = example_event(model)["data"]
    things = {"order_id": _order(writer), "case_id": _case(writer)}
    for field_name in ("contract_id", "opportunity_id", "followup_id"):
        things[field_name] = f"crm:{r.randrange(1 + writer.shape.events // 40)}"
    changes: dict[str, Any] = {name: value for name, value in things.items() if name in data and r.random() < 0.9}
    changes |= {name: _money(writer) for name in ("total", "budget", "value") if name in data}
    if "items" in data:
        changes["items"] = None  # they say a currency only through the total
    if {"starts_on", "ends_on"} <= data.keys():
        changes |= {"starts_on": f"2024-{r.randint(1, 12):02d}-01", "ends_on": f"202{r.randint(5, 6)}-01-31"}
    elif "ends_on" in data:
        changes["ends_on"] = f"202{r.randint(5, 7)}-06-30"
    if "csat" in data:
        changes |= {"csat": r.randint(1, 5), "nps": r.randint(0, 10)}
    for field_name in ("identifier", "referred"):
        if field_name in data:
            changes[field_name] = r.choice(r.choice(writer.people).identifiers)
    return changes


_PLAIN: tuple[Callable[[_Writer], tuple[str, dict[str, Any]]], ...] = (_profile, _call, _mail, _visit, _survey)
_DECISIONS = ("identity.linked", "identity.unlinked")
_WITH_THINGS: tuple[Callable[[_Writer], tuple[str, dict[str, Any]]], ...] = (_purchase, _complaint, _delivery)


def _touchpoint(writer: _Writer) -> Event:
    r = writer.random
    if writer.shape.any_type_percent and r.randrange(100) < writer.shape.any_type_percent:
        return _any_type(writer)
    with_thing = r.randrange(100) < writer.shape.thing_percent
    kind, data = r.choice(_WITH_THINGS if with_thing else _PLAIN)(writer)
    anonymous = with_thing and r.random() < 0.45  # a carrier knows the order, a desk its case, neither the person
    named = [] if anonymous else _named(writer)
    channel = r.choice(("web", "phone", "store", "crm", "email"))
    return _event(writer, kind, {**data, "identifiers": named, "channel": channel})


def _complicate(writer: _Writer, event: Event) -> None:
    """Corrections, conflicts and a retraction of the event, anywhere in the log."""
    r, shape = writer.random, writer.shape
    if r.randrange(100) < shape.correction_percent:
        writer.append(_rewritten(writer, event, revision=1))
        if r.random() < 0.3:
            writer.append(_rewritten(writer, event, revision=2))
    if r.randrange(100) < shape.conflict_percent:
        other = _rewritten(writer, event, revision=event.get("revision", 0))
        if r.random() < 0.5:
            other["time"] = event["time"]
        writer.append(other)
    if r.randrange(100) < shape.retraction_percent:
        _retract(writer, event)


def _rewritten(writer: _Writer, event: Event, revision: int) -> Event:
    """The same event told otherwise: other people, another time, another thing, or only other words."""
    r = writer.random
    data = dict(event["data"])
    if data.get("identifiers") and r.random() < 0.6:
        data["identifiers"] = _named(writer)
    if "order_id" in data and r.random() < 0.5:
        data["order_id"] = _order(writer)
    data["attributes"] = {"note": f"corrected {r.randrange(1000)}"}
    changed = {**event, "data": data}
    if revision:
        changed["revision"] = revision
    if r.random() < 0.5:
        changed["time"] = _instant(writer).isoformat().replace("+00:00", "Z")
    return changed


def _retract(writer: _Writer, event: Event) -> None:
    revision = writer.random.choice((1, 2, 5))
    data = {"reason": "entered twice", "operator": "ops-1"}
    writer.append({**event, "type": "event.retracted.v1", "revision": revision, "data": data})
    if writer.random.random() < 0.2:
        writer.append({**event, "revision": revision + 1})  # the retraction itself was a mistake


def _crowds(writer: _Writer) -> None:
    """Values that more people name than one customer can be: a reception's phone, a family's mailbox."""
    r = writer.random
    for crowd in range(writer.shape.crowds):
        value = {"kind": "phone", "value": f"+1415555{9000 + crowd:04d}"}
        for person in r.sample(writer.people, min(len(writer.people), r.randint(4, 9))):
            kind, data = _visit(writer)
            named = [person.identifiers[0], value]
            event = _event(writer, kind, {**data, "identifiers": named, "channel": "store"})
            writer.append(event)
            _complicate(writer, event)


def _decisions(writer: _Writer) -> None:
    """Operators link and part identifiers; they decide a pair again, correct what they said, and take it back."""
    r = writer.random
    decided: list[Event] = []
    for _ in range(writer.shape.decisions if len(writer.people) > 1 else 0):
        data = {"reason": "told on the phone", "operator": "ops-2", **_deciding(writer, decided)}
        event = _event(writer, r.choice(_DECISIONS), data)
        decided.append(event)
        writer.append(event)
        if r.random() < 0.25:
            other = {**event, "type": f"{r.choice(_DECISIONS)}.v1", "revision": 1}
            writer.append({**other, "data": {**data, **_deciding(writer, decided)}})
        if r.random() < 0.25:
            _retract(writer, event)


def _deciding(writer: _Writer, decided: list[Event]) -> dict[str, Any]:
    """The two that a decision is about: of two people, of one, or a pair that was decided before, either way round."""
    r = writer.random
    draw = r.random()
    if decided and draw < 0.4:
        before = r.choice(decided)["data"]
        return {"a": before["b"], "b": before["a"]}
    if draw < 0.7:
        a, b = r.sample(r.choice(writer.people).identifiers, 2)
        return {"a": a, "b": b}
    one, two = r.sample(writer.people, 2)
    return {"a": r.choice(one.identifiers), "b": r.choice(two.identifiers)}


def _copies(writer: _Writer) -> None:
    """Plain duplicates, other spellings of the same content, and records that are no events."""
    r, shape = writer.random, writer.shape
    for sent in list(writer.out):
        if r.randrange(100) < shape.duplicate_percent:
            writer.out.insert(r.randint(0, len(writer.out)), sent)
        if r.randrange(100) < shape.respelled_percent:
            writer.out.insert(r.randint(0, len(writer.out)), Sent(respelled(sent.value), sent.key))
        if r.randrange(100) < shape.broken_percent:
            writer.out.insert(r.randint(0, len(writer.out)), Sent(_broken(r, sent.value), sent.key))


def respelled(value: bytes) -> bytes:
    """The same content in other bytes: keys in another order, blanks, the default revision spelled out."""
    event = json.loads(value)
    event.setdefault("revision", 0)
    return json.dumps(dict(sorted(event.items(), reverse=True)), indent=1).encode()


def _broken(r: Random, value: bytes) -> bytes:
    event = json.loads(value)
    event["id"] += "-broken"
    kind = r.randrange(4)
    if kind == 0:
        return value[: len(value) // 2]
    if kind == 1:
        event["type"] = "content.invented.v1"
    elif kind == 2:
        event["time"] = "1969-12-31T23:59:59Z"
    else:
        event["data"]["unheard_of"] = 1
    return json.dumps(event).encode()
