"""Which customers of the demo are worth a look, what is told about them, and the stage that their story leads to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from customer_timeline.projections.lifecycle import Stage


@dataclass(frozen=True)
class Highlight:
    """A customer worth a look: what to ask the API for, why, and where the customer stands at the demo's end.

    `beside` are others of the same story, who are customers of their own.
    """

    ref: str
    title: str
    why: str
    stage: Stage
    beside: tuple[str, ...] = ()


HIGHLIGHTS: Final = (
    Highlight(
        "email:Ann.Lee@Example.com",
        "Ann Lee, a loyal shopper",
        "known by her browser, then her email, then her member number: one customer. One purchase was corrected, one "
        "taken back, and the carrier knew only the order",
        "loyal",
    ),
    Highlight(
        "member_id:M-CLEO-1",
        "Cleo Marsh, a regular who went silent",
        "bought every forty days, then nothing: no event says so, time does. Newsletters that we sent do not count",
        "at_risk",
    ),
    Highlight(
        "email:ben.ortiz@example.com",
        "Ben Ortiz, a complaint that nobody ended",
        "complained by email, was told it is solved, and called again: the case was reopened, he gave one point of "
        "five, and was not heard of since",
        "churned",
    ),
    Highlight(
        "member_id:M-PARK-1",
        "The Parks, a household",
        "two members call from one landline, and stay two customers: a customer has at most one member number",
        "active",
        ("member_id:M-PARK-2", "phone:+1 771 555 0177"),
    ),
    Highlight(
        "crm_id:C-HALDEN-1",
        "Gil Brandt of Halden Works, a contract",
        "from an exhibition by an opportunity to a contract, renewed shortly before its end; his colleagues are "
        "customers of their own in the same account",
        "active",
        ("crm_id:C-HALDEN-2", "crm_id:C-HALDEN-3"),
    ),
    Highlight(
        "open_id:wechat:oFINN-0001",
        "Finn Sato, won back",
        "had churned by half a year of silence; a campaign and a call were followed by a purchase",
        "won_back",
    ),
)
