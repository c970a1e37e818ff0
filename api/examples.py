"""Examples for the OpenAPI document. A test holds them against the shapes in `api.models`."""

from __future__ import annotations

from typing import Any, Final

from fastapi.openapi.models import Example

_ANN: Final = "3f0b9c7e-52d1-4c8a-9e0f-6a7b8c9d0e1f"
_MEMBER: Final = "9a1c2b3d-4e5f-4a6b-8c7d-0e1f2a3b4c5d"
_PURCHASE: Final = "5d4c3b2a-1f0e-5d9c-8b7a-6f5e4d3c2b1a"

REFERENCES: Final[dict[str, Example]] = {
    "email": {"summary": "An email address", "value": "email:Ann@Example.com"},
    "id": {"summary": "An id from an earlier answer", "value": _ANN},
    "platform": {"summary": "An account on a platform", "value": "open_id:wechat:oGZUI0egBJY1zhBYw2KhdUfwVJJE"},
}

CUSTOMER: Final[dict[str, Any]] = {
    "customer_id": _ANN,
    "former_ids": [_MEMBER],
    "identifiers": [
        {
            "kind": "email",
            "value": "ann@example.com",
            "first_seen_at": "2026-03-01T09:30:00Z",
            "last_seen_at": "2026-03-09T17:05:12Z",
        },
        {
            "kind": "member_id",
            "value": "M-1001",
            "first_seen_at": "2026-03-09T17:05:12Z",
            "last_seen_at": "2026-03-09T17:05:12Z",
        },
    ],
    "profile": {
        "given_name": {
            "value": "Ann",
            "occurred_at": "2026-03-01T09:30:00Z",
            "source": "https://crm.example.com",
            "event_id": "1b2c3d4e-5f60-5172-8394-a5b6c7d8e9f0",
        }
    },
    "activity": {
        "events": 3,
        "signs_of_life": 2,
        "first_at": "2026-03-01T09:30:00Z",
        "last_at": "2026-03-09T17:05:12Z",
        "last_sign_of_life_at": "2026-03-09T17:05:12Z",
        "by_channel": {
            "crm": {"inbound": 0, "outbound": 0, "system": 1, "last_at": "2026-03-01T09:30:00Z"},
            "web": {"inbound": 2, "outbound": 0, "system": 0, "last_at": "2026-03-09T17:05:12Z"},
        },
        "by_type": {"page.viewed": 1, "profile.updated": 1, "purchase.completed": 1},
        "by_month": {"2026-03": 3},
    },
    "purchases": {
        "count": 1,
        "days": 1,
        "first_at": "2026-03-09T17:05:12Z",
        "last_at": "2026-03-09T17:05:12Z",
        "by_currency": {"USD": {"gross": "107.50", "refunds": "0.00", "net": "107.50", "cost": "61.20"}},
        "median_gap_days": None,
    },
    "version": "5b1f3c0a9d7e4f6280b1c2d3e4f5a6b7",
    "cut": None,
}

LIFECYCLE: Final[dict[str, Any]] = {
    "customer_id": _ANN,
    "stage": "at_risk",
    "flags": ["silent"],
    "stage_since": "2026-06-07T17:05:12Z",
    "since": "2026-06-07T17:05:12Z",
    "until": "2026-09-05T17:05:12Z",
    "rule": "at_risk_silent",
    "reasons": [
        {
            "of": "stage",
            "rule": "at_risk_silent",
            "inputs": {
                "last_sign_of_life_at": "2026-03-09T17:05:12Z",
                "silent_days": 30,
                "silent_gaps": 2,
                "median_gap_days": None,
                "threshold_days": 30,
                "threshold_passed_at": "2026-04-08T17:05:12Z",
            },
            "events": [{"role": "sign_of_life", "at": "2026-03-09T17:05:12Z", "event_ids": [_PURCHASE]}],
        },
        {
            "of": "silent",
            "rule": "silent",
            "inputs": {
                "last_sign_of_life_at": "2026-03-09T17:05:12Z",
                "silent_days": 30,
                "silent_gaps": 2,
                "median_gap_days": None,
                "threshold_days": 30,
                "threshold_passed_at": "2026-04-08T17:05:12Z",
            },
            "events": [{"role": "sign_of_life", "at": "2026-03-09T17:05:12Z", "event_ids": [_PURCHASE]}],
        },
    ],
    "history": [
        {"stage": "prospect", "flags": [], "from": "2026-03-01T09:30:00Z", "until": "2026-03-09T17:05:12Z"},
        {"stage": "new", "flags": [], "from": "2026-03-09T17:05:12Z", "until": "2026-04-08T17:05:12Z"},
        {"stage": "new", "flags": ["silent"], "from": "2026-04-08T17:05:12Z", "until": "2026-06-07T17:05:12Z"},
        {"stage": "at_risk", "flags": ["silent"], "from": "2026-06-07T17:05:12Z", "until": "2026-09-05T17:05:12Z"},
    ],
    "schedule": [{"stage": "churned", "flags": ["silent"], "from": "2026-09-05T17:05:12Z", "until": None}],
    "p_alive": {
        "p_alive": 1.0,
        "repeat_days": 0,
        "recency_days": 0,
        "age_days": 103,
        "parameters": {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426},
    },
    "next_purchase_due_on": None,
    "complaints": {"open": 0, "opened_total": 0, "open_cases": []},
    "contracts": [],
    "satisfaction": {"answers": 0, "csat": None, "nps": None},
    "rules_version": "1-b9d41002",
    "at": "2026-06-20T08:00:00Z",
    "cut": None,
}

CUSTOMERS: Final[dict[str, Any]] = {
    "items": [
        {
            "customer_id": _ANN,
            "stage": "at_risk",
            "flags": ["silent"],
            "since": "2026-06-07T17:05:12Z",
            "until": "2026-09-05T17:05:12Z",
            "events": 3,
            "purchases": 1,
            "first_event_at": "2026-03-01T09:30:00Z",
            "last_event_at": "2026-03-09T17:05:12Z",
            "last_sign_of_life_at": "2026-03-09T17:05:12Z",
        }
    ],
    "count": 1,
    "counts": {"prospect": 3, "new": 0, "active": 12, "loyal": 4, "at_risk": 1, "churned": 7, "won_back": 0},
    "at": "2026-06-20T08:00:00Z",
    "next_cursor": None,
    "cut": None,
}

_EMAIL_NAME: Final = {"identifier_id": _ANN, "kind": "email", "value": "ann@example.com"}
_MEMBER_NAME: Final = {"identifier_id": _MEMBER, "kind": "member_id", "value": "M-1001"}
_OTHER_MEMBER: Final = {
    "identifier_id": "7c2d1e0f-9a8b-4c7d-8e6f-5a4b3c2d1e0f",
    "kind": "member_id",
    "value": "M-2002",
}
_PURCHASE_LINK: Final[dict[str, Any]] = {
    "a": _MEMBER_NAME,
    "b": _EMAIL_NAME,
    "evidence": [
        {
            "event_id": _PURCHASE,
            "occurred_at": "2026-03-09T17:05:12Z",
            "recorded_at": "2026-03-09T17:05:12.481Z",
            "source": "https://shop.example.com",
            "type": "purchase.completed.v1",
        }
    ],
    "evidence_left_out": 0,
    "decision": None,
    "refused": None,
}
_REFUSED_LINK: Final[dict[str, Any]] = {
    "a": _OTHER_MEMBER,
    "b": _EMAIL_NAME,
    "evidence": [
        {
            "event_id": "2e3f4a5b-6c7d-5e8f-9a0b-1c2d3e4f5a6b",
            "occurred_at": "2026-04-02T08:00:00Z",
            "recorded_at": "2026-04-02T08:00:01Z",
            "source": "https://shop.example.com",
            "type": "page.viewed.v1",
        }
    ],
    "evidence_left_out": 0,
    "decision": None,
    "refused": {"reason": "limit:member_id", "decisions": [], "identifiers": [_OTHER_MEMBER, _MEMBER_NAME]},
}

IDENTITY: Final[dict[str, Any]] = {
    "customer_id": _ANN,
    "former_ids": [_MEMBER],
    "identifiers": [
        {
            **_EMAIL_NAME,
            "first_seen_at": "2026-03-01T09:30:00Z",
            "first_event_id": "1b2c3d4e-5f60-5172-8394-a5b6c7d8e9f0",
            "shared": False,
        },
        {
            **_MEMBER_NAME,
            "first_seen_at": "2026-03-09T17:05:12Z",
            "first_event_id": _PURCHASE,
            "shared": False,
        },
    ],
    "links": [_PURCHASE_LINK],
    "refused_links": [_REFUSED_LINK],
    "decisions": [],
    "left_out": {"identifiers": 0, "links": 0, "refused_links": 0, "decisions": 0, "uncounted_links": False},
    "cut": None,
}

WHY: Final[dict[str, Any]] = {
    "a": {**_MEMBER_NAME, "customer_id": _ANN},
    "b": {**_OTHER_MEMBER, "customer_id": _OTHER_MEMBER["identifier_id"]},
    "together": False,
    "chain": [_PURCHASE_LINK, {**_REFUSED_LINK, "a": _EMAIL_NAME, "b": _OTHER_MEMBER}],
    "kept_apart_by": [],
    "left_out": {"chain": 0, "kept_apart_by": 0},
    "cut": None,
}

REVIEW: Final[dict[str, Any]] = {
    "of": "refused_links",
    "items": [
        {
            "a": _OTHER_MEMBER,
            "b": _EMAIL_NAME,
            "reason": "limit:member_id",
            "occurred_at": "2026-04-02T08:00:00Z",
            "event_id": "2e3f4a5b-6c7d-5e8f-9a0b-1c2d3e4f5a6b",
        }
    ],
    "next_cursor": None,
}

TIMELINE: Final[dict[str, Any]] = {
    "items": [
        {
            "event_id": _PURCHASE,
            "recorded_at": "2026-03-09T17:05:12.481Z",
            "position": {"partition": 2, "offset": 18211},
            "data_quality": None,
            "specversion": "1.0",
            "id": "order-1001",
            "source": "https://shop.example.com",
            "type": "purchase.completed.v1",
            "time": "2026-03-09T17:05:12Z",
            "data": {
                "identifiers": [
                    {"kind": "member_id", "value": "M-1001"},
                    {"kind": "email", "value": "Ann@Example.com"},
                ],
                "channel": "web",
                "order_id": "shop:1001",
                "total": {"amount": "107.50", "currency": "USD"},
            },
        }
    ],
    "next_cursor": None,
    "cut": None,
}

DIFFERENCE: Final[dict[str, Any]] = {
    "changes": [
        {
            "field": "purchases.by_currency.USD.gross",
            "before": "100.00",
            "after": "107.50",
            "event_ids": [_PURCHASE],
        }
    ],
    "events": [
        {
            "event_id": _PURCHASE,
            "type": "purchase.completed.v1",
            "occurred_at": "2026-03-09T17:05:12Z",
            "recorded_at": "2026-04-02T08:00:00Z",
            "how": "added",
        }
    ],
    "as_of": "2026-03-31T23:59:59.999999Z",
    "known_from": "2026-03-31T23:59:59.999999Z",
    "known_to": None,
    "identity": "cut",
    "complete": None,
    "at": "2026-03-31T23:59:59.999999Z",
}

LATE_EVENTS: Final[dict[str, Any]] = {
    "from": "2026-04-01T00:00:00Z",
    "until": "2026-04-15T12:00:00Z",
    "close": "2026-04-01T00:00:00Z",
    "customers": 1,
    "changes": [
        {"month": "2026-03", "measure": "events", "key": None, "change": "1"},
        {"month": "2026-03", "measure": "revenue", "key": "USD", "change": "7.50"},
    ],
    "identity": "current",
    "complete": True,
}

_CSAT_FINGERPRINT: Final = "6dfc3da50059117c"

DEAD_LETTERS: Final[dict[str, Any]] = {
    "items": [
        {
            "fingerprint": _CSAT_FINGERPRINT,
            "reason": "invalid_field",
            "type": "survey.answered.v1",
            "error": "invalid_field (survey.answered.v# at data.csat): Input should be less than or equal to #",
            "count": 212,
            "open": 180,
            "first_seen_at": "2026-03-09T08:00:00Z",
            "last_seen_at": "2026-03-09T17:05:12.481Z",
            "last": {"topic": "touchpoints", "partition": 2, "offset": 18211},
        }
    ],
    "next_cursor": None,
}

DEAD_LETTER: Final[dict[str, Any]] = {
    "topic": "touchpoints",
    "partition": 2,
    "offset": 18211,
    "recorded_at": "2026-03-09T17:05:12.481Z",
    "reason": "invalid_field",
    "type": "survey.answered.v1",
    "error": "invalid_field (survey.answered.v1 at data.csat): Input should be less than or equal to 5",
    "fingerprint": _CSAT_FINGERPRINT,
    "state": "open",
    "decision": None,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "size_bytes": 241,
}
