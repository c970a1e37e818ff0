"""What each type of event of the mixed catalogue says. Pure; called by `benchmarks.mixed` only.

One entry a type: its data without identifiers, and its revenue in cents. What follows a beginning repeats what that
said of the thing: the order and its total, the case, the mail.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from benchmarks.event_data import PLACES, Fields, campaign, email, identifier, order, padding, page_view

_THEMES: Final = ("late delivery", "wrong size", "broken on arrival", "invoice", "warranty", "how to wash")
_CHANNELS: Final = ("email", "phone", "web", "chat")


class Telling(NamedTuple):
    """What a builder may use: the number and time of the event, and what began it (empty for a beginning)."""

    number: int
    occurred_at: datetime
    random: random.Random
    begun: Fields

    def upto(self, bound: int) -> int:
        """A number below `bound`."""
        return self.random.randrange(bound)

    def one(self, *choices: str) -> str:
        """One of `choices`."""
        return self.random.choice(choices)

    def same(self, *names: str) -> Fields:
        """What the beginning said under these names."""
        return {name: self.begun[name] for name in names}

    def day(self, days: int) -> str:
        """The date that many days later."""
        return (self.occurred_at + timedelta(days=days)).date().isoformat()

    def instant(self, days: int) -> str:
        """The instant that many days later."""
        return (self.occurred_at + timedelta(days=days)).isoformat(timespec="seconds").replace("+00:00", "Z")

    def money(self, least: int, most: int) -> Fields:
        """An amount in whole dollars."""
        return {"amount": f"{self.random.randrange(least, most)}.00", "currency": "USD"}


Builder = Callable[[Telling], tuple[Fields, int]]


def _fields(channel: str | None, build: Callable[[Telling], Fields]) -> Builder:
    """No revenue; `channel` where it is always the same."""
    common: Fields = {} if channel is None else {"channel": channel}
    return lambda t: ({**common, **build(t)}, 0)


def _purchase(t: Telling) -> tuple[Fields, int]:
    if not t.begun:
        data, cents = order(t.number, t.random)
        return {**data, "channel": "store"}, cents
    cents = int(str(t.begun["total"]["amount"]).replace(".", ""))
    return {"channel": "web", **t.same("order_id", "total", "items")}, cents


def _opened(**more: str) -> Builder:
    def build(t: Telling) -> tuple[Fields, int]:
        said = {"theme": t.one(*_THEMES), "description": padding(150), "severity": t.one("low", "normal", "high")}
        return {"channel": t.one(*_CHANNELS), "case_id": f"desk:{t.number:08d}", **more, **said}, 0

    return build


def _case(build: Callable[[Telling], Fields]) -> Builder:
    return lambda t: ({"channel": "crm", **t.same("case_id"), **build(t)}, 0)


def _mail(build: Callable[[Telling], Fields]) -> Builder:
    return lambda t: ({"channel": "email", **t.same("message_id", "campaign"), **build(t)}, 0)


def _social(build: Callable[[Telling], Fields]) -> Builder:
    return lambda t: ({"channel": "social", "platform": t.one("weibo", "instagram"), **build(t)}, 0)


def _place(t: Telling) -> Fields:
    place: dict[str, Any] = {"place": f"store-{t.one(*PLACES).lower()}", "region": "north"}
    return {"location": place, "via": t.one("gps", "wifi", "bluetooth")}


def _staff(t: Telling) -> Fields:
    return {"id": f"agent-{t.upto(60)}", "team": "service"}


_CASES: Final[Mapping[str, Builder]] = {
    "assigned": _case(lambda t: {"step": "first level", "assignee": f"agent-{t.upto(60)}"}),
    "answered": _case(lambda t: {"text": padding(150), "staff": _staff(t)}),
    "resolved": _case(lambda t: {"solution": padding(120), "article_id": f"kb-{t.upto(300)}", "staff": _staff(t)}),
    "reopened": _case(lambda _t: {"reason": padding(100)}),
    "closed": _case(lambda t: {"staff": _staff(t)}),
}

DATA: Final[Mapping[str, Builder]] = {
    "page.viewed": lambda t: (page_view(t.number, t.random), 0),
    "app.used": _fields(
        "app", lambda t: {"app": "shop-ios", "action": t.one("search", "basket", "scan"), "duration_s": t.upto(900)}
    ),
    "form.submitted": _fields("web", lambda t: {"form": "advice", "fields": {"size": t.upto(50), "text": padding(80)}}),
    "file.downloaded": _fields("web", lambda t: {"file": f"manual-{t.upto(5_000):05d}.pdf"}),
    "email.sent": _fields(
        "email",
        lambda t: {
            "message_id": f"mail-{t.random.getrandbits(64):016x}",
            "subject": "New in the shop, chosen for you",
            "campaign": campaign(t.random),
        },
    ),
    "email.delivered": _mail(lambda _t: {}),
    "email.bounced": _mail(lambda _t: {"reason": "452 4.2.2 mailbox full"}),
    "email.opened": _mail(lambda _t: {}),
    "email.clicked": _mail(lambda t: {"url": f"https://shop.example/offers/{t.random.getrandbits(40):x}"}),
    "email.replied": _fields(
        "email",
        lambda t: {
            "message_id": f"reply-{t.random.getrandbits(64):016x}",
            "in_reply_to": t.begun["message_id"],
            "text": padding(180),
        },
    ),
    "email.unsubscribed": _mail(lambda _t: {}),
    "email.marked_spam": _mail(lambda _t: {}),
    "order.placed": lambda t: (order(t.number, t.random)[0], 0),
    "purchase.completed": _purchase,
    "payment.received": _fields("web", lambda t: {**t.same("order_id", "total"), "payment_id": f"pay-{t.number:08d}"}),
    "coupon.redeemed": _fields("web", lambda t: {**t.same("order_id"), "coupon_id": f"SAVE{t.upto(40)}"}),
    "purchase.refunded": _fields("web", lambda t: {**t.same("order_id", "total"), "refund_id": f"back-{t.number:08d}"}),
    "order.cancelled": _fields("web", lambda t: {**t.same("order_id"), "reason": "found it cheaper"}),
    "delivery.promised": _fields("partner", lambda t: {**t.same("order_id"), "due_at": t.instant(3)}),
    "delivery.shipped": _fields(
        "partner", lambda t: {**t.same("order_id"), "carrier": "DHL", "tracking": f"{t.random.getrandbits(60):020d}"}
    ),
    "delivery.completed": _fields("partner", lambda t: t.same("order_id")),
    "delivery.failed": _fields("partner", lambda t: {**t.same("order_id"), "reason": "nobody at home"}),
    "call.completed": _fields(
        "phone",
        lambda t: {
            "direction": t.one("inbound", "inbound", "outbound"),
            "duration_s": t.upto(1_200),
            "result": t.one("answered", "answered", "voicemail", "no_answer"),
            "purpose": "question about an order",
            "staff": _staff(t),
        },
    ),
    "call.missed": _fields("phone", lambda t: {"direction": t.one("inbound", "outbound"), "reason": "busy"}),
    "message.received": _fields("sms", lambda t: {"medium": t.one("sms", "whatsapp", "wechat"), "text": padding(90)}),
    "message.sent": _fields("sms", lambda _t: {"medium": "sms", "text": padding(90), "automated": True}),
    "chat.ended": _fields("chat", lambda t: {"messages": t.upto(30), "topic": "delivery", "summary": padding(120)}),
    "complaint.opened": _opened(),
    "request.opened": lambda t: _opened(kind=t.one("question", "ticket", "suggestion", "task"))(t),
    **{f"{family}.{verb}": build for family in ("complaint", "request") for verb, build in _CASES.items()},
    "knowledge.applied": _case(lambda t: {"article_id": f"kb-{t.upto(300)}", "helpful": bool(t.upto(3))}),
    "quality.reviewed": _case(lambda t: {"staff": _staff(t), "score_percent": f"{t.upto(100)}.5"}),
    "survey.sent": _fields("email", lambda t: {"survey_id": "after-sales", "invitation_id": f"inv-{t.number:08d}"}),
    "survey.answered": _fields(
        "web",
        lambda t: {
            **t.same("survey_id", "invitation_id"),
            "csat": 1 + t.upto(5),
            "nps": t.upto(11),
            "comment": padding(120),
            "themes": [t.one(*_THEMES)],
            "via": "online",
        },
    ),
    "contract.signed": _fields(
        "field",
        lambda t: {
            "contract_id": f"erp:{t.number:08d}",
            "total": t.money(200, 5_000),
            "starts_on": t.day(0),
            "ends_on": t.day(120),
            "terms": padding(100),
        },
    ),
    "contract.renewed": _fields("crm", lambda t: {**t.same("contract_id", "total"), "ends_on": t.day(130)}),
    "contract.ended": _fields("crm", lambda t: {**t.same("contract_id"), "reason": "moved abroad"}),
    "lead.created": _fields("event", lambda t: {"lead_id": f"crm:L-{t.number:08d}", "origin": "fair"}),
    "opportunity.opened": _fields(
        "field",
        lambda t: {
            "opportunity_id": f"crm:O-{t.number:08d}",
            "need": padding(90),
            "budget": t.money(500, 9_000),
            "decision_on": t.day(30),
            "probability_percent": t.upto(101),
        },
    ),
    "opportunity.stage_changed": _fields("crm", lambda t: {**t.same("opportunity_id"), "stage": "offer made"}),
    "opportunity.won": _fields("crm", lambda t: {**t.same("opportunity_id"), "total": t.begun["budget"]}),
    "opportunity.lost": _fields("crm", lambda t: {**t.same("opportunity_id"), "reason": "too dear"}),
    "loyalty.joined": _fields("store", lambda _t: {"program": "bright"}),
    "loyalty.points_earned": _fields("store", lambda t: {"program": "bright", "points": t.upto(200)}),
    "loyalty.points_spent": _fields("web", lambda t: {"program": "bright", "points": t.upto(500)}),
    "referral.made": _fields(
        "app",
        lambda t: {"code": f"FRIEND-{t.number:08d}", "referred": identifier("email", email(t.upto(1_000_000)))},
    ),
    "referral.rewarded": _fields("app", lambda t: {**t.same("code"), "value": t.money(5, 20)}),
    "location.checked_in": _fields("app", lambda t: {**_place(t), "via": "manual"}),
    "location.entered": _fields("app", _place),
    "location.left": _fields("app", lambda t: t.same("location", "via")),
    "consent.granted": _fields(
        "web", lambda t: {"purpose": "newsletter", "on_channel": t.one("email", "sms", "phone")}
    ),
    "consent.withdrawn": _fields("web", lambda t: {"purpose": "newsletter", "on_channel": t.one("email", "sms")}),
    "preference.stated": _fields(
        "web", lambda t: {"preferred_channel": t.one(*_CHANNELS), "interests": [f"interest-{t.upto(50)}"]}
    ),
    "campaign.exposed": _fields("web", lambda t: {"campaign": {**campaign(t.random), "medium": "banner"}}),
    "campaign.responded": _fields("web", lambda t: {**t.same("campaign"), "response": "asked for the catalogue"}),
    "followup.planned": _fields(
        "crm",
        lambda t: {
            "followup_id": f"crm:F-{t.number:08d}",
            "due_at": t.instant(5),
            "medium": t.one("call", "mail", "visit", "message"),
            "assignee": f"agent-{t.upto(60)}",
            "intent": t.one("nurture", "win_back", "retention"),
        },
    ),
    "followup.done": _fields("phone", lambda t: {**t.same("followup_id"), "outcome": padding(80)}),
    "followup.cancelled": _fields("crm", lambda t: {**t.same("followup_id"), "reason": "ordered already"}),
    "social.commented": _social(lambda t: {"text": padding(90), "sentiment": t.one("positive", "neutral", "negative")}),
    "social.posted": _social(lambda t: {"text": padding(90), "post_ref": f"post-{t.number:08d}"}),
    "social.mentioned": _social(lambda t: {"sentiment": t.one("positive", "neutral", "negative")}),
    "visit.completed": _fields(
        "store",
        lambda t: {
            "kind": t.one("store", "store", "office", "exhibition", "webinar"),
            "duration_s": t.upto(3_600),
            "location": _place(t)["location"],
            "outcome": padding(90),
        },
    ),
    "profile.updated": _fields(
        "crm",
        lambda t: {"traits": {"addresses": [{"kind": "home", "city": t.one(*PLACES)}], "title": f"title {t.upto(30)}"}},
    ),
    "account.updated": _fields(
        "crm", lambda t: {"account": f"account-{t.upto(500)}", "traits": {"industry": "retail", "size": "50-249"}}
    ),
    "partner.referred": _fields("partner", lambda t: {"partner": f"partner-{t.upto(20)}", "note": padding(80)}),
    "listing.viewed": _fields("marketplace", lambda t: {"partner": "tmall", "listing": f"tmall:{t.upto(5_000)}"}),
    "ad.clicked": _fields(
        "web", lambda t: {"partner": "search", "ad": f"ad-{t.upto(400)}", "campaign": campaign(t.random)}
    ),
    "content.published": _fields(
        "social", lambda t: {"content_ref": f"article-{t.number}", "title": "Light for dark days"}
    ),
    "campaign.cost_recorded": _fields(
        "email",
        lambda t: {
            "campaign": campaign(t.random),
            "cost_id": f"ads:{t.number:08d}",
            "cost": t.money(100, 2_000),
            "from_on": t.day(-30),
            "until_on": t.day(0),
        },
    ),
    "article.published": _fields(
        None, lambda t: {"article_id": f"kb-{t.number:08d}", "title": "A parcel is late", "themes": [t.one(*_THEMES)]}
    ),
    "article.retired": _fields(None, lambda t: t.same("article_id")),
    "improvement.started": _fields(
        None, lambda t: {"theme": t.one(*_THEMES), "action": f"measure {t.number}", "owner": "logistics"}
    ),
    "improvement.completed": _fields(None, lambda t: t.same("theme", "action", "owner")),
}
