"""Social media: what customers say in public, and what we publish."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from customer_timeline.schemas.field_rules import at_least_one, required_without
from customer_timeline.schemas.touchpoint import CompanyTouchpoint, CustomerTouchpoint
from customer_timeline.schemas.values import LongText, Personal, ShortText, Token


class SocialTouchpoint(CustomerTouchpoint):
    """What a customer says on a platform, for all to read."""

    who = "customer"
    life = True

    platform: Annotated[Token, Field(description="Such as wechat, weibo, douyin, instagram.")]
    text: Annotated[LongText | None, Personal()] = None
    post_ref: Annotated[ShortText | None, Personal(), Field(description="Id or address of the post.")] = None
    sentiment: Literal["positive", "neutral", "negative"] | None = None


class SocialCommented(SocialTouchpoint):
    """The customer commented on a post."""

    type_name = "social.commented.v1"
    example = {
        "identifiers": [{"kind": "open_id:weibo", "value": "2803301701"}],
        "channel": "social",
        "platform": "weibo",
        "text": "Looks better than in the catalogue.",
        "post_ref": "weibo:4990011",
        "sentiment": "positive",
    }


class SocialPosted(SocialTouchpoint):
    """The customer published a post that concerns us."""

    type_name = "social.posted.v1"
    example = {
        "identifiers": [{"kind": "open_id:instagram", "value": "17841400008460056"}],
        "channel": "social",
        "platform": "instagram",
        "text": "My new desk lamp.",
        "post_ref": "instagram:C8xYz",
    }


class SocialMentioned(SocialTouchpoint):
    """The customer mentioned us."""

    type_name = "social.mentioned.v1"
    example = {
        "identifiers": [{"kind": "open_id:douyin", "value": "dy-55120"}],
        "channel": "social",
        "platform": "douyin",
        "sentiment": "negative",
    }


class ContentPublished(CompanyTouchpoint):
    """We published something. It needs a platform or a channel."""

    model_config = at_least_one("channel", "platform")

    type_name = "content.published.v1"
    who = "company"
    example = {
        "channel": "social",
        "platform": "wechat",
        "content_ref": "wechat:article-118",
        "title": "Light for dark days",
        "campaign": {"id": "spring-2026"},
    }

    platform: Annotated[
        Token | None,
        Field(validate_default=True, description="Required where no channel is given."),
        required_without("channel"),
    ] = None
    content_ref: ShortText
    title: ShortText | None = None
