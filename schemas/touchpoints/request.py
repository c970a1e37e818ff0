"""Requests: questions, tickets, suggestions and tasks; cases like complaints, but nothing need be wrong."""

from __future__ import annotations

from typing import Literal

from customer_timeline.schemas.touchpoints.case import (
    CASE_STAFF,
    CaseAnswered,
    CaseAssigned,
    CaseClosed,
    CaseOpened,
    CaseReopened,
    CaseResolved,
)


class RequestOpened(CaseOpened):
    """The customer asked, suggested or ordered something to be done."""

    type_name = "request.opened.v1"
    example = {
        "identifiers": [{"kind": "phone", "value": "+1 202 555 0143"}],
        "channel": "phone",
        "case_id": "desk:730",
        "kind": "question",
        "theme": "warranty",
        "description": "How long is the lamp under warranty?",
        "severity": "low",
        "sku": "LAMP-1",
    }

    kind: Literal["question", "ticket", "suggestion", "task"]


class RequestAssigned(CaseAssigned):
    """The request was given to somebody; `step` says where it stands."""

    type_name = "request.assigned.v1"
    example = {"channel": "crm", "case_id": "desk:730", "step": "first level", "assignee": "agent-7"}


class RequestAnswered(CaseAnswered):
    """We answered the customer, solved or not."""

    type_name = "request.answered.v1"
    example = {"channel": "phone", "case_id": "desk:730", "text": "Two years from the day of purchase.", **CASE_STAFF}


class RequestResolved(CaseResolved):
    """The customer has what was asked for."""

    type_name = "request.resolved.v1"
    example = {
        "channel": "phone",
        "case_id": "desk:730",
        "solution": "Told the terms of the warranty.",
        "article_id": "kb-31",
        **CASE_STAFF,
    }


class RequestReopened(CaseReopened):
    """The customer is not content with what was done."""

    type_name = "request.reopened.v1"
    example = {
        "identifiers": [{"kind": "email", "value": "ann@example.com"}],
        "channel": "email",
        "case_id": "desk:730",
        "reason": "Does that hold for the bulb too?",
    }


class RequestClosed(CaseClosed):
    """Nothing more is to be done about the request, solved or not."""

    type_name = "request.closed.v1"
    example = {"channel": "crm", "case_id": "desk:730", **CASE_STAFF}
