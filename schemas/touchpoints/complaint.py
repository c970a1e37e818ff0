"""Complaints: cases that a customer opens because something is wrong; we resolve them, the customer may reopen them."""

from __future__ import annotations

from customer_timeline.schemas.touchpoints.case import (
    CASE_STAFF,
    CaseAnswered,
    CaseAssigned,
    CaseClosed,
    CaseOpened,
    CaseReopened,
    CaseResolved,
)


class ComplaintOpened(CaseOpened):
    """The customer complained."""

    type_name = "complaint.opened.v1"
    example = {
        "identifiers": [{"kind": "email", "value": "ann@example.com"}],
        "channel": "email",
        "case_id": "desk:501",
        "theme": "late delivery",
        "description": "Promised for Monday, still not here.",
        "severity": "normal",
        "order_id": "shopify:1001",
    }


class ComplaintAssigned(CaseAssigned):
    """The complaint was given to somebody; `step` says where it stands."""

    type_name = "complaint.assigned.v1"
    example = {"channel": "crm", "case_id": "desk:501", "step": "second level", "assignee": "agent-7"}


class ComplaintAnswered(CaseAnswered):
    """We answered the customer, solved or not."""

    type_name = "complaint.answered.v1"
    example = {"channel": "email", "case_id": "desk:501", "text": "We are asking the carrier.", **CASE_STAFF}


class ComplaintResolved(CaseResolved):
    """We solved the case."""

    type_name = "complaint.resolved.v1"
    example = {
        "channel": "email",
        "case_id": "desk:501",
        "solution": "Sent again by express.",
        "article_id": "kb-12",
        **CASE_STAFF,
    }


class ComplaintReopened(CaseReopened):
    """The customer is not content with the solution."""

    type_name = "complaint.reopened.v1"
    example = {
        "identifiers": [{"kind": "phone", "value": "+1 202 555 0143"}],
        "channel": "phone",
        "case_id": "desk:501",
        "reason": "The replacement is broken too.",
    }


class ComplaintClosed(CaseClosed):
    """Nothing more is to be done about the complaint, solved or not."""

    type_name = "complaint.closed.v1"
    example = {"channel": "crm", "case_id": "desk:501", **CASE_STAFF}
