"""Messages and chats: SMS and messengers in both directions, and conversations that ended."""

from __future__ import annotations

from typing import Annotated, Literal

from customer_timeline.schemas.touchpoint import CustomerTouchpoint
from customer_timeline.schemas.values import Count, LongText, Personal, Seconds, ShortText, Token


class Message(CustomerTouchpoint):
    """One message, by SMS or a messenger."""

    medium: Literal["sms", "wechat", "whatsapp", "weibo", "douyin", "instagram", "facebook", "other"]
    text: Annotated[LongText | None, Personal()] = None
    message_id: Token | None = None


class MessageReceived(Message):
    """The customer wrote to us."""

    type_name = "message.received.v1"
    who = "customer"
    life = True
    example = {
        "identifiers": [{"kind": "open_id:wechat", "value": "o6_bmjrPTlm6_2sgVt7hMZOPfL2M"}],
        "channel": "social",
        "platform": "wechat",
        "medium": "wechat",
        "text": "Do you have the lamp in red?",
        "message_id": "wx-90021",
        "conversation_id": "c-881",
    }


class MessageSent(Message):
    """We wrote to the customer; `automated` where nobody of us did."""

    type_name = "message.sent.v1"
    who = "company"
    example = {
        "identifiers": [{"kind": "phone", "value": "+1 202 555 0143"}],
        "channel": "sms",
        "medium": "sms",
        "text": "Your lamp is ready to be collected.",
        "automated": True,
    }


class ChatEnded(CustomerTouchpoint):
    """A chat with the customer is over; `messages` is how many there were on both sides."""

    type_name = "chat.ended.v1"
    who = "customer"
    life = True
    example = {
        "identifiers": [{"kind": "user_id", "value": "u-2207"}],
        "channel": "chat",
        "conversation_id": "c-902",
        "duration_s": 420,
        "messages": 14,
        "topic": "delivery",
        "summary": "Asked where the order is; told the day.",
        "result": "solved",
        "staff": {"id": "agent-3", "team": "chat"},
    }

    duration_s: Seconds | None = None
    messages: Count | None = None
    topic: ShortText | None = None
    summary: Annotated[LongText | None, Personal()] = None
    result: Annotated[ShortText | None, Personal()] = None
