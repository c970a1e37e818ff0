"""Cases: what complaints and requests have in common, from the opening to the close. No type of its own.

A case belongs to the customer who opened it, so that everything after the opening may name the case alone.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from customer_timeline.schemas.touchpoint import CustomerTouchpoint
from customer_timeline.schemas.values import LongText, Personal, ShortText, Sku, ThingId, Token

CASE_STAFF: Final[dict[str, Any]] = {"staff": {"id": "agent-7", "team": "service"}}
"""Part of the examples: who of us works on the case."""


class Case(CustomerTouchpoint):
    """Names the case that it is about."""

    case_id: ThingId


class CaseOpened(Case):
    """The customer wants something of us."""

    who = "customer"
    life = True

    theme: ShortText
    description: Annotated[LongText | None, Personal()] = None
    severity: Literal["low", "normal", "high"] | None = None
    sku: Sku | None = None
    order_id: ThingId | None = None


class CaseAssigned(Case):
    """Somebody is to handle the case."""

    who = "company"

    step: Annotated[ShortText | None, Field(description="Where the case stands, such as first level.")] = None
    assignee: Annotated[Token, Field(description="The member of staff or the team that has it now.")]


class CaseAnswered(Case):
    """The customer was told something, solved or not; the first one ends the wait for an answer."""

    who = "company"

    text: Annotated[LongText | None, Personal()] = None


class CaseResolved(Case):
    """The case is solved."""

    who = "company"

    solution: Annotated[LongText | None, Personal()] = None
    article_id: Annotated[Token | None, Field(description="The article that solved it.")] = None


class CaseReopened(Case):
    """The customer is not content with the solution."""

    who = "customer"
    life = True

    reason: Annotated[LongText | None, Personal()] = None


class CaseClosed(Case):
    """Nothing more is to be done, solved or not."""

    who = "company"
