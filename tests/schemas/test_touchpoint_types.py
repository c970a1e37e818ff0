"""Each type of event: its example, who acts, what is a sign of life, what it continues, what of it is personal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from own_fields import OWN_FIELDS
from sample_records import decode, event, rejection, with_data
from strategies import event_json

from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.decoded import Actor
from customer_timeline.schemas.personal import personal_paths

TYPES = sorted(CATALOGUE)

# (type, fields, who acted, sign of life) as the catalogue of events says it, line by line.
RULES: list[tuple[str, dict[str, Any], Actor, bool]] = [
    ("profile.updated.v1", {}, "system", False),
    ("account.updated.v1", {}, "system", False),
    ("call.completed.v1", {"direction": "inbound", "result": "answered"}, "customer", True),
    ("call.completed.v1", {"direction": "inbound", "result": "voicemail"}, "customer", True),
    ("call.completed.v1", {"direction": "inbound", "result": "busy"}, "customer", True),
    ("call.completed.v1", {"direction": "outbound", "result": "answered"}, "company", True),
    ("call.completed.v1", {"direction": "outbound", "result": "no_answer"}, "company", False),
    ("call.completed.v1", {"direction": "outbound", "result": "voicemail"}, "company", False),
    ("call.missed.v1", {"direction": "inbound"}, "customer", True),
    ("call.missed.v1", {"direction": "outbound"}, "company", False),
    ("message.received.v1", {}, "customer", True),
    ("message.sent.v1", {}, "company", False),
    ("email.sent.v1", {}, "company", False),
    ("email.delivered.v1", {}, "system", False),
    ("email.bounced.v1", {}, "system", False),
    ("email.opened.v1", {}, "customer", False),
    ("email.clicked.v1", {}, "customer", True),
    ("email.replied.v1", {}, "customer", True),
    ("email.unsubscribed.v1", {}, "customer", False),
    ("email.marked_spam.v1", {}, "customer", False),
    ("visit.completed.v1", {}, "customer", True),
    ("page.viewed.v1", {}, "customer", True),
    ("form.submitted.v1", {}, "customer", True),
    ("file.downloaded.v1", {}, "customer", True),
    ("app.used.v1", {}, "customer", True),
    ("social.commented.v1", {}, "customer", True),
    ("social.posted.v1", {}, "customer", True),
    ("social.mentioned.v1", {}, "customer", True),
    ("content.published.v1", {}, "company", False),
    ("chat.ended.v1", {}, "customer", True),
    ("partner.referred.v1", {}, "system", False),
    ("listing.viewed.v1", {}, "customer", True),
    ("ad.clicked.v1", {}, "customer", True),
    ("order.placed.v1", {}, "customer", True),
    ("order.cancelled.v1", {}, "customer", False),
    ("purchase.completed.v1", {}, "customer", True),
    ("purchase.completed.v1", {"recurring": False}, "customer", True),
    ("purchase.completed.v1", {"recurring": True}, "customer", False),
    ("payment.received.v1", {}, "system", False),
    ("purchase.refunded.v1", {}, "system", False),
    ("delivery.promised.v1", {}, "system", False),
    ("delivery.shipped.v1", {}, "system", False),
    ("delivery.completed.v1", {}, "system", False),
    ("delivery.failed.v1", {}, "system", False),
    ("complaint.opened.v1", {}, "customer", True),
    ("complaint.assigned.v1", {}, "company", False),
    ("complaint.answered.v1", {}, "company", False),
    ("complaint.resolved.v1", {}, "company", False),
    ("complaint.reopened.v1", {}, "customer", True),
    ("complaint.closed.v1", {}, "company", False),
    ("request.opened.v1", {}, "customer", True),
    ("request.assigned.v1", {}, "company", False),
    ("request.answered.v1", {}, "company", False),
    ("request.resolved.v1", {}, "company", False),
    ("request.reopened.v1", {}, "customer", True),
    ("request.closed.v1", {}, "company", False),
    ("survey.sent.v1", {}, "company", False),
    ("survey.answered.v1", {}, "customer", True),
    ("improvement.started.v1", {}, "company", False),
    ("improvement.completed.v1", {}, "company", False),
    ("lead.created.v1", {}, "system", False),
    ("opportunity.opened.v1", {}, "system", False),
    ("opportunity.stage_changed.v1", {}, "system", False),
    ("opportunity.won.v1", {}, "system", False),
    ("opportunity.lost.v1", {}, "system", False),
    ("contract.signed.v1", {}, "system", False),
    ("contract.renewed.v1", {}, "system", False),
    ("contract.ended.v1", {}, "system", False),
    ("campaign.exposed.v1", {}, "company", False),
    ("campaign.responded.v1", {}, "customer", True),
    ("coupon.redeemed.v1", {}, "customer", True),
    ("campaign.cost_recorded.v1", {}, "system", False),
    ("loyalty.joined.v1", {}, "customer", True),
    ("loyalty.points_earned.v1", {}, "system", False),
    ("loyalty.points_spent.v1", {}, "customer", True),
    ("referral.made.v1", {}, "customer", True),
    ("referral.rewarded.v1", {}, "company", False),
    ("location.checked_in.v1", {}, "customer", True),
    ("location.entered.v1", {}, "customer", False),
    ("location.left.v1", {}, "customer", False),
    ("followup.planned.v1", {}, "company", False),
    ("followup.done.v1", {}, "company", False),
    ("followup.cancelled.v1", {}, "company", False),
    ("consent.granted.v1", {}, "customer", False),
    ("consent.withdrawn.v1", {}, "customer", False),
    ("preference.stated.v1", {}, "customer", False),
    ("article.published.v1", {}, "company", False),
    ("article.retired.v1", {}, "company", False),
    ("knowledge.applied.v1", {}, "company", False),
    ("quality.reviewed.v1", {}, "company", False),
    ("identity.linked.v1", {}, "system", False),
    ("identity.unlinked.v1", {}, "system", False),
    ("event.retracted.v1", {}, "system", False),
]
CASE_VERBS = ("assigned", "answered", "resolved", "reopened", "closed")
TOUCHPOINTS = [rule for rule in RULES if CATALOGUE[rule[0]].listed]


def test_the_catalogue_holds_the_types_of_this_version() -> None:
    assert sorted({rule[0] for rule in RULES}) == TYPES
    assert len(TYPES) == 85


@pytest.mark.parametrize("type_name", TYPES)
def test_the_example_of_each_type_is_a_valid_event(type_name: str) -> None:
    assert decode(event(type_name)).type == type_name


@pytest.mark.parametrize("type_name", TYPES)
def test_each_type_refuses_a_field_that_it_does_not_know(type_name: str) -> None:
    found = rejection(with_data(type_name, mood="merry"))
    assert (found.reason, found.type, found.field) == ("invalid_field", type_name, "data.mood")


@pytest.mark.parametrize(("type_name", "fields", "actor", "life"), RULES)
def test_who_acted_and_what_is_a_sign_of_life(type_name: str, fields: dict[str, Any], actor: Actor, life: bool) -> None:
    found = decode(with_data(type_name, **fields))
    assert (found.actor, found.sign_of_life) == (actor, life)


@pytest.mark.parametrize(("type_name", "fields", "actor", "life"), TOUCHPOINTS)
def test_what_a_machine_did_is_no_sign_of_life(
    type_name: str, fields: dict[str, Any], actor: Actor, life: bool
) -> None:
    found = decode(with_data(type_name, **fields, automated=True))
    assert (found.actor, found.sign_of_life) == (actor, False)
    assert decode(with_data(type_name, **fields, automated=False)).sign_of_life is life


@pytest.mark.parametrize(("type_name", "fields", "actor", "life"), TOUCHPOINTS)
def test_an_explicit_actor_counts_voids_life_and_never_adds_it(
    type_name: str, fields: dict[str, Any], actor: Actor, life: bool
) -> None:
    for named in ("company", "system"):
        found = decode(with_data(type_name, **fields, actor=named))
        assert (found.actor, found.sign_of_life) == (named, False)
    found = decode(with_data(type_name, **fields, actor="customer"))
    assert (found.actor, found.sign_of_life) == ("customer", life)


@pytest.mark.parametrize(
    ("actor", "direction"), [("customer", "inbound"), ("company", "outbound"), ("system", "system")]
)
def test_direction_follows_who_acted(actor: str, direction: str) -> None:
    assert decode(with_data("page.viewed.v1", actor=actor)).direction == direction


def test_what_begins_a_thing_does_not_continue_it() -> None:
    naming = {name for name, data in CATALOGUE.items() if data.thing_fields()}
    assert {name for name in naming if not CATALOGUE[name].continues_thing()} == {
        "order.placed.v1",
        "purchase.completed.v1",
        "complaint.opened.v1",
        "request.opened.v1",
        "opportunity.opened.v1",
        "contract.signed.v1",
        "followup.planned.v1",
    }
    assert naming >= {f"{case}.{verb}.v1" for case in ("complaint", "request") for verb in CASE_VERBS}


@pytest.mark.parametrize(
    ("type_name", "kinds"),
    [
        ("order.cancelled.v1", ["order"]),
        ("payment.received.v1", ["order"]),
        ("delivery.promised.v1", ["order"]),
        ("coupon.redeemed.v1", ["order"]),
        ("complaint.opened.v1", ["order", "case"]),
        ("opportunity.won.v1", ["opportunity"]),
        ("contract.ended.v1", ["contract"]),
        ("followup.done.v1", ["followup"]),
        ("knowledge.applied.v1", ["case"]),
        ("quality.reviewed.v1", ["case"]),
        ("lead.created.v1", []),
    ],
)
def test_things_are_named_by_their_ids(type_name: str, kinds: list[str]) -> None:
    assert [thing.kind for thing in decode(event(type_name)).things] == kinds


def test_a_customers_touchpoint_needs_a_channel() -> None:
    for name, data in CATALOGUE.items():
        if data.concerns_customer:
            found = rejection(with_data(name, channel=...))
            assert (found.reason, found.field) == ("invalid_field", "data.channel")


@pytest.mark.parametrize("type_name", ["identity.linked.v1", "identity.unlinked.v1", "event.retracted.v1"])
@pytest.mark.parametrize(
    "field",
    [{"channel": "phone"}, {"identifiers": [{"kind": "email", "value": "a@example.com"}]}, {"actor": "customer"}],
)
def test_decisions_carry_no_channel_and_no_identifiers(type_name: str, field: dict[str, Any]) -> None:
    assert rejection(with_data(type_name, **field)).reason == "invalid_field"


def test_twenty_identifiers_are_the_most() -> None:
    named = [{"kind": "email", "value": f"p{number}@example.com"} for number in range(21)]
    assert len(decode(with_data("page.viewed.v1", identifiers=named[:20])).identifiers) == 20
    assert rejection(with_data("page.viewed.v1", identifiers=named)).field == "data.identifiers"


def test_null_forgets_a_trait_and_absence_says_nothing() -> None:
    traits = decode(with_data("profile.updated.v1", traits={"gender": None, "company": "Acme"})).data.traits  # type: ignore[attr-defined]
    assert traits.forgotten == {"gender"}
    assert traits.model_fields_set == {"gender", "company"}


def test_every_type_has_a_strategy() -> None:
    assert set(OWN_FIELDS) == set(CATALOGUE)


@given(event_json())
def test_life_is_never_more_than_what_the_type_declares(record: dict[str, Any]) -> None:
    found = decode(record)
    assert not (found.sign_of_life and not CATALOGUE[found.type].life)


PERSONAL: dict[str, set[str]] = {
    "page.viewed.v1": {"url", "referrer"},
    "file.downloaded.v1": {"file", "url"},
    "form.submitted.v1": {"fields"},
    "call.completed.v1": {"summary", "recording_ref"},
    "message.received.v1": {"text"},
    "email.bounced.v1": {"subject", "reason"},
    "social.commented.v1": {"text", "post_ref"},
    "chat.ended.v1": {"summary", "result"},
    "partner.referred.v1": {"note"},
    "order.cancelled.v1": {"reason"},
    "purchase.refunded.v1": {"reason"},
    "delivery.shipped.v1": {"tracking"},
    "delivery.failed.v1": {"reason"},
    "survey.answered.v1": {"comment"},
    "complaint.opened.v1": {"description"},
    "complaint.answered.v1": {"text"},
    "request.opened.v1": {"description"},
    "request.resolved.v1": {"solution"},
    "opportunity.opened.v1": {"need", "intent"},
    "opportunity.lost.v1": {"reason"},
    "contract.signed.v1": {"terms"},
    "contract.ended.v1": {"reason"},
    "campaign.responded.v1": {"response"},
    "referral.made.v1": {"referred.value", "code"},
    "followup.planned.v1": {"reason"},
    "followup.done.v1": {"outcome"},
    "consent.granted.v1": {"identifier.value", "evidence"},
    "preference.stated.v1": {"interests[]", "topics[]"},
    "quality.reviewed.v1": {"comment"},
    "location.entered.v1": set(),
}
COMMON_PERSONAL = {"identifiers[].value", "attributes", "location.lat", "location.lon"}


@pytest.mark.parametrize("type_name", sorted(PERSONAL))
def test_personal_fields_are_marked(type_name: str) -> None:
    assert personal_paths(CATALOGUE[type_name]) == PERSONAL[type_name] | COMMON_PERSONAL


def test_every_trait_is_personal() -> None:
    marked = personal_paths(CATALOGUE["profile.updated.v1"])
    traits = CATALOGUE["profile.updated.v1"].model_fields["traits"].annotation
    assert {path.removeprefix("traits.").removesuffix("[]") for path in marked if path.startswith("traits.")} == set(
        traits.model_fields  # type: ignore[union-attr]
    )


@pytest.mark.parametrize("type_name", ["identity.linked.v1", "identity.unlinked.v1"])
def test_the_values_of_a_decision_are_personal_and_its_operator_is_not(type_name: str) -> None:
    assert personal_paths(CATALOGUE[type_name]) == {"a.value", "b.value", "attributes"}


@pytest.mark.parametrize("type_name", TYPES)
def test_every_type_that_names_a_person_marks_the_value(type_name: str) -> None:
    if CATALOGUE[type_name].concerns_customer:
        assert "identifiers[].value" in personal_paths(CATALOGUE[type_name])
