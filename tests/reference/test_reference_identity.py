"""The reference model answers the hand-computed cases, in whatever order the facts are given."""

from __future__ import annotations

import random

import pytest
from reference.cases import CASES, Case, identifier, thing
from reference.identity_model import Decided, Seen, identity_of


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_reference_answers_the_hand_computed_case(case: Case) -> None:
    facts = list(case.facts)
    for attempt in range(4):
        random.Random(attempt).shuffle(facts)
        _check(case, facts)


def _check(case: Case, facts: list[Seen | Decided]) -> None:
    found = identity_of(
        [f for f in facts if isinstance(f, Seen)], [f for f in facts if isinstance(f, Decided)], case.policy
    )
    names = {i: f"{x.kind}:{x.value}" for i, x in found.identifiers.items()}
    assert {names[c]: {names[m] for m in members} for c, members in found.members().items()} == {
        leader: set(members.split()) for leader, members in case.customers.items()
    }
    assert {(names[a], names[b]): x.refused for (a, b), x in found.links.items() if x.refused} == case.refused
    assert {names[i] for i in found.shared} == set(case.shared.split())
    owners = {f"{found.things[t].kind}:{found.things[t].value}": o.owner_id for t, o in found.owners.items()}
    assert {t: names[o] if o else None for t, o in owners.items()} == case.owners


def test_ids_of_cases_sort_by_value_then_kind() -> None:
    assert identifier("email:a").identifier_id < identifier("phone:a").identifier_id
    assert identifier("phone:a").identifier_id < identifier("email:b").identifier_id
    assert thing("order:1").thing_id != identifier("order:1").identifier_id


def test_rules_are_named_once() -> None:
    assert len({case.rule for case in CASES}) == len(CASES)
