"""Invented customers with histories worth looking at, for the demo. The same arguments give the same events.

Three people are always there, each with a story that a plain list of records would tell wrongly; the others live an
ordinary customer's life at random. All names, numbers and addresses are from the ranges reserved for examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

from customer_timeline.producers import touchpoints as made
from customer_timeline.producers.touchpoints import About, Campaign, Event, IdentifierRef, Item, Money, Staff, Traits

_GIVEN = "Ava Ben Cho Dana Eli Fay Gus Hana Ivo Jun Kai Lea Mia Noa Oda Pia Quin Rae Sam Tia Uma Vic Zoe".split()  # noqa: SIM905
_FAMILY = "Adler Brook Cohen Diaz Evans Frost Haas Ito Jain Khan Lopez Mori Nowak Okoro Reyes Sato Tran".split()  # noqa: SIM905
# 555-0100 to 555-0199 is reserved for fiction in every one of these.
_AREAS: Final[tuple[int, ...]] = (
    *(202, 212, 213, 214, 215, 216, 303, 305, 310, 312, 313, 314, 404, 407, 408, 410, 412, 414, 415, 419),
    *(503, 504, 505, 508, 510, 512, 513, 515, 601, 602, 603, 612, 614, 615, 616, 617, 619, 701, 702, 703),
)
_PRODUCTS: Final = (
    ("LAMP-1", "Desk lamp", "lighting", "39.90"),
    ("LAMP-2", "Floor lamp", "lighting", "129.00"),
    ("MUG-3", "Mug", "kitchen", "9.50"),
    ("KETTLE-1", "Kettle", "kitchen", "54.00"),
    ("CHAIR-7", "Office chair", "furniture", "249.00"),
    ("SHELF-2", "Shelf", "furniture", "89.00"),
    ("RUG-5", "Rug", "textiles", "149.00"),
)
_THEMES = ("late delivery", "damaged goods", "wrong item", "invoice", "rude service")
AnyEvent = Event[Any]

_SHOP: Final = "https://shop.example.com"


@dataclass(frozen=True)
class Person:
    """Somebody invented, and every identifier that channels know them by."""

    key: str
    given_name: str
    family_name: str
    email: IdentifierRef
    phone: IdentifierRef | None
    device: IdentifierRef
    member: IdentifierRef
    crm: IdentifierRef


@dataclass(frozen=True)
class Highlight:
    """A customer worth a look: what to ask the API for, and why."""

    ref: str
    title: str
    why: str


HIGHLIGHTS: Final = (
    Highlight(
        "email:Ann.Lee@Example.com",
        "Ann Lee, a loyal shopper",
        "known by her browser, then her email, then her member number: one customer. One purchase was corrected, one "
        "taken back, and the carrier knew only the order",
    ),
    Highlight(
        "email:ben.ortiz@example.com",
        "Ben Ortiz, a complaint",
        "complained by email, was told it is solved, and called again: the case was reopened",
    ),
    Highlight(
        "member_id:M-PARK-1",
        "The Parks, a household",
        "two members call from one phone, and stay two customers",
    ),
)


def persona_events(*, customers: int, days: int, seed: int, until: datetime) -> Iterator[AnyEvent]:
    """All events of the three and of `customers` others, in the `days` before `until` (aware); customer by customer."""
    for write in (_ann, _ben, _parks):
        yield from write(days, until)
    for number in range(customers):
        # A generator of its own for each: more customers do not change those before them.
        random = Random(f"{seed}:{number}")  # noqa: S311 (invented lives, not keys)
        yield from _ordinary(_person(f"p{seed}-{number}", number, random), random, days, until)


class _Diary:
    """Writes one person's events with ids that depend on nothing but the order of writing."""

    def __init__(self, key: str, days: int, until: datetime) -> None:
        self._key = key
        self._start = until - timedelta(days=days)
        self._span = timedelta(days=days)
        self._written = 0

    def at(self, part: float) -> datetime:
        """The instant at `part` (0 to 1) of the whole time, to the second."""
        return self._start + timedelta(seconds=int(self._span.total_seconds() * part))

    def id(self) -> str:
        """The next id."""
        self._written += 1
        return f"{self._key}-{self._written:04}"

    def page(self, part: float, who: Sequence[IdentifierRef], sku: str = "LAMP-1") -> AnyEvent:
        """A look at a product's page."""
        return made.page_viewed(
            source="web", id=self.id(), time=self.at(part), channel="web", identifiers=who,
            url=f"{_SHOP}/p/{sku.lower()}", sku=sku, dwell_ms=1000 * (7 + self._written % 60),
        )  # fmt: skip

    def purchase(
        self, part: float, who: Sequence[IdentifierRef], order: str, basket: Sequence[tuple[str, str, str, str]]
    ) -> AnyEvent:
        """An order that became revenue."""
        total = sum((Decimal(price) for *_, price in basket), Decimal(0))
        return made.purchase_completed(
            source="shop", id=order, time=self.at(part), channel="web", identifiers=who, order_id=order,
            total=_usd(total), cost=_usd((total * Decimal("0.6")).quantize(Decimal("0.01"))),
            items=[Item(sku=s, name=n, category=c, quantity=1, amount=Decimal(p)) for s, n, c, p in basket],
        )  # fmt: skip

    def delivery(self, part: float, order: str) -> AnyEvent:
        """What the carrier says: it knows the order, not the person."""
        return made.delivery_completed(
            source="carrier", id=f"{order}-delivered", time=self.at(part), channel="partner", order_id=order,
            shipment_id=f"S-{order}",
        )  # fmt: skip

    def newsletter(self, part: float, to: IdentifierRef, campaign: str) -> tuple[AnyEvent, str]:
        """A mail that we sent, and its id."""
        message = self.id()
        event = made.email_sent(
            source="mailer", id=message, time=self.at(part), channel="email", identifiers=[to], message_id=message,
            subject="What is new", campaign=Campaign(id=campaign, medium="newsletter"), intent="nurture",
        )  # fmt: skip
        return event, message


def _usd(amount: Decimal | str) -> Money:
    return made.money(amount, "USD")


def _ann(days: int, until: datetime) -> Iterator[AnyEvent]:
    diary = _Diary("ann", days, until)
    device, email, member = made.device_id("d-ann-0001"), made.email("Ann.Lee@Example.com"), made.member_id("M-ANN-1")
    for part in (0.02, 0.03, 0.05):
        yield diary.page(part, [device])
    mail, message = diary.newsletter(0.08, email, "welcome")
    yield mail
    # The click comes from her browser: from now on device and email are one customer.
    yield made.email_clicked(
        source="mailer", id=diary.id(), time=diary.at(0.081), channel="email", identifiers=[email, device],
        message_id=message, url=f"{_SHOP}/welcome",
    )  # fmt: skip
    yield made.profile_updated(
        source="shop", id=diary.id(), time=diary.at(0.1), channel="web", identifiers=[member, email],
        traits=Traits(given_name="Ann", family_name="Lee", language="en", interests=["lighting"]),
    )  # fmt: skip
    for number in range(1, 7):
        order, part = f"shop:A-{number}", 0.1 + number * 0.13
        yield diary.page(part - 0.01, [device], _PRODUCTS[number % 7][0])
        yield diary.purchase(part, [member], order, [_PRODUCTS[number % 7], _PRODUCTS[(number + 2) % 7]])
        if number != 5:
            yield diary.delivery(part + 0.01, order)
    # The fourth was billed wrongly: the same event again, with a higher revision.
    corrected = diary.purchase(0.1 + 4 * 0.13, [member], "shop:A-4", [_PRODUCTS[4]])
    yield corrected.model_copy(update={"revision": 1})
    # The fifth never happened: somebody pressed a button twice.
    yield made.event_retracted(
        source="shop", id="shop:A-5", time=diary.at(0.1 + 5 * 0.13), revision=1, reason="entered twice", operator="o-12"
    )
    yield made.visit_completed(
        source="store", id=diary.id(), time=diary.at(0.95), channel="store", identifiers=[member], kind="store",
        purpose="lamps", outcome="advice", duration_s=1500,
    )  # fmt: skip
    yield made.survey_answered(
        source="survey", id=diary.id(), time=diary.at(0.97), channel="web", identifiers=[member], survey_id="2026-q3",
        via="online", csat=5, nps=10, about=About(kind="channel", id="store"),
    )  # fmt: skip


def _ben(days: int, until: datetime) -> Iterator[AnyEvent]:
    diary = _Diary("ben", days, until)
    email, phone = made.email("ben.ortiz@example.com"), made.phone("(202) 555-0142")
    case, order, agent = "desk:501", "shop:B-1", Staff(id="agent-7", team="service")
    yield made.profile_updated(
        source="crm", id=diary.id(), time=diary.at(0.3), channel="crm", identifiers=[email, phone],
        traits=Traits(given_name="Ben", family_name="Ortiz", phones=["(202) 555-0142"]),
    )  # fmt: skip
    yield diary.purchase(0.5, [email], order, [_PRODUCTS[4]])
    yield diary.delivery(0.6, order)
    yield made.complaint_opened(
        source="desk", id=diary.id(), time=diary.at(0.62), channel="email", identifiers=[email], case_id=case,
        theme="damaged goods", severity="high", sku="CHAIR-7", order_id=order, description="One wheel is broken.",
    )  # fmt: skip
    yield made.complaint_resolved(
        source="desk", id=diary.id(), time=diary.at(0.66), channel="email", case_id=case, staff=agent,
        solution="A new wheel was sent.",
    )  # fmt: skip
    yield made.call_missed(
        source="pbx", id=diary.id(), time=diary.at(0.7), channel="phone", identifiers=[phone], direction="inbound"
    )
    yield made.call_completed(
        source="pbx", id=diary.id(), time=diary.at(0.701), channel="phone", identifiers=[phone], direction="inbound",
        duration_s=412, result="answered", purpose="complaint", staff=agent,
    )  # fmt: skip
    # The hotline knows the case and the phone it is called from.
    yield made.complaint_reopened(
        source="desk", id=diary.id(), time=diary.at(0.702), channel="phone", identifiers=[phone], case_id=case,
        reason="The new wheel does not fit.",
    )  # fmt: skip
    yield made.purchase_refunded(
        source="shop", id=diary.id(), time=diary.at(0.75), channel="web", order_id=order, refund_id="R-B-1",
        total=_usd("49.00"), reason="damaged",
    )  # fmt: skip
    yield made.survey_answered(
        source="survey", id=diary.id(), time=diary.at(0.8), channel="email", identifiers=[email], survey_id="case",
        via="online", csat=2, nps=4, about=About(kind="case", id=case),
    )  # fmt: skip


def _parks(days: int, until: datetime) -> Iterator[AnyEvent]:
    diary = _Diary("park", days, until)
    phone = made.phone("+1 202 555 0177")
    cho, dana = made.member_id("M-PARK-1"), made.member_id("M-PARK-2")
    cho_crm = made.crm_id("C-PARK-1")
    for number, (member, name) in enumerate(((cho, "Cho"), (dana, "Dana")), start=1):
        yield made.profile_updated(
            source="crm", id=diary.id(), time=diary.at(0.1 * number), channel="crm", identifiers=[member, phone],
            traits=Traits(given_name=name, family_name="Park"),
        )  # fmt: skip
        yield diary.purchase(0.3 + 0.1 * number, [member], f"shop:P-{number}", [_PRODUCTS[number]])
        yield diary.delivery(0.35 + 0.1 * number, f"shop:P-{number}")
    yield made.call_completed(
        source="pbx", id=diary.id(), time=diary.at(0.7), channel="phone", identifiers=[phone], direction="inbound",
        duration_s=95, result="answered", purpose="opening hours",
    )  # fmt: skip
    yield made.identity_linked(
        source="backoffice", id=diary.id(), time=diary.at(0.8), a=cho, b=cho_crm, reason="Same person.",
        operator="o-12",
    )  # fmt: skip


def _person(key: str, number: int, random: Random) -> Person:
    given, family = random.choice(_GIVEN), random.choice(_FAMILY)
    area, line = _AREAS[number // 100 % len(_AREAS)], number % 100
    # There are only so many numbers for fiction; people beyond have no phone.
    phone = made.phone(f"+1 {area} 555 01{line:02}") if number < 100 * len(_AREAS) else None
    return Person(
        key=key,
        given_name=given,
        family_name=family,
        email=made.email(f"{given}.{family}.{number}@example.org".lower()),
        phone=phone,
        device=made.device_id(f"d-{number:06}"),
        member=made.member_id(f"M-{number:06}"),
        crm=made.crm_id(f"C-{number:06}"),
    )


def _ordinary(person: Person, random: Random, days: int, until: datetime) -> Iterator[AnyEvent]:
    diary = _Diary(person.key, days, until)
    joined, last = sorted((random.random() * 0.6, random.uniform(0.3, 0.99)))
    yield diary.page(joined, [person.device])
    yield made.profile_updated(
        source="crm", id=diary.id(), time=diary.at(joined), channel="crm", identifiers=[person.member, person.email],
        traits=Traits(given_name=person.given_name, family_name=person.family_name),
    )  # fmt: skip
    for _ in range(random.choice((1, 2, 4, 8))):
        chapter = random.choices(_CHAPTERS, weights=(4, 4, 5, 2, 1, 1), k=1)[0]
        yield from chapter(person, random, diary, random.uniform(joined, last))


def _browses(person: Person, random: Random, diary: _Diary, part: float) -> Iterator[AnyEvent]:
    for step in range(random.randint(1, 4)):
        yield diary.page(part + step * 1e-5, [person.device], random.choice(_PRODUCTS)[0])


def _is_written_to(person: Person, random: Random, diary: _Diary, part: float) -> Iterator[AnyEvent]:
    mail, message = diary.newsletter(part, person.email, random.choice(("spring", "autumn")))
    yield mail
    if random.random() < 0.5:
        yield made.email_opened(
            source="mailer", id=diary.id(), time=diary.at(part + 1e-4), channel="email", identifiers=[person.email],
            message_id=message, automated=random.random() < 0.3 or None,
        )  # fmt: skip
    if random.random() < 0.25:
        yield made.email_clicked(
            source="mailer", id=diary.id(), time=diary.at(part + 2e-4), channel="email", message_id=message,
            identifiers=[person.email, person.device], url=f"{_SHOP}/news",
        )  # fmt: skip
    if random.random() < 0.05:
        yield made.email_replied(
            source="mailer", id=diary.id(), time=diary.at(part + 3e-4), channel="email", identifiers=[person.email],
            message_id=f"re-{message}", in_reply_to=message, text="Thank you.",
        )  # fmt: skip


def _buys(person: Person, random: Random, diary: _Diary, part: float) -> Iterator[AnyEvent]:
    order = f"shop:{diary.id()}"
    basket = random.sample(_PRODUCTS, random.choice((1, 1, 2, 3)))
    yield diary.purchase(part, [person.member, person.email], order, basket)
    yield diary.delivery(part + 5e-3, order)
    if random.random() < 0.08:
        yield made.purchase_refunded(
            source="shop", id=diary.id(), time=diary.at(part + 8e-3), channel="web", order_id=order,
            refund_id=f"R-{order}", total=_usd(basket[0][3]), reason="did not like it",
        )  # fmt: skip


def _calls(person: Person, random: Random, diary: _Diary, part: float) -> Iterator[AnyEvent]:
    who = [person.phone or person.email]
    if random.random() < 0.3:
        yield made.call_missed(
            source="pbx", id=diary.id(), time=diary.at(part), channel="phone", identifiers=who, direction="inbound"
        )
    yield made.call_completed(
        source="pbx", id=diary.id(), time=diary.at(part + 1e-4), channel="phone", identifiers=who, duration_s=240,
        direction=random.choice(("inbound", "outbound")), result=random.choice(("answered", "voicemail")),
    )  # fmt: skip


def _complains(person: Person, random: Random, diary: _Diary, part: float) -> Iterator[AnyEvent]:
    case = f"desk:{diary.id()}"
    yield made.complaint_opened(
        source="desk", id=diary.id(), time=diary.at(part), channel="email", identifiers=[person.email], case_id=case,
        theme=random.choice(_THEMES), severity=random.choice(("low", "normal", "high")),
    )  # fmt: skip
    if random.random() < 0.8:
        yield made.complaint_resolved(
            source="desk", id=diary.id(), time=diary.at(part + 3e-3), channel="email", case_id=case,
            staff=Staff(id=f"agent-{random.randint(1, 9)}", team="service"),
        )  # fmt: skip
        yield made.survey_answered(
            source="survey", id=diary.id(), time=diary.at(part + 5e-3), channel="email", identifiers=[person.email],
            survey_id="case", via="online", csat=random.randint(1, 5), nps=random.randint(0, 10),
        )  # fmt: skip


def _visits(person: Person, random: Random, diary: _Diary, part: float) -> Iterator[AnyEvent]:
    yield made.visit_completed(
        source="store", id=diary.id(), time=diary.at(part), channel="store", identifiers=[person.member], kind="store",
        duration_s=60 * random.randint(5, 50),
    )  # fmt: skip
    if person.phone is not None:
        yield made.profile_updated(
            source="store", id=diary.id(), time=diary.at(part + 1e-5), channel="store",
            identifiers=[person.member, person.phone], traits=Traits(interests=[random.choice(_PRODUCTS)[2]]),
        )  # fmt: skip


_Chapter = Callable[[Person, Random, _Diary, float], Iterator[AnyEvent]]
_CHAPTERS: Final[tuple[_Chapter, ...]] = (_browses, _is_written_to, _buys, _calls, _complains, _visits)
