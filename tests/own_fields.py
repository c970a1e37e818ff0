"""Hypothesis strategies of each type's own fields: `OWN_FIELDS`. A type without one fails a test of the schemas."""

from __future__ import annotations

from typing import Any

from field_values import (
    IDENTIFIERS,
    Json,
    cases,
    contracts,
    date_span,
    dates,
    followups,
    instants,
    items,
    json_values,
    money,
    opportunities,
    orders,
    percents,
    seconds,
    words,
)
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy


def _data(required: Json, /, **optional: SearchStrategy[Any]) -> SearchStrategy[Json]:
    """Fields of one type: `required` by name, the others may be left out."""
    return st.fixed_dictionaries(required, optional=optional)


def _dated(first: str, last: str, required: Json, /, **optional: SearchStrategy[Any]) -> SearchStrategy[Json]:
    """Fields of one type, with two dates in order."""
    return st.builds(lambda days, fields: days | fields, date_span(first, last), _data(required, **optional))


def _each(
    family: str, verbs: str, required: Json, /, **optional: SearchStrategy[Any]
) -> dict[str, SearchStrategy[Json]]:
    """Types of one family that have the same fields."""
    return {f"{family}.{verb}.v1": _data(required, **optional) for verb in verbs.split()}


_direction = st.sampled_from(("inbound", "outbound"))
_message_id = st.sampled_from(("m-1", "m-2"))
_medium = st.sampled_from(("sms", "wechat", "whatsapp", "weibo", "douyin", "instagram", "facebook", "other"))
_identifier = st.sampled_from(IDENTIFIERS)
_texts = st.lists(words, max_size=3)
_lines = {"city": words, "country": st.none() | words}
_address = st.fixed_dictionaries({"kind": st.sampled_from(("home", "work"))}, optional=_lines)
_campaign = st.fixed_dictionaries({"id": st.sampled_from(("spring", "autumn"))})
_location = st.fixed_dictionaries({"place": words}, optional={"region": words})
_channel = st.sampled_from(("email", "sms"))
_traits = st.fixed_dictionaries(
    {},
    optional={
        **{
            name: st.none() | words
            for name in ("given_name", "family_name", "full_name", "gender", "language", "timezone")
        },
        **{name: st.none() | words for name in ("company", "title", "industry")},
        **{name: st.none() | dates for name in ("birthday", "anniversary")},
        **{name: st.none() | _texts for name in ("emails", "phones", "interests", "hobbies", "needs")},
        "addresses": st.none() | st.lists(_address, max_size=2),
    },
)
_account_traits = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.none() | words for name in ("name", "industry", "size", "website")},
        "address": st.none() | st.fixed_dictionaries({}, optional=_lines),
    },
)
_DECIDED = (
    {"kind": "member_id", "value": "M-1"},
    {"kind": "email", "value": "bob@example.com"},
    {"kind": "phone", "value": "+442079460958"},
)


def _case(family: str, **required: SearchStrategy[Any]) -> dict[str, SearchStrategy[Json]]:
    """The six types of a family of cases; `required` are what its opening says besides."""
    opened = {"case_id": cases, "theme": st.sampled_from(("delivery", "quality")), **required}
    verbs = {
        "opened": _data(
            opened,
            description=words,
            severity=st.sampled_from(("low", "normal", "high")),
            sku=st.just("LAMP-1"),
            order_id=orders,
        ),
        "assigned": _data({"case_id": cases, "assignee": st.just("agent-7")}, step=words),
        "answered": _data({"case_id": cases}, text=words),
        "resolved": _data({"case_id": cases}, solution=words, article_id=st.just("kb-1")),
        "reopened": _data({"case_id": cases}, reason=words),
        "closed": _data({"case_id": cases}),
    }
    return {f"{family}.{verb}.v1": fields for verb, fields in verbs.items()}


_CONTACTS = {
    "call.completed.v1": _data(
        {
            "direction": _direction,
            "duration_s": seconds,
            "result": st.sampled_from(("answered", "voicemail", "busy", "no_answer", "failed")),
        },
        purpose=words,
        summary=words,
        recording_ref=words,
    ),
    "call.missed.v1": _data({"direction": _direction}, reason=words),
    **_each("message", "received sent", {"medium": _medium}, text=words, message_id=_message_id),
    **_each("email", "sent delivered", {"message_id": _message_id}, subject=words),
    **_each("email", "opened unsubscribed marked_spam", {"message_id": _message_id}),
    "email.bounced.v1": _data({"message_id": _message_id}, subject=words, reason=words),
    "email.clicked.v1": _data({"message_id": _message_id}, url=st.just("https://shop.example.com/")),
    "email.replied.v1": _data({"message_id": _message_id}, text=words, in_reply_to=_message_id),
    "visit.completed.v1": _data(
        {"kind": st.sampled_from(("store", "office", "webinar", "other"))},
        purpose=words,
        outcome=words,
        duration_s=seconds,
    ),
    "page.viewed.v1": _data(
        {"url": st.just("https://shop.example.com/p")}, title=words, dwell_ms=seconds, sku=st.just("LAMP-1")
    ),
    "form.submitted.v1": _data({"form": st.just("f")}, fields=st.dictionaries(words, json_values, max_size=2)),
    "file.downloaded.v1": _data({"file": words}, url=st.just("https://shop.example.com/f")),
    "app.used.v1": _data({"app": st.just("ios"), "action": st.just("search")}, duration_s=seconds),
    **_each(
        "social",
        "commented posted mentioned",
        {"platform": st.sampled_from(("weibo", "douyin"))},
        text=words,
        post_ref=words,
        sentiment=st.sampled_from(("positive", "neutral", "negative")),
    ),
    "content.published.v1": _data({"content_ref": words}, title=words, platform=st.just("wechat")),
    "chat.ended.v1": _data(
        {}, duration_s=seconds, messages=st.integers(0, 99), topic=words, summary=words, result=words
    ),
    **{
        name: _data({"partner": st.just("guild")}, listing=st.just("l-1"), ad=st.just("ad-1"), note=words)
        for name in ("partner.referred.v1", "listing.viewed.v1", "ad.clicked.v1")
    },
    **_each(
        "location",
        "checked_in entered left",
        {"location": _location, "via": st.sampled_from(("gps", "wifi", "bluetooth", "manual"))},
    ),
}

_ORDERS = {
    "order.placed.v1": _data({"order_id": orders, "total": money}, items=items),
    "order.cancelled.v1": _data({"order_id": orders}, reason=words),
    "purchase.completed.v1": _data(
        {"order_id": orders, "total": money},
        cost=money,
        items=items,
        coupon_id=st.just("SPRING"),
        recurring=st.booleans(),
    ),
    "payment.received.v1": _data({"order_id": orders, "payment_id": st.sampled_from(("p-1", "p-2")), "total": money}),
    "purchase.refunded.v1": _data(
        {"order_id": orders, "refund_id": st.sampled_from(("r-1", "r-2")), "total": money}, items=items, reason=words
    ),
    "delivery.promised.v1": _data({"order_id": orders, "due_at": instants()}, shipment_id=st.just("s-1")),
    "delivery.shipped.v1": _data({"order_id": orders}, shipment_id=st.just("s-1"), carrier=words, tracking=words),
    "delivery.completed.v1": _data({"order_id": orders}, shipment_id=st.sampled_from(("s-1", "s-2"))),
    "delivery.failed.v1": _data({"order_id": orders}, shipment_id=st.just("s-1"), reason=words),
    "coupon.redeemed.v1": _data({"coupon_id": st.just("SPRING")}, order_id=orders, value=money),
}

_SALES = {
    "lead.created.v1": _data({"lead_id": st.just("l-1")}, origin=words),
    "opportunity.opened.v1": _data(
        {"opportunity_id": opportunities},
        need=words,
        intent=words,
        sku=st.just("LAMP-1"),
        budget=money,
        decision_on=dates,
        probability_percent=percents,
    ),
    "opportunity.stage_changed.v1": _data({"opportunity_id": opportunities, "stage": words}),
    "opportunity.won.v1": _data({"opportunity_id": opportunities}, total=money),
    "opportunity.lost.v1": _data({"opportunity_id": opportunities}, reason=words),
    "contract.signed.v1": _dated("starts_on", "ends_on", {"contract_id": contracts}, total=money, terms=words),
    "contract.renewed.v1": _data({"contract_id": contracts, "ends_on": dates}, total=money),
    "contract.ended.v1": _data({"contract_id": contracts}, reason=words),
    "campaign.exposed.v1": _data({"campaign": _campaign}),
    "campaign.responded.v1": _data({"campaign": _campaign}, response=words),
    "campaign.cost_recorded.v1": _dated(
        "from_on", "until_on", {"cost_id": st.sampled_from(("c-1", "c-2")), "cost": money}, campaign=_campaign
    ),
    "loyalty.joined.v1": _data({"program": st.just("bright")}),
    **_each("loyalty", "points_earned points_spent", {"program": st.just("bright"), "points": st.integers(0, 500)}),
    "referral.made.v1": _data({}, referred=_identifier, code=words),
    "referral.rewarded.v1": _data({}, code=words, value=money),
}

_SERVICE = {
    **_case("complaint"),
    **_case("request", kind=st.sampled_from(("question", "ticket", "suggestion", "task"))),
    "survey.sent.v1": _data({"survey_id": st.just("s-1")}, invitation_id=st.just("i-1")),
    "survey.answered.v1": _data(
        {"survey_id": st.just("s-1"), "via": st.sampled_from(("online", "phone", "paper", "other"))},
        invitation_id=st.just("i-1"),
        csat=st.integers(1, 5),
        nps=st.integers(0, 10),
        comment=words,
        themes=st.lists(words, max_size=2),
        about=st.fixed_dictionaries({"kind": st.just("order"), "id": orders}),
    ),
    **_each("improvement", "started completed", {"theme": words, "action": words}, owner=st.just("logistics")),
    "followup.planned.v1": _data(
        {
            "followup_id": followups,
            "due_at": instants(),
            "medium": st.sampled_from(("call", "mail", "visit", "message")),
        },
        assignee=st.just("agent-7"),
        reason=words,
    ),
    "followup.done.v1": _data({"followup_id": followups}, outcome=words),
    "followup.cancelled.v1": _data({"followup_id": followups}, reason=words),
    "article.published.v1": _data({"article_id": st.just("kb-1"), "title": words}, themes=_texts),
    "article.retired.v1": _data({"article_id": st.just("kb-1")}),
    "knowledge.applied.v1": _data({"case_id": cases, "article_id": st.just("kb-1")}, helpful=st.booleans()),
    "quality.reviewed.v1": _data(
        {"staff": st.just({"id": "agent-7"}), "score_percent": percents}, case_id=cases, comment=words
    ),
}

_decision = st.permutations(_DECIDED).map(
    lambda pair: {"a": dict(pair[0]), "b": dict(pair[1]), "reason": "told on the phone", "operator": "agent-7"}
)

_PEOPLE = {
    "profile.updated.v1": _data({"traits": _traits}),
    "account.updated.v1": _data({"account": st.just("acme"), "traits": _account_traits}),
    **_each(
        "consent",
        "granted withdrawn",
        {"purpose": st.sampled_from(("newsletter", "profiling"))},
        on_channel=_channel,
        identifier=_identifier,
        evidence=words,
        expires_on=dates,
    ),
    "preference.stated.v1": _data({}, preferred_channel=_channel, interests=_texts, topics=_texts),
    "identity.linked.v1": _decision,
    "identity.unlinked.v1": _decision,
    "event.retracted.v1": _data({"reason": st.just("booked twice"), "operator": st.just("agent-7")}),
}

OWN_FIELDS: dict[str, SearchStrategy[Json]] = {**_CONTACTS, **_ORDERS, **_SALES, **_SERVICE, **_PEOPLE}
"""The strategy of each type's own fields, by type."""
