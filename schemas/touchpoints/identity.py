"""Identity: what operators decide about identifiers."""

from __future__ import annotations

from customer_timeline.schemas.touchpoint import IdentityDecision


class IdentityLinked(IdentityDecision):
    """An operator decided that two identifiers mean one customer, whatever the events say."""

    type_name = "identity.linked.v1"
    who = "system"
    example = {
        "a": {"kind": "member_id", "value": "M-4711"},
        "b": {"kind": "phone", "value": "+1 202 555 0143"},
        "reason": "Confirmed on the phone.",
        "operator": "agent-7",
    }


class IdentityUnlinked(IdentityDecision):
    """An operator decided that two identifiers never mean one customer, until a later decision links them."""

    type_name = "identity.unlinked.v1"
    who = "system"
    example = {
        "a": {"kind": "member_id", "value": "M-4711"},
        "b": {"kind": "email", "value": "office@example.com"},
        "reason": "The mailbox of a whole office.",
        "operator": "agent-7",
    }
