"""What the model is compared with: records go in, customers and stages come out. Its settings are the model's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

from stateful.plain_customers import FOR_EVER, Customer

from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.identity_policy import IdentityPolicy, KindPolicy

# As the model has it.
POLICY = IdentityPolicy(
    kinds={
        "member_id": KindPolicy(rank=100, max_per_customer=1),
        "email": KindPolicy(rank=50, share_limit=2),
        "phone": KindPolicy(rank=40, share_limit=1),
        "device_id": KindPolicy(rank=20, share_limit=1),
    }
)
SECRET = b"a secret of the tests"
CODEC = Codec(POLICY, SECRET)
PROJECTION = CustomerProjection(BusinessCalendar("UTC"))
RULES = StageRules()
RECORDED_FROM = datetime(2026, 6, 1, tzinfo=UTC)

Stages = dict[str, tuple[str, tuple[str, ...]] | None]
"""Stage and flags of each customer at an instant; None before its first event."""


def recorded_at(number: int) -> datetime:
    """When the log takes in its record of that number, the first being 0: one a second."""
    return RECORDED_FROM + timedelta(seconds=number)


class System(Protocol):
    """What takes records and answers about customers. Instants are microseconds, `known_at` the number of a record."""

    knows_when: bool
    """It takes each record in at the model's instant, and so can be asked what was known at one."""

    def append(self, value: bytes) -> None:
        """Take the next record in."""

    def customers(self, as_of_us: int = FOR_EVER, known_at: int = FOR_EVER) -> dict[str, Customer]:
        """Customers by id; `known_at` is asked for only where `knows_when` says so."""

    def stages(self, at_us: int) -> Stages:
        """The stages of all customers at an instant."""

    def close(self) -> None:
        """The end of one example."""


def cents_of(amount: str) -> int:
    """Of an amount with two decimals."""
    whole, _, hundredths = amount.partition(".")
    return int(whole) * 100 + int(hundredths)
