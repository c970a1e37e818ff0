"""Quality: what we change because of what customers say, and how well cases were handled."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from customer_timeline.schemas.touchpoint import CompanyTouchpoint, CustomerTouchpoint, Staff
from customer_timeline.schemas.values import LongText, Percent, Personal, ShortText, ThingId, Token


class Improvement(CompanyTouchpoint):
    """Says what is done against what customers complain of; `theme` as in complaints and surveys."""

    who = "company"

    theme: ShortText
    action: ShortText
    owner: Annotated[Token | None, Field(description="The member of staff or the team that does it.")] = None


class ImprovementStarted(Improvement):
    """We began to improve something."""

    type_name = "improvement.started.v1"
    example = {"theme": "late delivery", "action": "second carrier for the north", "owner": "logistics"}


class ImprovementCompleted(Improvement):
    """The improvement is in place."""

    type_name = "improvement.completed.v1"
    example = {"theme": "late delivery", "action": "second carrier for the north", "owner": "logistics"}


class QualityReviewed(CustomerTouchpoint):
    """Somebody judged how well `staff` handled a case or a contact."""

    type_name = "quality.reviewed.v1"
    who = "company"
    example = {
        "channel": "phone",
        "staff": {"id": "agent-7", "team": "hotline"},
        "case_id": "desk:501",
        "score_percent": "87.5",
        "comment": "Patient; might have offered express at once.",
    }

    staff: Annotated[Staff, Field(description="Whose work was judged.")]
    case_id: ThingId | None = None
    score_percent: Percent
    comment: Annotated[LongText | None, Personal()] = None
