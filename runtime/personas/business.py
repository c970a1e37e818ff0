"""A company as a customer, with several people; and what our company does with no customer in mind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from customer_timeline.producers import touchpoints as made
from customer_timeline.producers.touchpoints import AccountTraits, Campaign, Staff, Traits
from customer_timeline.runtime.personas.diary import AnyEvent, Diary, usd

_ACCOUNT: Final = "halden"
_SELLER = Staff(id="seller-2", team="sales")


def contract_customer(until: datetime) -> Iterator[AnyEvent]:
    """Halden Works: Gil buys, Ida asks, Jo is leaving. The contract of day 340 was renewed 25 days before its end."""
    diary = Diary("halden", until)
    gil, ida, jo = (made.crm_id(f"C-HALDEN-{number}") for number in (1, 2, 3))
    for days, person, given, family, title in (
        (361.4, gil, "Gil", "Brandt", "Head of purchasing"),
        (339.4, ida, "Ida", "Voss", "Technician"),
        (338.4, jo, "Jo", "Lind", "Accountant"),
    ):
        mail = made.email(f"{given}.{family}@halden.example".lower())
        traits = Traits(given_name=given, family_name=family, title=title, company="Halden Works")
        yield diary.tell(made.profile_updated, "crm", days, "crm", [person, mail], account=_ACCOUNT, traits=traits)
    yield diary.tell(
        made.account_updated, "crm", 361.4, "crm", [gil], account=_ACCOUNT,
        traits=AccountTraits(name="Halden Works", industry="furniture", size="50-249"),
    )  # fmt: skip
    yield from _sale(diary)
    yield from _contract(diary)
    yield from _requests(diary)
    yield diary.tell(
        made.email_sent, "mailer", 21.4, "email", [made.email("jo.lind@halden.example")], message_id="bill-11",
        subject="Your bill", automated=True, account=_ACCOUNT,
    )  # fmt: skip
    yield diary.tell(
        made.email_bounced, "mailer", 21.3999, "email", [made.email("jo.lind@halden.example")], message_id="bill-11",
        reason="no such mailbox",
    )  # fmt: skip


def _sale(diary: Diary) -> Iterator[AnyEvent]:
    gil = [made.crm_id("C-HALDEN-1")]

    def said(**fields: Any) -> dict[str, Any]:
        return {"account": _ACCOUNT, "staff": _SELLER, **fields}

    yield diary.tell(made.partner_referred, "crm", 363.4, "partner", gil, partner="fairs-inc", account=_ACCOUNT)
    yield diary.tell(
        made.visit_completed, "crm", 362.4, "event", gil, **said(kind="exhibition", outcome="asked for a quote")
    )
    yield diary.tell(made.lead_created, "crm", 361.4, "crm", gil, **said(lead_id="crm:L-1", origin="exhibition"))
    sale = "crm:O-1"
    yield diary.tell(
        made.opportunity_opened, "crm", 355.4, "crm", gil,
        **said(opportunity_id=sale, need="Lighting for 40 desks", intent="compares offers", budget=usd("12000.00"),
               decision_on=diary.day(340), probability_percent="40"),
    )  # fmt: skip
    yield diary.tell(made.opportunity_stage_changed, "crm", 350.4, "crm", opportunity_id=sale, stage="offer sent")
    yield diary.tell(made.opportunity_won, "crm", 341.4, "crm", opportunity_id=sale, total=usd("11400.00"))
    second = "crm:O-2"
    yield diary.tell(
        made.opportunity_opened, "crm", 120.4, "crm", gil, **said(opportunity_id=second, need="Chairs", sku="CHAIR-7")
    )
    yield diary.tell(made.opportunity_lost, "crm", 90.4, "crm", opportunity_id=second, reason="price")
    yield diary.tell(
        made.followup_planned, "crm", 100.4, "crm", gil,
        **said(followup_id="crm:H-1", due_at=diary.ago(95), medium="visit", assignee="seller-2", intent="nurture"),
    )  # fmt: skip
    yield diary.tell(made.followup_cancelled, "crm", 96.4, "crm", followup_id="crm:H-1", reason="Gil is on leave")


def _contract(diary: Diary) -> Iterator[AnyEvent]:
    gil, pilot, contract = [made.crm_id("C-HALDEN-1")], "erp:K-1", "erp:K-2"
    yield diary.tell(
        made.contract_signed, "erp", 354.4, "crm", gil, contract_id=pilot, account=_ACCOUNT, starts_on=diary.day(354),
        ends_on=diary.day(264), terms="pilot, three months",
    )  # fmt: skip
    yield diary.tell(made.contract_ended, "erp", 340.4, "crm", contract_id=pilot, reason="replaced by the contract")
    yield diary.tell(
        made.contract_signed, "erp", 340.4, "crm", gil, contract_id=contract, account=_ACCOUNT, total=usd("11400.00"),
        starts_on=diary.day(340), ends_on=diary.day(-10), terms="net 30",
    )  # fmt: skip
    for days_ago in range(330, 20, -28):
        yield diary.tell(
            made.call_completed, "pbx", days_ago + 0.4, "phone", gil, direction="inbound", duration_s=180,
            result="answered", account=_ACCOUNT,
        )  # fmt: skip
    # Paid by quarter, by a machine: revenue, but no sign of life and no purchase day.
    for quarter, days in enumerate((339.4, 249.4, 159.4, 69.4), start=1):
        order = f"erp:Q-{quarter}"
        yield diary.tell(
            made.purchase_completed, "erp", days, "crm", gil, id=order, order_id=order, total=usd("2850.00"),
            cost=usd("1500.00"), recurring=True, automated=True, account=_ACCOUNT,
        )  # fmt: skip
        for part in (1, 2):
            yield diary.tell(
                made.payment_received, "bank", days - 14 * part, "crm", order_id=order, payment_id=f"{order}/{part}",
                total=usd("1425.00"),
            )  # fmt: skip
    yield diary.tell(
        made.visit_completed, "crm", 16.4, "field", gil, kind="meeting", purpose="renewal", outcome="agreed",
        duration_s=3600, account=_ACCOUNT, staff=_SELLER,
    )  # fmt: skip
    yield diary.tell(
        made.contract_renewed, "erp", 15.4, "crm", contract_id=contract, ends_on=diary.day(-375), total=usd("11900.00")
    )


def _requests(diary: Diary) -> Iterator[AnyEvent]:
    ida, case = [made.crm_id("C-HALDEN-2")], "desk:610"
    yield diary.tell(
        made.form_submitted, "web", 61.4, "web", ida, form="support", fields={"topic": "dimmer"}, account=_ACCOUNT
    )
    yield diary.tell(
        made.request_opened, "desk", 61.4, "web", ida, case_id=case, theme="dimmer", kind="question", severity="normal",
        sku="LAMP-1", account=_ACCOUNT,
    )  # fmt: skip
    yield diary.tell(made.request_assigned, "desk", 61.3, "web", case_id=case, assignee="agent-3", step="first level")
    yield diary.tell(made.request_answered, "desk", 60.4, "email", case_id=case, text="See the sheet.")
    yield diary.tell(made.request_resolved, "desk", 60.4, "email", case_id=case, article_id="kb-12")
    yield diary.tell(
        made.file_downloaded, "web", 60.2, "web", ida, file="dimmer.pdf", url="https://shop.example.com/d/dimmer.pdf"
    )
    yield diary.tell(made.request_reopened, "desk", 59.4, "email", ida, case_id=case, reason="It still flickers.")
    yield diary.tell(made.email_opened, "mailer", 58.5, "email", ida, message_id="desk-610-2", automated=True)
    yield diary.tell(
        made.email_replied, "mailer", 58.4, "email", ida, message_id="re-610", in_reply_to="desk-610-2",
        text="It works.",
    )  # fmt: skip
    yield diary.tell(made.request_resolved, "desk", 58.3, "email", case_id=case, solution="Another dimmer.")
    yield diary.tell(made.request_closed, "desk", 51.4, "email", case_id=case)


def without_a_customer(until: datetime) -> Iterator[AnyEvent]:
    """What we publish, pay and improve. It stands in the timeline with no anchor, for reports."""
    diary = Diary("company", until)
    yield diary.tell(
        made.article_published, "wiki", 350.4, article_id="kb-12", title="Fit a wheel or a dimmer", themes=["repair"]
    )
    yield diary.tell(made.article_retired, "wiki", 20.4, article_id="kb-12")
    yield diary.tell(
        made.content_published, "social", 331.4, "social", platform="wechat", content_ref="c-1", title="A new light"
    )
    yield diary.tell(
        made.campaign_cost_recorded, "ads", 59.4, "email", cost_id="ads:1", cost=usd("800.00"),
        from_on=diary.day(75), until_on=diary.day(60), campaign=Campaign(id="come-back", medium="email"),
    )  # fmt: skip
    work: dict[str, Any] = {"theme": "damaged goods", "action": "Pack chairs in two boxes", "owner": "logistics"}
    yield diary.tell(made.improvement_started, "quality", 245.4, **work)
    yield diary.tell(made.improvement_completed, "quality", 200.4, **work)
