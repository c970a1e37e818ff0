"""Contracts: signed, renewed, ended. Days are those of the contract's own calendar, both ends included."""

from __future__ import annotations

from typing import Annotated

from customer_timeline.schemas.field_rules import not_before
from customer_timeline.schemas.touchpoint import CustomerTouchpoint
from customer_timeline.schemas.values import IsoDate, LongText, Money, Personal, ThingId


class ContractSigned(CustomerTouchpoint):
    """A contract was signed; it runs from `starts_on` to `ends_on`, that day included."""

    type_name = "contract.signed.v1"
    who = "system"
    example = {
        "identifiers": [{"kind": "crm_id", "value": "C-1001"}],
        "channel": "field",
        "contract_id": "sap:40017",
        "total": {"amount": "1200.00", "currency": "EUR"},
        "starts_on": "2026-02-01",
        "ends_on": "2027-01-31",
        "terms": "Renewed by one year unless ended a month before.",
    }

    contract_id: ThingId
    total: Money | None = None
    starts_on: IsoDate
    ends_on: Annotated[IsoDate, not_before("starts_on")]
    terms: Annotated[LongText | None, Personal()] = None


class ContractRenewed(CustomerTouchpoint):
    """The contract goes on, to a new `ends_on`, that day included."""

    type_name = "contract.renewed.v1"
    who = "system"
    example = {
        "channel": "crm",
        "contract_id": "sap:40017",
        "ends_on": "2028-01-31",
        "total": {"amount": "1260.00", "currency": "EUR"},
    }

    contract_id: ThingId
    ends_on: IsoDate
    total: Money | None = None


class ContractEnded(CustomerTouchpoint):
    """The contract is over, from the event's time on; earlier than it was to run if somebody ended it."""

    type_name = "contract.ended.v1"
    who = "system"
    example = {"channel": "crm", "contract_id": "sap:40017", "reason": "moved abroad"}

    contract_id: ThingId
    reason: Annotated[LongText | None, Personal()] = None
