"""Satisfaction: whom we asked, and what customers answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from customer_timeline.schemas.touchpoint import CustomerTouchpoint
from customer_timeline.schemas.values import LongText, Part, Personal, ShortTexts, Token


class About(Part):
    """What the answer is about."""

    kind: Literal["order", "case", "product", "channel", "staff"]
    id: Token


class Survey(CustomerTouchpoint):
    """Names the survey, and the invitation to it."""

    survey_id: Token
    invitation_id: Token | None = None


class SurveySent(Survey):
    """We asked the customer to answer a survey."""

    type_name = "survey.sent.v1"
    who = "company"
    example = {
        "identifiers": [{"kind": "email", "value": "ann@example.com"}],
        "channel": "email",
        "survey_id": "post-purchase-2026",
        "invitation_id": "inv-881",
    }


class SurveyAnswered(Survey):
    """The customer answered a survey; `csat` from 1 to 5, `nps` from 0 to 10."""

    type_name = "survey.answered.v1"
    who = "customer"
    life = True
    example = {
        "identifiers": [{"kind": "email", "value": "ann@example.com"}],
        "channel": "email",
        "survey_id": "post-purchase-2026",
        "csat": 4,
        "nps": 9,
        "comment": "Quick and friendly.",
        "themes": ["speed", "staff"],
        "via": "online",
        "about": {"kind": "order", "id": "shopify:1001"},
    }

    csat: Annotated[int, Field(strict=True, ge=1, le=5)] | None = None
    nps: Annotated[int, Field(strict=True, ge=0, le=10)] | None = None
    comment: Annotated[LongText | None, Personal()] = None
    themes: ShortTexts | None = None
    via: Literal["online", "phone", "paper", "other"]
    about: About | None = None
