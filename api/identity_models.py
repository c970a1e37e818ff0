"""The shapes of the answers about identity, for the OpenAPI document; as `models` for the others."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from customer_timeline.api.models import Cut, Id, Shape
from customer_timeline.projections.identity_review import ReviewList

RefusalReason = Annotated[
    str,
    Field(
        pattern=r"^(shared|never_links|unlinked|separated|limit:.+)$",
        description=(
            "`shared`: a value of too many people. `never_links`: a kind that never links. `unlinked`: the pair was "
            "parted. `separated`: it would join a pair that was parted. `limit:<kind>`: more values of that kind than "
            "one customer may have."
        ),
        examples=["limit:member_id"],
    ),
]


class NamedIdentifier(Shape):
    """An identifier by its id and by what it says."""

    identifier_id: Id
    kind: str = Field(examples=["email"])
    value: str = Field(description="Normalised.", examples=["ann@example.com"])


class OwnedIdentifier(NamedIdentifier):
    """An identifier and its customer."""

    customer_id: Id


class IdentityMemberView(NamedIdentifier):
    """An identifier of the customer."""

    first_seen_at: AwareDatetime | None = Field(description="Null: only an operator's decision named it.")
    first_event_id: Id | None = Field(description="The event that named it first.")
    shared: bool = Field(description="Seen with too many others: its links join nobody.")


class LinkEvidenceView(Shape):
    """An event that names both."""

    event_id: Id
    occurred_at: AwareDatetime
    recorded_at: AwareDatetime
    source: str = Field(examples=["https://crm.example.com"])
    type: str = Field(examples=["purchase.completed.v1"])


class DecisionView(Shape):
    """What an operator said of two identifiers."""

    event_id: Id
    verdict: Literal["linked", "unlinked"]
    occurred_at: AwareDatetime
    recorded_at: AwareDatetime
    operator: str
    reason: str


class JudgedDecisionView(DecisionView):
    """A decision that names an identifier of the customer, and what became of it."""

    a: NamedIdentifier
    b: NamedIdentifier
    counts: bool = Field(description="False: a later decision about the same two counts instead.")
    refused: RefusalReason | None = Field(description="Why a link that was decided joins nobody.")


class RefusalView(Shape):
    """Why a link joins nobody, and what that is about (of each at most 20)."""

    reason: RefusalReason
    decisions: list[DecisionView] = Field(description="Those that part the two customers.")
    identifiers: list[NamedIdentifier] = Field(
        description="Those over the limit, shared, or of a kind that never links."
    )


class LinkView(Shape):
    """What ties two identifiers: events that name both, an operator's decision, or both of these."""

    a: NamedIdentifier
    b: NamedIdentifier
    evidence: list[LinkEvidenceView] = Field(
        description="The earliest events first; at most 10 of those that no other beats on both times."
    )
    evidence_left_out: int = Field(ge=0)
    decision: DecisionView | None = Field(description="The operator's link, where there is one.")
    refused: RefusalView | None = Field(description="Null: it joins the two.")


class LeftOutView(Shape):
    """How much of each list was left out."""

    identifiers: int = Field(ge=0)
    links: int = Field(ge=0)
    refused_links: int = Field(ge=0)
    decisions: int = Field(ge=0)
    uncounted_links: bool = Field(description="There are refused links beyond, which nobody counted.")


class IdentityView(Shape):
    """What makes these identifiers one customer."""

    customer_id: Id
    former_ids: list[Id]
    identifiers: list[IdentityMemberView] = Field(description="First seen first; at most 1,000.")
    links: list[LinkView] = Field(description="What joins them, the earliest first; at most 1,000.")
    refused_links: list[LinkView] = Field(description="What does not, of links to or among them; at most 200.")
    decisions: list[JudgedDecisionView] = Field(description="Every decision that names one of them; at most 200.")
    left_out: LeftOutView
    cut: Cut


class WhyLeftOutView(Shape):
    """How much of each list was left out."""

    chain: int = Field(ge=0)
    kept_apart_by: int = Field(ge=0)


class WhyView(Shape):
    """Why two identifiers are one customer, or what keeps them apart."""

    a: OwnedIdentifier
    b: OwnedIdentifier
    together: bool
    chain: list[LinkView] = Field(
        description=(
            "From `a` to `b`. Of one customer: the shortest chain that joins them. Of two: that with the fewest "
            "refused links, which say what keeps them apart; empty where nothing leads from the one to the other. "
            "The first 1,000 links."
        )
    )
    kept_apart_by: list[DecisionView] = Field(description="Decisions that part the two customers; at most 200.")
    left_out: WhyLeftOutView
    cut: Cut


class SharedValueItem(OwnedIdentifier):
    """A value that glues nobody."""

    named_with: int = Field(ge=0, le=1000, description="Stronger identifiers that events name with it.")
    named_with_more: bool = Field(description="There are more; they were not counted.")


class SkippedLinkItem(Shape):
    """A link that joins nobody because of a limit, or of a decision about two others."""

    a: NamedIdentifier
    b: NamedIdentifier
    reason: RefusalReason
    occurred_at: AwareDatetime
    event_id: Id = Field(description="The earliest event that names both.")


class LargeCustomerItem(Shape):
    """A customer of many identifiers."""

    customer_id: Id
    identifiers: int = Field(ge=1)


class IdentityChangeItem(Shape):
    """A customer that is now what others were: by a merge, a parting, or an older sighting."""

    customer_id: Id
    former_ids: list[Id]
    at: AwareDatetime = Field(description="When the log took in what made it so.")


class ReviewView(Shape):
    """A page of one list."""

    of: ReviewList
    items: list[SharedValueItem | SkippedLinkItem | LargeCustomerItem | IdentityChangeItem] = Field(
        description=(
            "By id; `recent_changes` newest first. A page of `large_customers` looks through 200,000 identifiers, so "
            "it may have few items and a next page all the same."
        )
    )
    next_cursor: str | None = Field(description="For the page after this one; null on the last.")
