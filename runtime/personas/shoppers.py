"""Three who buy for themselves: one who stays, one who falls silent, one who comes back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

from customer_timeline.producers import touchpoints as made
from customer_timeline.producers.touchpoints import About, Campaign, Location, Traits
from customer_timeline.runtime.personas.diary import PRODUCTS, SHOP, AnyEvent, Diary, items_of, total_of, usd

_FINN = made.open_id("wechat", "oFINN-0001"), made.email("finn@example.net"), made.phone("(771) 555-0131")


def ann(until: datetime) -> Iterator[AnyEvent]:
    """Several identifiers that turn out to be one customer; a correction, a retraction, a carrier."""
    diary = Diary("ann", until)
    device, email, member = made.device_id("d-ann-0001"), made.email("Ann.Lee@Example.com"), made.member_id("M-ANN-1")
    for days in (358.3, 354.4, 347.2):
        yield diary.page(days, [device])
    mail, message = diary.newsletter(336.5, email, "welcome")
    yield mail
    yield diary.tell(made.email_delivered, "mailer", 336.4999, "email", [email], message_id=message)
    # The click comes from her browser: from now on device and email are one customer.
    yield diary.tell(
        made.email_clicked, "mailer", 336.2, "email", [email, device], message_id=message, url=f"{SHOP}/welcome"
    )
    traits = Traits(given_name="Ann", family_name="Lee", language="en", interests=["lighting"])
    yield diary.tell(made.profile_updated, "shop", 328.4, "web", [member, email], traits=traits)
    for number in range(1, 7):
        order, days = f"shop:A-{number}", 328.4 - number * 47
        yield diary.page(days + 1.1, [device], PRODUCTS[number % 7][0])
        yield diary.purchase(days, [member], order, [PRODUCTS[number % 7], PRODUCTS[(number + 2) % 7]])
        if number != 5:
            yield diary.delivery(days - 3.3, order)
    # The fourth was billed wrongly: the same event again, with a higher revision.
    corrected = diary.purchase(328.4 - 4 * 47, [member], "shop:A-4", [PRODUCTS[4]])
    yield corrected.model_copy(update={"revision": 1})
    # The fifth never happened: somebody pressed a button twice.
    yield diary.tell(
        made.event_retracted, "shop", 328.4 - 5 * 47, id="shop:A-5", revision=1, reason="entered twice", operator="o-12"
    )
    yield diary.tell(
        made.visit_completed, "store", 18.4, "store", [member], kind="store", purpose="lamps", outcome="advice",
        duration_s=1500,
    )  # fmt: skip
    yield diary.tell(made.survey_sent, "survey", 12.5, "email", [email], survey_id="store-visit", invitation_id="i-1")
    yield diary.tell(
        made.survey_answered, "survey", 11.3, "web", [member], survey_id="store-visit", invitation_id="i-1",
        via="online", csat=5, nps=10, about=About(kind="channel", id="store"),
    )  # fmt: skip


def silent_regular(until: datetime) -> Iterator[AnyEvent]:
    """Six purchases, forty days apart; the last sign of life 90 days ago. Silent after twice the gap, 80 days."""
    diary = Diary("cleo", until)
    email, member = made.email("cleo.marsh@example.com"), made.member_id("M-CLEO-1")
    yield diary.tell(made.loyalty_joined, "till", 330.4, "store", [member, email], program="Lumen")
    yield diary.tell(
        made.profile_updated, "till", 330.4, "store", [member, email],
        traits=Traits(given_name="Cleo", family_name="Marsh", birthday=date(1988, 5, 17)),
    )  # fmt: skip
    yield diary.tell(
        made.consent_granted, "till", 330.4, "store", [member, email], purpose="newsletter", on_channel="email",
        evidence="form 17",
    )  # fmt: skip
    for number in range(6):
        order, days = f"shop:C-{number + 1}", 330.4 - 40 * number
        yield diary.purchase(days, [member], order, [PRODUCTS[number]])
        yield diary.delivery(days - 2, order)
        yield diary.tell(made.loyalty_points_earned, "till", days, "store", [member], program="Lumen", points=40)
    yield from _cleo_in_passing(diary)
    for number in range(3):
        mail, _ = diary.newsletter(75.5 - 25 * number, email, "autumn")
        yield mail


def _cleo_in_passing(diary: Diary) -> Iterator[AnyEvent]:
    email, member = made.email("cleo.marsh@example.com"), made.member_id("M-CLEO-1")
    store = Location(place="store-4", region="DC", lat="38.9072", lon="-77.0369")
    yield diary.tell(
        made.preference_stated, "app", 300.3, "app", [member], preferred_channel="app", interests=["kitchen"],
        topics=["recipes"],
    )  # fmt: skip
    yield diary.tell(made.app_used, "app", 260.2, "app", [member], app="lumen", action="wish list", duration_s=340)
    yield diary.tell(made.location_entered, "app", 220.41, "app", [member], location=store, via="bluetooth")
    yield diary.tell(made.location_checked_in, "app", 220.4, "app", [member], location=store, via="manual")
    yield diary.tell(made.location_left, "app", 220.38, "app", [member], location=store, via="bluetooth")
    wish = [PRODUCTS[6]]
    placed = {"order_id": "shop:C-9", "total": usd(total_of(wish)), "items": items_of(wish)}
    yield diary.tell(made.order_placed, "shop", 200.3, "web", [member], **placed)
    yield diary.tell(made.order_cancelled, "shop", 199.3, "web", order_id="shop:C-9", reason="found it elsewhere")
    yield diary.tell(
        made.referral_made, "app", 180.2, "app", [member], referred=made.email("dee.marsh@example.com"), code="CLEO-10"
    )
    yield diary.tell(
        made.referral_rewarded, "app", 170.2, "app", [member], code="CLEO-10", value=usd("10.00"), automated=True
    )
    yield diary.tell(made.loyalty_points_spent, "till", 130.4, "store", [member], program="Lumen", points=100)
    yield diary.tell(
        made.social_posted, "listening", 110.3, "social", [email], platform="instagram", post_ref="p-1",
        text="My new shelf", sentiment="positive",
    )  # fmt: skip
    yield diary.tell(
        made.chat_ended, "chat", 90.4, "chat", [member], duration_s=420, messages=11, topic="delivery", result="solved"
    )


def won_back(until: datetime) -> Iterator[AnyEvent]:
    """Two purchases, half a year of silence, a campaign and a call, and a purchase 12 days ago."""
    diary = Diary("finn", until)
    open_id, email, phone = _FINN
    yield diary.tell(made.ad_clicked, "ads", 363.4, "partner", [open_id], partner="searchco", ad="ad-3")
    yield diary.tell(made.listing_viewed, "market", 362.4, "marketplace", [open_id], partner="bazaar", listing="LAMP-1")
    yield diary.purchase(360.4, [open_id, email], "shop:F-1", [PRODUCTS[0]])
    yield diary.tell(made.message_received, "wechat", 358.4, "chat", [open_id], medium="wechat", text="Is it dimmable?")
    yield diary.tell(
        made.message_sent, "wechat", 358.3999, "chat", [open_id], medium="wechat", text="Answer follows.",
        automated=True,
    )  # fmt: skip
    yield diary.purchase(345.4, [open_id], "shop:F-2", [PRODUCTS[2]])
    yield diary.tell(
        made.social_commented, "listening", 330.4, "social", [open_id], platform="wechat", post_ref="c-1",
        text="Nice light", sentiment="positive",
    )  # fmt: skip
    yield from _finn_is_asked_back(diary)
    yield diary.tell(
        made.profile_updated, "crm", 29.3, "crm", [open_id, phone], traits=Traits(given_name="Finn", family_name="Sato")
    )
    yield diary.tell(
        made.coupon_redeemed, "shop", 12.4, "web", [open_id], coupon_id="BACK-15", order_id="shop:F-3",
        value=usd("15.00"),
    )  # fmt: skip
    yield diary.purchase(12.4, [open_id], "shop:F-3", [PRODUCTS[1]], coupon_id="BACK-15")
    yield diary.tell(
        made.social_mentioned, "listening", 9.4, "social", [open_id], platform="weibo", text="They called me!"
    )


def _finn_is_asked_back(diary: Diary) -> Iterator[AnyEvent]:
    open_id, email, phone = _FINN
    back = Campaign(id="come-back", medium="email", content="15 dollars")
    yield diary.tell(made.campaign_exposed, "mailer", 60.4, "email", [email], campaign=back, intent="win_back")
    yield diary.tell(
        made.campaign_responded, "mailer", 59.2, "email", [email], campaign=back, response="opened the offer"
    )
    yield diary.tell(
        made.followup_planned, "crm", 45.4, "crm", [open_id, phone], followup_id="crm:F-1", due_at=diary.ago(30),
        medium="call", assignee="agent-3", reason="opened the offer", intent="win_back",
    )  # fmt: skip
    yield diary.tell(
        made.call_completed, "pbx", 29.4, "phone", [phone], direction="outbound", duration_s=310, result="answered",
        purpose="win back", intent="win_back",
    )  # fmt: skip
    yield diary.tell(made.followup_done, "crm", 29.3, "crm", followup_id="crm:F-1", outcome="wants a floor lamp")
