"""Ordinary customers, as many as are wanted: somebody invented, and chapters of a life drawn at random."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Final

from customer_timeline.producers import touchpoints as made
from customer_timeline.producers.touchpoints import IdentifierRef, Staff, Traits
from customer_timeline.runtime.personas.diary import PRODUCTS, SHOP, AnyEvent, Diary, usd

_GIVEN = "Ava Ben Cho Dana Eli Fay Gus Hana Ivo Jun Kai Lea Mia Noa Oda Pia Quin Rae Sam Tia Uma Vic Zoe".split()  # noqa: SIM905
_FAMILY = "Adler Brook Cohen Diaz Evans Frost Haas Ito Jain Khan Lopez Mori Nowak Okoro Reyes Sato Tran".split()  # noqa: SIM905
# 555-0100 to 555-0199 is reserved for fiction in every one of these. The stories' people live in 771.
_AREAS: Final[tuple[int, ...]] = (
    *(202, 212, 213, 214, 215, 216, 303, 305, 310, 312, 313, 314, 404, 407, 408, 410, 412, 414, 415, 419),
    *(503, 504, 505, 508, 510, 512, 513, 515, 601, 602, 603, 612, 614, 615, 616, 617, 619, 701, 702, 703),
)
_THEMES = ("late delivery", "damaged goods", "wrong item", "invoice", "rude service")
# So many days before the end are its last moments: a chapter's steps stay within the given time.
_MOMENT: Final = 1e-3


@dataclass(frozen=True)
class Person:
    """Somebody invented, and every identifier that channels know them by."""

    given_name: str
    family_name: str
    email: IdentifierRef
    phone: IdentifierRef | None
    device: IdentifierRef
    member: IdentifierRef


def ordinary_life(seed: int, number: int, random: Random, days: int, until: datetime) -> Iterator[AnyEvent]:
    """The events of one customer, in the `days` before `until`."""
    person, diary = _person(number, random), Diary(f"p{seed}-{number}", until)
    joined, last = days * random.uniform(0.4, 1), days * random.uniform(0.01, 0.7)
    if joined < last:
        joined, last = last, joined
    yield diary.page(joined, [person.device])
    yield diary.tell(
        made.profile_updated, "crm", joined, "crm", [person.member, person.email],
        traits=Traits(given_name=person.given_name, family_name=person.family_name),
    )  # fmt: skip
    for _ in range(random.choice((1, 2, 4, 8))):
        chapter = random.choices(_CHAPTERS, weights=(4, 4, 5, 2, 1, 1), k=1)[0]
        yield from chapter(person, random, diary, random.uniform(joined, last))


def _person(number: int, random: Random) -> Person:
    given, family = random.choice(_GIVEN), random.choice(_FAMILY)
    area, line = _AREAS[number // 100 % len(_AREAS)], number % 100
    # There are only so many numbers for fiction; people beyond have no phone.
    phone = made.phone(f"+1 {area} 555 01{line:02}") if number < 100 * len(_AREAS) else None
    return Person(
        given_name=given,
        family_name=family,
        email=made.email(f"{given}.{family}.{number}@example.org".lower()),
        phone=phone,
        device=made.device_id(f"d-{number:06}"),
        member=made.member_id(f"M-{number:06}"),
    )


def _browses(person: Person, random: Random, diary: Diary, days: float) -> Iterator[AnyEvent]:
    for step in range(random.randint(1, 4)):
        yield diary.page(days - step * _MOMENT, [person.device], random.choice(PRODUCTS)[0])


def _is_written_to(person: Person, random: Random, diary: Diary, days: float) -> Iterator[AnyEvent]:
    email = [person.email]
    mail, message = diary.newsletter(days, person.email, random.choice(("spring", "autumn")))
    yield mail
    if random.random() < 0.5:
        machine = random.random() < 0.3 or None
        yield diary.tell(
            made.email_opened, "mailer", days * 0.998, "email", email, message_id=message, automated=machine
        )
    if random.random() < 0.25:
        yield diary.tell(
            made.email_clicked, "mailer", days * 0.997, "email", [person.email, person.device], message_id=message,
            url=f"{SHOP}/news",
        )  # fmt: skip
    if random.random() < 0.05:
        yield diary.tell(
            made.email_replied, "mailer", days * 0.995, "email", email, message_id=f"re-{message}",
            in_reply_to=message, text="Thank you.",
        )  # fmt: skip


def _buys(person: Person, random: Random, diary: Diary, days: float) -> Iterator[AnyEvent]:
    order = f"shop:{diary.id()}"
    basket = random.sample(PRODUCTS, random.choice((1, 1, 2, 3)))
    yield diary.purchase(days, [person.member, person.email], order, basket)
    yield diary.delivery(days * 0.98, order)
    if random.random() < 0.08:
        yield diary.tell(
            made.purchase_refunded, "shop", days * 0.97, "web", order_id=order, refund_id=f"R-{order}",
            total=usd(basket[0][3]), reason="did not like it",
        )  # fmt: skip


def _calls(person: Person, random: Random, diary: Diary, days: float) -> Iterator[AnyEvent]:
    who = [person.phone or person.email]
    if random.random() < 0.3:
        yield diary.tell(made.call_missed, "pbx", days, "phone", who, direction="inbound")
    yield diary.tell(
        made.call_completed, "pbx", days - _MOMENT, "phone", who, duration_s=240,
        direction=random.choice(("inbound", "outbound")), result=random.choice(("answered", "voicemail")),
    )  # fmt: skip


def _complains(person: Person, random: Random, diary: Diary, days: float) -> Iterator[AnyEvent]:
    case, email = f"desk:{diary.id()}", [person.email]
    yield diary.tell(
        made.complaint_opened, "desk", days, "email", email, case_id=case, theme=random.choice(_THEMES),
        severity=random.choice(("low", "normal", "high")),
    )  # fmt: skip
    if random.random() < 0.8:
        staff = Staff(id=f"agent-{random.randint(1, 9)}", team="service")
        yield diary.tell(made.complaint_resolved, "desk", days * 0.98, "email", case_id=case, staff=staff)
        yield diary.tell(
            made.survey_answered, "survey", days * 0.97, "email", email, survey_id="case", via="online",
            csat=random.randint(1, 5), nps=random.randint(0, 10),
        )  # fmt: skip


def _visits(person: Person, random: Random, diary: Diary, days: float) -> Iterator[AnyEvent]:
    yield diary.tell(
        made.visit_completed, "store", days, "store", [person.member], kind="store",
        duration_s=60 * random.randint(5, 50),
    )  # fmt: skip
    if person.phone is not None:
        traits = Traits(interests=[random.choice(PRODUCTS)[2]])
        yield diary.tell(
            made.profile_updated, "store", days - _MOMENT, "store", [person.member, person.phone], traits=traits
        )


_Chapter = Callable[[Person, Random, Diary, float], Iterator[AnyEvent]]
_CHAPTERS: Final[tuple[_Chapter, ...]] = (_browses, _is_written_to, _buys, _calls, _complains, _visits)
