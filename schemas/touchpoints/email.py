"""Email: what we sent, and what the recipient did with it."""

from __future__ import annotations

from typing import Annotated

from customer_timeline.schemas.touchpoint import CustomerTouchpoint
from customer_timeline.schemas.values import LongText, Personal, ShortText, Token, Url

MessageId = Token


class EmailSent(CustomerTouchpoint):
    """We sent a mail to the customer."""

    type_name = "email.sent.v1"
    who = "company"
    example = {
        "identifiers": [{"kind": "email", "value": "ann@example.com"}],
        "channel": "email",
        "message_id": "m-2026-0001",
        "subject": "Your order has been shipped",
        "campaign": {"id": "spring-2026", "medium": "newsletter"},
    }

    message_id: MessageId
    subject: Annotated[ShortText | None, Personal()] = None


class EmailOpened(CustomerTouchpoint):
    """The mail's picture was fetched. No sign of life: mail programs fetch pictures that nobody looks at."""

    type_name = "email.opened.v1"
    who = "customer"
    example = {
        "identifiers": [{"kind": "email", "value": "ann@example.com"}],
        "channel": "email",
        "message_id": "m-2026-0001",
    }

    message_id: MessageId


class EmailClicked(CustomerTouchpoint):
    """The customer followed a link in the mail (set `automated` for link scanners)."""

    type_name = "email.clicked.v1"
    who = "customer"
    life = True
    example = {
        "identifiers": [{"kind": "email", "value": "ann@example.com"}],
        "channel": "email",
        "message_id": "m-2026-0001",
        "url": "https://shop.example.com/spring",
    }

    message_id: MessageId
    url: Annotated[Url | None, Personal()] = None


class EmailReplied(CustomerTouchpoint):
    """The customer answered the mail."""

    type_name = "email.replied.v1"
    who = "customer"
    life = True
    example = {
        "identifiers": [{"kind": "email", "value": "ann@example.com"}],
        "channel": "email",
        "message_id": "m-2026-0002",
        "in_reply_to": "m-2026-0001",
        "text": "When will it arrive?",
    }

    message_id: MessageId
    text: Annotated[LongText | None, Personal()] = None
    in_reply_to: MessageId | None = None
