"""Knowledge: articles that solve problems, and which of them did."""

from __future__ import annotations

from customer_timeline.schemas.touchpoint import CompanyTouchpoint, CustomerTouchpoint
from customer_timeline.schemas.values import Flag, ShortText, ShortTexts, ThingId, Token


class Article(CompanyTouchpoint):
    """Names the article."""

    who = "company"

    article_id: Token


class ArticlePublished(Article):
    """An article may be used from now on."""

    type_name = "article.published.v1"
    example = {"article_id": "kb-12", "title": "A parcel is late", "themes": ["late delivery"]}

    title: ShortText
    themes: ShortTexts | None = None


class ArticleRetired(Article):
    """The article is no longer to be used."""

    type_name = "article.retired.v1"
    example = {"article_id": "kb-12"}


class KnowledgeApplied(CustomerTouchpoint):
    """An article was used on a case; `helpful` says whether it solved the problem."""

    type_name = "knowledge.applied.v1"
    who = "company"
    example = {"channel": "phone", "case_id": "desk:501", "article_id": "kb-12", "helpful": True}

    case_id: ThingId
    article_id: Token
    helpful: Flag | None = None
