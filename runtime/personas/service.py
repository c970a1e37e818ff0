"""Two stories of service: a complaint that turned into a loss, and a household with one telephone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from customer_timeline.producers import touchpoints as made
from customer_timeline.producers.touchpoints import About, Staff, Traits
from customer_timeline.runtime.personas.diary import PRODUCTS, AnyEvent, Diary, items_of, usd

_AGENT = Staff(id="agent-7", team="service")


def disappointed(until: datetime) -> Iterator[AnyEvent]:
    """Ben: his complaint is open since day 270, his last sign of life is an answer on day 250; churned since day 70."""
    diary = Diary("ben", until)
    email, phone, order = made.email("ben.ortiz@example.com"), made.phone("(771) 555-0142"), "shop:B-1"
    yield diary.tell(
        made.profile_updated, "crm", 320.4, "crm", [email, phone],
        traits=Traits(given_name="Ben", family_name="Ortiz", phones=["(771) 555-0142"]),
    )  # fmt: skip
    yield diary.tell(
        made.order_placed, "shop", 300.4, "web", [email], order_id=order, total=usd("249.00"),
        items=items_of([PRODUCTS[4]]),
    )  # fmt: skip
    yield diary.tell(made.delivery_promised, "shop", 300.4, "web", order_id=order, due_at=diary.ago(295))
    yield diary.purchase(300.3, [email], order, [PRODUCTS[4]])
    yield diary.tell(
        made.delivery_shipped, "carrier", 298.4, "partner", order_id=order, shipment_id="S-B-1", carrier="Swift",
        tracking="SW-77",
    )  # fmt: skip
    yield diary.tell(
        made.delivery_failed, "carrier", 295.4, "partner", order_id=order, shipment_id="S-B-1", reason="nobody at home"
    )
    yield diary.delivery(291.4, order)
    yield from _bens_case(diary, order)
    # He is no longer there: none of this is a sign of life.
    yield diary.tell(
        made.followup_planned, "crm", 240.4, "crm", [email], followup_id="crm:B-1", due_at=diary.ago(235),
        medium="call", assignee="agent-7", reason="unhappy", intent="retention",
    )  # fmt: skip
    yield diary.tell(
        made.call_completed, "pbx", 235.4, "phone", [phone], direction="outbound", duration_s=0, result="no_answer",
        intent="retention", staff=_AGENT,
    )  # fmt: skip
    yield diary.tell(made.followup_done, "crm", 235.4, "crm", followup_id="crm:B-1", outcome="not reached")
    mail, message = diary.newsletter(100.4, email, "spring")
    yield mail
    yield diary.tell(made.email_marked_spam, "mailer", 99.4, "email", [email], message_id=message)
    yield diary.tell(made.email_unsubscribed, "mailer", 99.4, "email", [email], message_id=message)
    yield diary.tell(made.consent_withdrawn, "mailer", 99.4, "email", [email], purpose="newsletter")


def _bens_case(diary: Diary, order: str) -> Iterator[AnyEvent]:
    email, phone, case = made.email("ben.ortiz@example.com"), made.phone("(771) 555-0142"), "desk:501"
    yield diary.tell(
        made.complaint_opened, "desk", 280.4, "email", [email], case_id=case, theme="damaged goods", severity="high",
        sku="CHAIR-7", order_id=order, description="One wheel is broken.",
    )  # fmt: skip
    yield diary.tell(
        made.complaint_assigned, "desk", 280.3, "email", case_id=case, step="first level", assignee="agent-7"
    )
    yield diary.tell(made.complaint_answered, "desk", 279.4, "email", case_id=case, text="We look into it.")
    yield diary.tell(made.knowledge_applied, "desk", 276.4, "email", case_id=case, article_id="kb-12", helpful=False)
    yield diary.tell(
        made.complaint_resolved, "desk", 276.3, "email", case_id=case, solution="A new wheel was sent.",
        article_id="kb-12", staff=_AGENT,
    )  # fmt: skip
    yield diary.tell(made.call_missed, "pbx", 270.41, "phone", [phone], direction="inbound")
    yield diary.tell(
        made.call_completed, "pbx", 270.4, "phone", [phone], direction="inbound", duration_s=412, result="answered",
        purpose="complaint", staff=_AGENT,
    )  # fmt: skip
    # The hotline knows the case and the phone it is called from.
    yield diary.tell(
        made.complaint_reopened, "desk", 270.3, "phone", [phone], case_id=case, reason="The new wheel does not fit."
    )
    yield diary.tell(
        made.quality_reviewed, "quality", 262.4, "crm", staff=_AGENT, case_id=case, score_percent="40",
        comment="Closed without asking.",
    )  # fmt: skip
    yield diary.tell(
        made.purchase_refunded, "shop", 255.4, "web", order_id=order, refund_id="R-B-1", total=usd("49.00"),
        reason="damaged",
    )  # fmt: skip
    yield diary.tell(
        made.survey_answered, "survey", 250.4, "email", [email], survey_id="case", via="online", csat=1, nps=2,
        about=About(kind="case", id=case), themes=["damaged goods"],
    )  # fmt: skip


def household(until: datetime) -> Iterator[AnyEvent]:
    """The Parks: two members on one landline. It was first seen with Cho, so calls from it stand with Cho."""
    diary = Diary("park", until)
    phone, cho, dana = made.phone("+1 771 555 0177"), made.member_id("M-PARK-1"), made.member_id("M-PARK-2")
    for number, (member, name) in enumerate(((cho, "Cho"), (dana, "Dana")), start=1):
        yield diary.tell(
            made.profile_updated, "crm", 250.4 - 100 * number, "crm", [member, phone],
            traits=Traits(given_name=name, family_name="Park"),
        )  # fmt: skip
    for order, member, days in (("P-1", cho, 145.4), ("P-2", dana, 40.4), ("P-3", cho, 12.4)):
        yield diary.purchase(days, [member], f"shop:{order}", [PRODUCTS[3]])
        yield diary.delivery(days - 3, f"shop:{order}")
    yield diary.tell(
        made.complaint_opened, "desk", 130.4, "phone", [cho], case_id="desk:502", theme="late delivery", severity="low"
    )
    yield diary.tell(made.complaint_closed, "desk", 129.4, "phone", case_id="desk:502")
    yield diary.tell(
        made.call_completed, "pbx", 30.4, "phone", [phone], direction="inbound", duration_s=95, result="answered",
        purpose="opening hours",
    )  # fmt: skip
    yield diary.tell(
        made.identity_linked, "backoffice", 25.4, a=cho, b=made.crm_id("C-PARK-1"), reason="Same person.",
        operator="o-12",
    )  # fmt: skip
