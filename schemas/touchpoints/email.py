"""Email: what we sent, what became of it, and what the recipient did with it."""

from __future__ import annotations

from typing import Annotated

from customer_timeline.schemas.touchpoint import CustomerTouchpoint
from customer_timeline.schemas.values import LongText, Personal, ShortText, Token, Url

MessageId = Token


class Mail(CustomerTouchpoint):
    """Names the mail that it is about."""

    message_id: MessageId


class OurMail(Mail):
    """A mail from us, on its way."""

    subject: Annotated[ShortText | None, Personal()] = None


class EmailSent(OurMail):
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


class EmailDelivered(OurMail):
    """The recipient's mail server took the mail."""

    type_name = "email.delivered.v1"
    who = "system"
    example = {
        "identifiers": [{"kind": "email", "value": "ann@example.com"}],
        "channel": "email",
        "message_id": "m-2026-0001",
    }


class EmailBounced(OurMail):
    """The mail came back."""

    type_name = "email.bounced.v1"
    who = "system"
    example = {
        "identifiers": [{"kind": "email", "value": "ann@example.com"}],
        "channel": "email",
        "message_id": "m-2026-0003",
        "reason": "550 5.1.1 no such mailbox",
    }

    # Mail servers quote the address in what they say.
    reason: Annotated[LongText | None, Personal()] = None


class EmailOpened(Mail):
    """The mail's picture was fetched. No sign of life: mail programs fetch pictures that nobody looks at."""

    type_name = "email.opened.v1"
    who = "customer"
    example = {
        "identifiers": [{"kind": "email", "value": "ann@example.com"}],
        "channel": "email",
        "message_id": "m-2026-0001",
    }


class EmailClicked(Mail):
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

    url: Annotated[Url | None, Personal()] = None


class EmailReplied(Mail):
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

    text: Annotated[LongText | None, Personal()] = None
    in_reply_to: MessageId | None = None


class EmailUnsubscribed(Mail):
    """The customer wants no more of these mails. A contact, but no sign of life: leaving is not loyalty."""

    type_name = "email.unsubscribed.v1"
    who = "customer"
    example = {
        "identifiers": [{"kind": "email", "value": "ann@example.com"}],
        "channel": "email",
        "message_id": "m-2026-0001",
    }


class EmailMarkedSpam(Mail):
    """The customer marked the mail as spam."""

    type_name = "email.marked_spam.v1"
    who = "customer"
    example = {
        "identifiers": [{"kind": "email", "value": "ann@example.com"}],
        "channel": "email",
        "message_id": "m-2026-0001",
    }
