"""The product's identity and the independent model answer alike: hand-computed cases, thousands of random graphs."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from reference.cases import CASES, POLICY, SECOND, TIGHT, Case, identifier, spelled_id
from reference.identity_model import Decided, Identity, Seen, identity_of

from customer_timeline.projections.identity import Decision, Link, Member, Resolution, resolve
from customer_timeline.schemas.identity_policy import IdentityPolicy

KINDS = ("member_id", "user_id", "email", "phone", "device_id", "open_id:x")


def _of_the_product(model: Identity, decided: Sequence[Decided], policy: IdentityPolicy) -> Resolution:
    """Ask the product, with the facts that its tables would hold: first sightings, shared values, least evidence."""
    members = {
        i: Member(i, x.kind, model.first_seen[i][0] if i in model.first_seen else None, i in model.shared)
        for i, x in model.identifiers.items()
    }
    links = [Link(pair, *link.least) for pair, link in model.links.items() if link.least]
    decisions = [
        Decision((d.a.identifier_id, d.b.identifier_id), d.verdict, d.occurred_us, d.event_id)  # type: ignore[arg-type]
        for d in decided
        if d.counts
    ]
    return resolve(members, links, decisions, policy)


def _agree(seen: Sequence[Seen], decided: Sequence[Decided], policy: IdentityPolicy) -> None:
    model = identity_of(seen, decided, policy)
    found = _of_the_product(model, decided, policy)
    assert {c: set(members) for c, members in found.customers.items()} == model.members()
    assert dict(found.refused) == {pair: x.refused for pair, x in model.links.items() if x.refused}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_product_answers_the_hand_computed_case(case: Case) -> None:
    _agree(
        [f for f in case.facts if isinstance(f, Seen)],
        [f for f in case.facts if isinstance(f, Decided)],
        case.policy,
    )


def _random_facts(random: Random) -> tuple[list[Seen], list[Decided]]:
    """A few identifiers, many links between them, decisions of both kinds, equal times, records that lost."""
    names = [identifier(f"{random.choice(KINDS)}:{n}") for n in range(random.randint(2, 14))]
    seen = [
        Seen(
            spelled_id(f"e{n}"),
            random.randrange(6) * SECOND,
            tuple(random.sample(names, min(len(names), random.choice((1, 2, 2, 2, 3, 4))))),
            (),
            random.random() < 0.9,
        )
        for n in range(random.randint(1, 25))
    ]
    decided = []
    for n in range(random.choice((0, 0, 1, 3, 6))):
        a, b = random.sample(names, 2)
        verdict = random.choice(("linked", "unlinked"))
        decided.append(Decided(spelled_id(f"d{n}"), random.randrange(6) * SECOND, a, b, verdict, random.random() < 0.9))
    return seen, decided


@pytest.mark.parametrize("seed", range(20))
def test_product_agrees_with_the_reference_on_random_graphs(seed: int) -> None:
    random = Random(seed)
    for _ in range(100):
        _agree(*_random_facts(random), random.choice((POLICY, TIGHT)))
