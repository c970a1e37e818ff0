"""What is shown of identity, why two are one or not, and what a decision would do: by hand, and as laws."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from tangle import POLICY, component, link, linked, resolved, unlinked

from customer_timeline.projections.component import Component, ComponentDecision, ComponentLink, joined
from customer_timeline.projections.identity_preview import Preview, preview
from customer_timeline.projections.identity_view import Resolved, customer_identity
from customer_timeline.projections.identity_why import Why, why


def names(found: Why) -> list[str]:
    """The chain as words: what joins or is refused, from a to b."""
    words, here = [found.a], found.a
    for tie in found.chain:
        here = tie.pair[1] if tie.pair[0] == here else tie.pair[0]
        words += [f"({tie.refused})" if tie.refused else "-", here]
    return words


def test_a_customer_shows_what_holds_it_together_and_what_was_refused() -> None:
    shown = customer_identity(
        resolved(
            link("member:m email:ann", 1, 9),
            link("email:ann phone:p", 2),
            link("member:n email:ann", 3),
            linked("email:ann email:old", 4),
        ),
        "phone:p",
    )
    # ann and m were seen at 1: the lesser id leads; old was never seen, so it comes last.
    assert shown.customer_id == "email:ann"
    assert [m.identifier_id for m in shown.members] == ["email:ann", "member:m", "phone:p", "email:old"]
    assert shown.former_ids == ("member:m", "phone:p", "email:old")
    assert [tie.pair for tie in shown.ties] == [
        ("member:m", "email:ann"),
        ("email:ann", "phone:p"),
        ("email:ann", "email:old"),
    ]
    assert [[one.event_id for one in tie.evidence] for tie in shown.ties] == [["e1", "e9"], ["e2"], []]
    assert [tie.decision and tie.decision.event_id for tie in shown.ties] == [None, None, "d4"]
    (refused,) = shown.refused
    assert (refused.pair, refused.refused) == (("member:n", "email:ann"), "limit:member")
    assert refused.values == ("member:m", "member:n")
    assert [(one.decision.event_id, one.counts) for one in shown.decisions] == [("d4", True)]


def test_a_pair_that_is_both_named_and_decided_is_one_tie() -> None:
    shown = customer_identity(resolved(link("member:m email:ann", 5), linked("email:ann member:m", 1)), "email:ann")
    (tie,) = shown.ties
    assert (len(tie.evidence), tie.decision and tie.decision.event_id) == (1, "d1")


def test_a_refusal_names_the_decisions_and_the_values_that_it_is_about() -> None:
    found = resolved(
        link("member:m email:ann", 1),
        link("member:m phone:p", 2),
        unlinked("email:ann phone:p", 9),
        link("email:ann phone:x", 3),
        link("member:m device:d", 4),
        shared="phone:x",
        ends="phone:x device:d",
    )
    refused = {tie.pair: tie for tie in customer_identity(found, "member:m").refused}
    assert {pair: tie.refused for pair, tie in refused.items()} == {
        ("member:m", "phone:p"): "separated",
        ("email:ann", "phone:x"): "shared",
        ("member:m", "device:d"): "never_links",
    }
    assert [one.event_id for one in refused["member:m", "phone:p"].vetoes] == ["d9"]
    assert refused["email:ann", "phone:x"].values == ("phone:x",)
    assert refused["member:m", "device:d"].values == ("device:d",)


def test_a_decision_that_a_later_one_overrules_does_not_count() -> None:
    shown = customer_identity(resolved(linked("email:a email:b", 1), unlinked("email:b email:a", 2)), "email:a")
    assert [(one.decision.verdict, one.counts) for one in shown.decisions] == [("linked", False), ("unlinked", True)]
    assert (shown.ties, shown.refused) == ((), ())


def test_a_link_that_was_decided_and_joins_nobody_says_why() -> None:
    shown = customer_identity(
        resolved(linked("email:a email:b", 1), linked("email:b email:c", 2), unlinked("email:a email:c", 3)), "email:a"
    )
    assert [(one.decision.event_id, one.refused) for one in shown.decisions] == [
        ("d1", None),
        ("d2", "separated"),
        ("d3", None),
    ]
    (refused,) = shown.refused
    assert (refused.pair, refused.refused, [one.event_id for one in refused.vetoes]) == (
        ("email:b", "email:c"),
        "separated",
        ["d3"],
    )


def test_the_shortest_chain_that_joins_is_shown() -> None:
    found = resolved(
        link("member:m email:a", 1), link("member:m email:b", 2), link("email:b phone:p", 3), link("email:a email:b", 4)
    )
    assert names(why(found, "email:a", "phone:p")) == ["email:a", "-", "email:b", "-", "phone:p"]
    assert why(found, "email:a", "email:a").chain == ()
    assert why(found, "email:a", "email:a").together


def test_of_two_customers_the_refused_links_between_them_are_shown() -> None:
    found = resolved(link("member:m email:a", 1), link("member:n email:a", 2), link("member:n phone:p", 3))
    answer = why(found, "member:m", "phone:p")
    assert names(answer) == ["member:m", "-", "email:a", "(limit:member)", "member:n", "-", "phone:p"]
    assert not answer.together


def test_a_shared_value_between_two_is_what_keeps_them_apart() -> None:
    found = resolved(link("email:a phone:x", 1), link("email:b phone:x", 2), shared="phone:x")
    assert names(why(found, "email:a", "email:b")) == ["email:a", "(shared)", "phone:x", "(shared)", "email:b"]


def test_a_pair_that_was_parted_says_by_whom() -> None:
    answer = why(resolved(link("email:a phone:p", 1), unlinked("email:a phone:p", 2)), "phone:p", "email:a")
    assert names(answer) == ["phone:p", "(unlinked)", "email:a"]
    assert [(one.event_id, one.operator, one.reason) for one in answer.vetoes] == [("d2", "op-1", "asked")]


def test_nothing_leads_from_the_one_to_the_other() -> None:
    answer = why(resolved(also="email:a email:b"), "email:a", "email:b")
    assert (answer.together, answer.chain, answer.vetoes) == (False, (), ())


def test_components_that_meet_at_an_end_are_joined_there() -> None:
    one = component(link("email:a phone:x", 1), shared="phone:x", ends="phone:x")
    two = component(link("email:b phone:x", 2), shared="phone:x", ends="phone:x")
    found = joined([one, two, one])
    assert [m.identifier_id for m in found.inside] == ["email:a", "email:b"]
    assert [m.identifier_id for m in found.ends] == ["phone:x"]
    assert len(found.links) == 2


def sides(found: Preview) -> tuple[list[set[str]], list[set[str]]]:
    """Members of the customers before and after."""
    return [set(side.ids) for side in found.before], [set(side.ids) for side in found.after]


def test_a_preview_of_an_unlink_says_who_goes_where_and_what_the_veto_refuses() -> None:
    found = preview(
        component(link("member:m email:a", 1), link("member:m phone:p", 2), link("phone:p email:b", 3)),
        unlinked("email:a phone:p", 9),
        POLICY,
    )
    assert sides(found) == (
        [{"member:m", "email:a", "phone:p", "email:b"}],
        [{"member:m", "email:a"}, {"phone:p", "email:b"}],
    )
    assert [(tie.pair, tie.refused) for tie in found.refused] == [(("member:m", "phone:p"), "separated")]
    assert found.changes
    assert found.judged.counts


def test_a_preview_of_a_link_says_what_it_pushes_out() -> None:
    """The operator's link comes first, so the older member number finds its place taken."""
    found = preview(component(link("member:m email:a", 1), also="member:n"), linked("member:n email:a", 9), POLICY)
    assert sides(found) == ([{"member:m", "email:a"}, {"member:n"}], [{"member:n", "email:a"}, {"member:m"}])
    assert [(tie.pair, tie.refused) for tie in found.refused] == [(("member:m", "email:a"), "limit:member")]


def test_a_preview_of_a_link_after_an_unlink_restores_what_was_refused() -> None:
    found = preview(
        component(link("email:a phone:p", 1), unlinked("email:a phone:p", 2)), linked("email:a phone:p", 9), POLICY
    )
    assert sides(found) == ([{"email:a"}, {"phone:p"}], [{"email:a", "phone:p"}])
    assert [tie.pair for tie in found.restored] == [("email:a", "phone:p")]


def test_a_decision_dated_before_another_changes_nothing() -> None:
    found = preview(component(unlinked("email:a phone:p", 5)), linked("email:a phone:p", 2), POLICY)
    assert not found.changes
    assert not found.judged.counts


NAMES = ("member:m", "member:n", "email:a", "email:b", "phone:p", "phone:q", "device:d")
PAIRS = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).filter(lambda pair: pair[0] < pair[1])
RANK = {"member": 4, "email": 3, "phone": 2, "device": 1}


def _ordered(pair: tuple[str, str]) -> str:
    return " ".join(sorted(pair, key=lambda name: (-RANK[name.partition(":")[0]], name)))


@st.composite
def tangles(draw: st.DrawFn) -> Component:
    """A few identifiers, links among them, some shared, some decisions; everything in one `Component`."""
    pairs = draw(st.lists(PAIRS, max_size=10, unique=True))
    links = [link(_ordered(pair), draw(st.integers(0, 9))) for pair in pairs]
    decided: list[ComponentDecision] = []
    for number, pair in enumerate(draw(st.lists(PAIRS, max_size=3))):
        make = draw(st.sampled_from((linked, unlinked)))
        decided.append(make(" ".join(pair), draw(st.integers(0, 9)))._replace(event_id=f"d{number}"))
    facts: list[ComponentLink | ComponentDecision] = [*links, *decided]
    return component(*facts, shared=draw(st.sampled_from(("", "phone:p", "email:a phone:q"))), also=" ".join(NAMES))


@given(tangles(), PAIRS)
def test_a_link_and_its_unlink_leave_everybody_as_they_were_if_they_were_apart(
    tangle: Component, pair: tuple[str, str]
) -> None:
    before = Resolved.of(tangle, POLICY)
    if before.customer_of[pair[0]] == before.customer_of[pair[1]]:
        return
    text = " ".join(pair)
    decided = (*tangle.decisions, linked(text, 100), unlinked(text, 101))
    after = Resolved.of(tangle._replace(decisions=decided), POLICY)
    if any(one.pair == pair and one.verdict == "linked" for one in tangle.decisions):
        return  # a link that was decided and could not be kept: the unlink ends that too, so others may take its place
    assert after.resolution.customers == before.resolution.customers
    # The same links join nobody. Of some the reason is now that the two were parted.
    assert after.resolution.refused.keys() == before.resolution.refused.keys()


@given(tangles(), PAIRS)
def test_a_chain_joins_exactly_those_of_one_customer(tangle: Component, pair: tuple[str, str]) -> None:
    found = Resolved.of(tangle, POLICY)
    answer = why(found, *pair)
    refused = [tie for tie in answer.chain if tie.refused]
    assert answer.together == (found.customer_of[pair[0]] == found.customer_of[pair[1]])
    if answer.together:
        assert answer.chain
        assert not refused
    elif answer.chain:
        assert refused
    if answer.chain:
        assert names(answer)[-1] == pair[1]


@given(tangles(), PAIRS, st.sampled_from((linked, unlinked)))
def test_a_preview_is_what_comes_to_be(
    tangle: Component, pair: tuple[str, str], make: Callable[[str, int], ComponentDecision]
) -> None:
    decision = make(" ".join(pair), 100)
    found = preview(tangle, decision, POLICY)
    after = Resolved.of(tangle._replace(decisions=(*tangle.decisions, decision)), POLICY)
    assert {side.ids for side in found.after} <= {frozenset(m) for m in after.resolution.customers.values()}
    assert frozenset.union(*(side.ids for side in found.before)) == frozenset.union(*(side.ids for side in found.after))
    if decision.verdict == "unlinked":
        assert after.customer_of[pair[0]] != after.customer_of[pair[1]]
