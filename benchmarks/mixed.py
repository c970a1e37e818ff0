"""The mixed catalogue: how often each type of event comes, and the lives of orders, cases, contracts and mails.

What begins comes in fixed shares; what follows it comes in its own time, days later, and tells of the same thing. Many
of these name only the thing: a carrier knows the order, not the person. Left out are operators' decisions (identity,
retractions): they are no traffic. Pure: the same random numbers give the same events.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import datetime
from heapq import heappop, heappush
from itertools import accumulate
from typing import Final, NamedTuple

from benchmarks.event_data import Fields, email, identifier, padding, user_id
from benchmarks.mixed_data import DATA, Telling
from customer_timeline.schemas.catalogue import CATALOGUE

BEGINNINGS: Final[Mapping[str, float]] = {
    # Pages, apps, forms, files: 45 of 100.
    "page.viewed": 34.0,
    "app.used": 6.0,
    "form.submitted": 2.5,
    "file.downloaded": 2.5,
    # Mail: 20 with what follows.
    "email.sent": 7.2,
    # Purchases: 8 with what follows; in a shop the purchase is all there is.
    "order.placed": 0.98,
    "purchase.completed": 2.0,
    # Calls and messages: 5.
    "call.completed": 2.0,
    "call.missed": 0.4,
    "message.received": 1.0,
    "message.sent": 1.0,
    "chat.ended": 0.6,
    # Cases: 4 with what follows.
    "complaint.opened": 0.25,
    "request.opened": 0.45,
    "survey.sent": 1.5,
    "contract.signed": 0.5,
    "loyalty.joined": 0.6,
    "loyalty.points_earned": 1.3,
    "loyalty.points_spent": 0.5,
    "referral.made": 0.4,
    "location.checked_in": 0.6,
    "location.entered": 0.5,
    "consent.granted": 0.5,
    "consent.withdrawn": 0.3,
    "preference.stated": 0.5,
    "campaign.exposed": 1.3,
    "followup.planned": 0.8,
    "social.commented": 0.6,
    "social.posted": 0.3,
    "social.mentioned": 0.3,
    "visit.completed": 1.4,
    "profile.updated": 1.0,
    "account.updated": 0.2,
    "partner.referred": 0.2,
    "listing.viewed": 0.4,
    "ad.clicked": 0.5,
    "lead.created": 0.3,
    "opportunity.opened": 0.2,
    # Of the company itself: of no customer.
    "content.published": 0.2,
    "campaign.cost_recorded": 0.15,
    "article.published": 0.15,
    "improvement.started": 0.1,
}
"""What begins, with its share of all events in percent; with what follows it is 100."""

Life = tuple[tuple[float, str], ...]

_PAID: Final[Life] = ((0.02, "payment.received"), (0.05, "purchase.completed"), (0.1, "delivery.promised"))
_ARRIVED: Final[Life] = (*_PAID, (1, "delivery.shipped"), (3, "delivery.completed"))
_HANDLED: Final[Life] = ((0.1, "{}.assigned"), (0.6, "{}.answered"), (2, "{}.resolved"))


def _case(family: str) -> tuple[tuple[int, Life], ...]:
    reopened: Life = ((5, "{}.reopened"), (6, "{}.assigned"), (7, "{}.answered"), (9, "{}.resolved"), (12, "{}.closed"))
    lives: tuple[tuple[int, Life], ...] = (
        (55, (*_HANDLED, (5, "{}.closed"))),
        (20, (*_HANDLED, (1.5, "knowledge.applied"), (5, "{}.closed"))),
        (10, (*_HANDLED, (4, "quality.reviewed"))),
        (10, (*_HANDLED, *reopened)),
        (5, ((0.2, "{}.assigned"),)),  # nobody ends it
    )
    return tuple((chance, tuple((days, kind.format(family)) for days, kind in life)) for chance, life in lives)


LIVES: Final[Mapping[str, tuple[tuple[int, Life], ...]]] = {
    "email.sent": (
        (40, ((0.001, "email.delivered"),)),
        (30, ((0.001, "email.delivered"), (0.4, "email.opened"))),
        (20, ((0.001, "email.delivered"), (0.3, "email.opened"), (0.31, "email.clicked"))),
        (3, ((0.001, "email.delivered"), (0.3, "email.opened"), (0.5, "email.replied"))),
        (2, ((0.001, "email.delivered"), (0.3, "email.opened"), (0.31, "email.unsubscribed"))),
        (1, ((0.001, "email.delivered"), (0.3, "email.marked_spam"))),
        (4, ((0.01, "email.bounced"),)),
    ),
    "order.placed": (
        (70, _ARRIVED),
        (10, (*_ARRIVED, (0.01, "coupon.redeemed"))),
        (8, (*_ARRIVED, (30, "payment.received"), (9, "purchase.refunded"))),
        (7, (*_PAID, (1, "delivery.shipped"), (3, "delivery.failed"), (5, "delivery.completed"))),
        (5, ((0.5, "order.cancelled"),)),
    ),
    "complaint.opened": _case("complaint"),
    "request.opened": _case("request"),
    "survey.sent": ((60, ()), (40, ((2, "survey.answered"),))),
    "contract.signed": (
        (40, ()),
        (35, ((110, "contract.renewed"),)),
        (15, ((118, "contract.ended"),)),
        (10, ((110, "contract.renewed"), (200, "contract.ended"))),
    ),
    "referral.made": ((60, ()), (40, ((14, "referral.rewarded"),))),
    "location.entered": ((10, ()), (90, ((0.03, "location.left"),))),
    "campaign.exposed": ((75, ()), (25, ((1, "campaign.responded"),))),
    "followup.planned": ((15, ()), (70, ((5, "followup.done"),)), (15, ((4, "followup.cancelled"),))),
    "opportunity.opened": (
        (30, ((10, "opportunity.stage_changed"),)),
        (40, ((10, "opportunity.stage_changed"), (30, "opportunity.won"))),
        (30, ((10, "opportunity.stage_changed"), (25, "opportunity.lost"))),
    ),
    "article.published": ((60, ()), (40, ((60, "article.retired"),))),
    "improvement.started": ((30, ()), (70, ((45, "improvement.completed"),))),
}
"""What may follow a beginning: lives with their chance in percent, each a list of (days after it, type)."""


class Drawn(NamedTuple):
    """One event: full type, data and revenue; `customer` is None where it concerns nobody, `key` is that of Kafka."""

    type: str
    data: Fields
    cents: int
    customer: int | None
    key: str


class _Due(NamedTuple):
    """What will follow: from the event with the number `at` on; `order` keeps the comparison away from the rest."""

    at: float
    order: int
    stem: str
    customer: int | None
    begun: Fields


class MixedCatalogue:
    """Draws the events of one stretch, in which `events_a_day` of them make a day."""

    def __init__(self, rng: random.Random, events_a_day: float) -> None:
        self._random = rng
        self._events_a_day = events_a_day
        self._due: list[_Due] = []
        self._planned = 0
        self._stems = tuple(BEGINNINGS)
        self._weights = list(accumulate(BEGINNINGS.values()))

    def draw(self, number: int, occurred_at: datetime, customers: Iterator[int]) -> Drawn:
        """The next event: what is due, else what begins."""
        begun: Fields = {}
        if self._due and self._due[0].at <= number:
            _, _, stem, customer, begun = heappop(self._due)
        else:
            stem = self._random.choices(self._stems, cum_weights=self._weights)[0]
            customer = next(customers) if CATALOGUE[f"{stem}.v1"].concerns_customer else None
        data, cents = DATA[stem](Telling(number, occurred_at, self._random, begun))
        if stem in LIVES:
            self._plan(number, stem, customer, dict(data))
        data.setdefault("attributes", {"note": padding(self._random.randrange(110, 300))})
        return self._addressed(f"{stem}.v1", data, cents, customer)

    def _plan(self, number: int, stem: str, customer: int | None, begun: Fields) -> None:
        chances, lives = zip(*LIVES[stem], strict=True)
        for days, follows in self._random.choices(lives, chances)[0]:
            self._planned += 1
            heappush(self._due, _Due(number + days * self._events_a_day, self._planned, follows, customer, begun))

    def _addressed(self, kind: str, data: Fields, cents: int, customer: int | None) -> Drawn:
        """With the identifiers that its source knows, and the key of where it stands, as an adapter publishes it."""
        declared = CATALOGUE[kind]
        if customer is None:
            return Drawn(kind, data, cents, None, kind)
        named = self._identifiers(kind, customer)
        if declared.continues_thing():
            thing = next((str(data[field]) for field, _ in declared.thing_fields() if field in data), None)
            if thing is not None:
                # A carrier knows the order only; of what our own systems report, half names the person too.
                if declared.who != "customer" and (kind.startswith("delivery.") or self._random.randrange(2)):
                    named = []
                return Drawn(kind, data | {"identifiers": named}, cents, customer, thing)
        return Drawn(kind, data | {"identifiers": named}, cents, customer, named[0]["value"])

    def _identifiers(self, kind: str, customer: int) -> list[dict[str, str]]:
        mail = identifier("email", email(customer))
        if kind.startswith("email."):
            return [mail]  # a mailer knows the address
        strongest = identifier("user_id", user_id(customer))
        return [strongest, mail] if self._random.randrange(2) else [strongest]
