"""The demo's customers without any server: who is who, and what they did, worked out the slow way."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from reference.log_model import Record, reference

from customer_timeline.projections.customer import CustomerFacts
from customer_timeline.projections.reading import CustomerRecord, Member
from customer_timeline.runtime.personas import persona_events
from customer_timeline.runtime.settings import Settings
from customer_timeline.runtime.wiring import codec, customer_projection, identifier_space
from customer_timeline.schemas.decoded import to_micros


class DemoCustomer(NamedTuple):
    """One customer of the demo, and what a reader of the tables is given of them."""

    customer_id: str
    facts: CustomerFacts
    record: CustomerRecord


Customers = dict[str, DemoCustomer]
"""By the id of each of their identifiers."""


def demo_customers(others: int, until: datetime) -> Customers:
    """Those of the stories and `others`."""
    settings = Settings()
    projection, coding = customer_projection(settings), codec(settings)
    events = persona_events(customers=others, days=365, seed=1, until=until)
    records = [Record(coding.encode(event), until) for event in events]
    tables = reference(records, coding, settings.identity, projection)
    members: dict[str, list[Member]] = {}
    for key, row in tables["identifiers"].items():
        seen_at = row["first_seen_at"]
        member = Member(key, row["kind"], row["value"], None if seen_at is None else to_micros(seen_at))
        members.setdefault(row["customer_id"], []).append(member)
    found = {}
    for customer_id, row in tables["customers"].items():
        record = CustomerRecord(customer_id, tuple(members[customer_id]), row["facts"])
        found[customer_id] = DemoCustomer(customer_id, projection.decode(row["facts"]), record)
    return {key: found[row["customer_id"]] for key, row in tables["identifiers"].items()}


def identifier_id(ref: str) -> str:
    """The id of a reference such as `email:ann@example.com`."""
    kind, _, value = ref.rpartition(":")
    found = identifier_space(Settings()).normalise(kind, value)
    if isinstance(found, str):
        raise LookupError(f"{kind} of the reference cannot be normalised: {found}")
    return found.identifier_id
