"""What operators part stays parted, through the journal and a real Postgres, in any order of the log."""

from __future__ import annotations

import json
from itertools import permutations
from random import Random
from typing import Any

import pytest
from digest import digest_of
from direct_journal import DirectRun, random_turns
from generators import Sent, Shape, seeded_log, shuffled
from reference.log_model import Digest

ANN, MEMBER, PHONE = ("email", "ann@example.com"), ("member_id", "M-1"), ("phone", "+14155550132")
ORDER = {"order_id": "shop:1", "total": {"amount": "10.00", "currency": "USD"}}
PAGE = {"url": "https://example.com"}


def told(id_: str, kind: str, day: int, data: dict[str, Any], *who: tuple[str, str], revision: int = 0) -> Sent:
    """An event `id_` on a day of January."""
    named = [{"kind": kind_, "value": value} for kind_, value in who]
    content = {**data, "channel": "web", "identifiers": named} if "operator" not in data else data
    envelope = {"specversion": "1.0", "id": id_, "source": "s", "type": f"{kind}.v1", "revision": revision}
    return Sent(json.dumps({**envelope, "time": f"2024-01-{day:02}T00:00:00Z", "data": content}).encode())


def decided(id_: str, verdict: str, day: int, a: tuple[str, str], b: tuple[str, str], *, revision: int = 0) -> Sent:
    """An operator's word on two identifiers."""
    ends = {name: {"kind": kind, "value": value} for name, (kind, value) in (("a", a), ("b", b))}
    data = {**ends, "reason": "asked", "operator": "op-1"}
    return told(id_, f"identity.{verdict}", day, data, revision=revision)


def retracted(id_: str, revision: int) -> Sent:
    return told(id_, "event.retracted", 1, {"reason": "a mistake", "operator": "op-1"}, revision=revision)


def applied(url: str, log: list[Sent], batch: int = 1) -> Digest:
    """What the tables say after the log, which is what the reference says."""
    run = DirectRun(url, [(0, sent) for sent in log], [(0, batch)] * (len(log) + 1))
    assert run.difference() == ""
    return digest_of(url)


def groups(found: Digest) -> set[frozenset[str]]:
    """The customers, by the values of their identifiers."""
    by_customer: dict[str, set[str]] = {}
    for row in found["identifiers"].values():
        by_customer.setdefault(row["customer_id"], set()).add(row["value"])
    return {frozenset(values) for values in by_customer.values()}


def figures(found: Digest) -> dict[str, tuple[int, int]]:
    """Events and purchases of a customer, by each value."""
    return {
        row["value"]: (
            found["customers"][row["customer_id"]]["events"],
            found["customers"][row["customer_id"]]["purchases"],
        )
        for row in found["identifiers"].values()
    }


TOGETHER = told("e1", "page.viewed", 1, PAGE, MEMBER, ANN)
BOUGHT = told("e2", "purchase.completed", 2, ORDER, ANN)
DELIVERED = told("e3", "delivery.completed", 3, {"order_id": "shop:1"})
PARTED = decided("d1", "unlinked", 4, ANN, MEMBER)
AGAIN = told("e4", "page.viewed", 5, PAGE, MEMBER, ANN)


@pytest.mark.parametrize("batch", [1, 3])
def test_an_unlink_gives_each_side_its_own_events_and_things_in_any_order(database: str, batch: int) -> None:
    """The order follows Ann, who bought it; both pages stand at the member number, the stronger identifier."""
    for log in list(permutations((TOGETHER, BOUGHT, DELIVERED, PARTED, AGAIN)))[::7]:
        found = applied(database, list(log), batch)
        assert groups(found) == {frozenset({"M-1"}), frozenset({"ann@example.com"})}
        assert figures(found) == {"M-1": (2, 0), "ann@example.com": (2, 1)}
        (link,) = found["links"].values()
        assert link["refused"] == "unlinked"


def test_a_touchpoint_that_names_both_does_not_undo_an_unlink_but_a_later_link_does(database: str) -> None:
    log = [TOGETHER, PARTED, AGAIN]
    assert len(groups(applied(database, log))) == 2
    linked = decided("d2", "linked", 6, MEMBER, ANN)
    assert groups(applied(database, [*log, linked])) == {frozenset({"M-1", "ann@example.com"})}
    earlier = decided("d0", "linked", 3, MEMBER, ANN)
    assert len(groups(applied(database, [*log, earlier]))) == 2


def test_a_detour_does_not_join_what_was_parted(database: str) -> None:
    through = told("e5", "page.viewed", 6, PAGE, MEMBER, PHONE)
    back = told("e6", "page.viewed", 7, PAGE, ANN, PHONE)
    found = applied(database, [TOGETHER, PARTED, through, back])
    assert groups(found) == {frozenset({"M-1", "+14155550132"}), frozenset({"ann@example.com"})}
    assert {link["refused"] for link in found["links"].values()} == {None, "unlinked", "separated"}


@pytest.mark.parametrize(
    ("more", "apart"),
    [
        ([retracted("d1", 1)], False),
        ([retracted("d1", 1), decided("d1", "unlinked", 4, ANN, MEMBER, revision=2)], True),
        ([decided("d1", "linked", 4, ANN, MEMBER, revision=1)], False),
        ([decided("d1", "unlinked", 4, ANN, PHONE, revision=1)], False),
        ([decided("d2", "linked", 5, ANN, MEMBER), retracted("d2", 1)], True),
        ([decided("d2", "linked", 5, ANN, MEMBER), decided("d2", "unlinked", 5, MEMBER, ANN, revision=1)], True),
        ([decided("d2", "linked", 3, ANN, MEMBER), decided("d2", "linked", 9, ANN, MEMBER, revision=1)], False),
    ],
    ids=[
        "retracted",
        "retracted and said again",
        "corrected into a link",
        "corrected to another pair",
        "the link that came later was retracted",
        "the link that came later was corrected",
        "the earlier link was in truth the later one",
    ],
)
def test_corrected_and_retracted_decisions_count_as_they_stand(database: str, more: list[Sent], apart: bool) -> None:
    for log in ([TOGETHER, BOUGHT, PARTED, *more], [*reversed(more), PARTED, BOUGHT, TOGETHER]):
        found = applied(database, log)
        both = frozenset({"M-1", "ann@example.com"})
        assert any(both <= group for group in groups(found)) is not apart


SMALL = Shape(events=40, people=10, glue_percent=15, thing_percent=30, decisions=0, crowds=1)


@pytest.mark.parametrize("seed", range(3))
def test_a_merge_and_its_unmerge_leave_the_tables_as_they_were(database: str, seed: int) -> None:
    """Of two who were apart. Decisions are folded into nothing and are no sighting."""
    random = Random(seed)
    log = seeded_log(seed, SMALL)
    before = applied(database, log, 50)
    one, two = random.sample(sorted({row["customer_id"] for row in before["identifiers"].values()}), 2)
    a, b = ((before["identifiers"][i]["kind"], before["identifiers"][i]["value"]) for i in (one, two))
    merge = [decided("merge", "linked", 5, a, b), decided("unmerge", "unlinked", 6, b, a)]
    placed = [(random.randrange(2), sent) for sent in shuffled([*log, *merge], seed)]
    assert DirectRun(database, placed, random_turns(random, 2, (1, 10))).difference() == ""
    after = digest_of(database)
    for section in ("customers", "identifiers", "last_seen", "things", "dead_letters"):
        assert after[section] == before[section], section
    events = {event_id: row for event_id, row in after["timeline"].items() if row["listed"]}
    assert events == {event_id: row for event_id, row in before["timeline"].items() if row["listed"]}
    # Of a link that was refused before, the reason may be that the two were parted now.
    joining = [{pair for pair, link in one["links"].items() if not link["refused"]} for one in (before, after)]
    assert joining[0] == joining[1]


@pytest.mark.parametrize("verdict", ["linked", "unlinked"])
def test_a_decision_about_a_shared_value_holds_for_a_pair_that_is_named_only_afterwards(
    database: str, verdict: str
) -> None:
    """Six other people share the telephone; of the pair that was decided the decision counts, not the sharing."""
    crowd = [told(f"c{n}", "page.viewed", n, PAGE, ("email", f"p{n}@example.com"), PHONE) for n in range(1, 7)]
    seen = told("a", "page.viewed", 8, PAGE, ANN)
    word = decided("d1", verdict, 9, ANN, PHONE)
    named = told("b", "page.viewed", 10, PAGE, ANN, PHONE)
    found = applied(database, [*crowd, seen, word, named])
    assert any(group >= {"ann@example.com", "+14155550132"} for group in groups(found)) is (verdict == "linked")
    back = applied(database, [*crowd, seen, word, named, retracted("d1", 1)])
    assert {link["refused"] for link in back["links"].values()} == {"shared"}
