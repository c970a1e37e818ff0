"""The shapes of the answers, for the OpenAPI document. The answers themselves are written as bytes by `api.answers`;
the tests hold the two together."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from customer_timeline.projections.alive import AliveParameters
from customer_timeline.projections.cuts import IdentityAt
from customer_timeline.projections.lifecycle import Flag, Stage

Amount = Annotated[str, Field(description="Exact decimal as text.", examples=["107.50"], pattern=r"^-?\d+(\.\d+)?$")]
Id = Annotated[str, Field(description="UUID, lower case.", examples=["0b8f6a52-3c9f-5a0e-9d0c-7e1d5b2f4a61"])]


class Shape(BaseModel):
    """Every member is always present, and there are no others."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class IdentifierView(Shape):
    """One identifier of the customer."""

    kind: str = Field(examples=["email"])
    value: str = Field(description="Normalised.", examples=["ann@example.com"])
    first_seen_at: AwareDatetime | None = Field(description="Null: only an operator's decision named it.")
    last_seen_at: AwareDatetime | None = Field(description="The latest event of this customer that names it.")


class TraitView(Shape):
    """A value of the profile and where it comes from."""

    value: Any
    occurred_at: AwareDatetime
    source: str = Field(examples=["https://crm.example.com"])
    event_id: Id


class ChannelActivityView(Shape):
    """Events of one channel by who acted."""

    inbound: int = Field(ge=0, description="The customer acted.")
    outbound: int = Field(ge=0, description="The company acted.")
    system: int = Field(ge=0, description="Neither.")
    last_at: AwareDatetime


class ActivityView(Shape):
    """How often, where and when the customer was in touch."""

    events: int = Field(ge=0)
    signs_of_life: int = Field(ge=0, description="What the customer did on purpose.")
    first_at: AwareDatetime | None
    last_at: AwareDatetime | None
    last_sign_of_life_at: AwareDatetime | None
    by_channel: dict[str, ChannelActivityView]
    by_type: dict[str, int] = Field(description="Keys without their version.", examples=[{"purchase.completed": 4}])
    by_month: dict[str, int] = Field(description="YYYY-MM in the business time zone.", examples=[{"2026-03": 2}])


class CurrencyView(Shape):
    """Sums of one currency; net = gross - refunds."""

    gross: Amount
    refunds: Amount
    net: Amount
    cost: Amount


class PurchasesView(Shape):
    """What the customer bought."""

    count: int = Field(ge=0)
    days: int = Field(ge=0, description="Days with a purchase, recurring charges left out.")
    first_at: AwareDatetime | None
    last_at: AwareDatetime | None
    by_currency: dict[str, CurrencyView] = Field(description="By ISO 4217 code.")
    median_gap_days: float | None = Field(description="Between purchase days; null below two of them.")


class CutView(Shape):
    """At which cut in two times an answer was given."""

    as_of: AwareDatetime | None = Field(description="What happened later does not count.")
    known_at: AwareDatetime | None = Field(description="What was recorded later does not count.")
    identity: IdentityAt = Field(description="Who is who: by the facts at the cut, or by all that is known today.")
    complete: bool | None = Field(
        description="Whether all that was recorded until `known_at` is applied by now; null without `known_at`."
    )


Cut = Annotated[CutView | None, Field(description="Null: the present, nothing left out.")]


class CustomerView(Shape):
    """A customer, now or at a cut."""

    customer_id: Id = Field(description="The id of the identifier that was seen first.")
    former_ids: list[Id] = Field(description="The ids of all other identifiers; each names this customer too.")
    identifiers: list[IdentifierView]
    profile: dict[str, TraitView]
    activity: ActivityView
    purchases: PurchasesView
    version: str = Field(
        description="Hash of the content; without a cut also the ETag.", examples=["5b1f3c0a9d7e4f6280b1c2d3e4f5a6b7"]
    )
    cut: Cut


class EvidenceView(Shape):
    """What stands behind a reason, by its part in it."""

    role: str = Field(examples=["sign_of_life"])
    at: AwareDatetime
    event_ids: list[Id] = Field(description="All events of that kind at that instant; usually one.")


class ReasonView(Shape):
    """Why the stage or a flag holds."""

    of: Literal["stage"] | Flag
    rule: str = Field(description="The rule that holds.", examples=["at_risk_silent"])
    inputs: dict[str, Any] = Field(description="What it looked at: `_at` instants, `_days` days, else counts.")
    events: list[EvidenceView]


class StagePeriodView(Shape):
    """An entry of the schedule."""

    stage: Stage
    flags: list[Flag] = Field(description="Conditions that hold meanwhile, whichever stage won; sorted.")
    from_: AwareDatetime = Field(alias="from", description="Included.")
    until: AwareDatetime | None = Field(description="Excluded; null: for ever, if nothing happens.")


class AliveView(Shape):
    """How likely it is that the customer still is one (BG/NBD), and what that was computed from."""

    p_alive: float = Field(ge=0, le=1)
    repeat_days: int = Field(ge=0, description="Purchase days after the first.")
    recency_days: int = Field(ge=0, description="From the first purchase day to the last.")
    age_days: int = Field(ge=0, description="From the first purchase day to today.")
    parameters: AliveParameters


class OpenCaseView(Shape):
    """A complaint that nobody has resolved."""

    case_id: str
    since: AwareDatetime


class ComplaintsView(Shape):
    """Complaints as cases."""

    open: int = Field(ge=0)
    opened_total: int = Field(ge=0)
    open_cases: list[OpenCaseView]


class ContractView(Shape):
    """What is known of a contract; null where no event said so."""

    contract_id: str
    signed_at: AwareDatetime | None
    starts_on: str | None = Field(examples=["2026-04-01"])
    ends_on: str | None = Field(examples=["2027-03-31"])
    ended_at: AwareDatetime | None = Field(description="Only where an event ended it.")


class AnswerView(Shape):
    """The last answer on one scale."""

    value: int
    at: AwareDatetime
    event_id: Id


class SatisfactionView(Shape):
    """What surveys said."""

    answers: int = Field(ge=0)
    csat: AnswerView | None
    nps: AnswerView | None


class LifecycleView(Shape):
    """Where a customer stands. Without an event `stage` is null and the lists are empty."""

    customer_id: Id
    stage: Stage | None
    flags: list[Flag]
    stage_since: AwareDatetime | None = Field(description="Since when the stage holds, whatever the flags.")
    since: AwareDatetime | None = Field(description="Since when stage and flags are these.")
    until: AwareDatetime | None = Field(description="When stage or flags change if nothing happens; null: never.")
    rule: str | None = Field(description="The rule of the stage.", examples=["at_risk_silent"])
    reasons: list[ReasonView] = Field(description="That of the stage first, then one for each flag.")
    history: list[StagePeriodView] = Field(description="Entries that began until now, oldest first.")
    schedule: list[StagePeriodView] = Field(description="Entries to come if nothing happens.")
    p_alive: AliveView | None = Field(description="Null before the first purchase day.")
    next_purchase_due_on: date | None = Field(
        description="The last purchase day and the median gap; null below two purchase days."
    )
    complaints: ComplaintsView
    contracts: list[ContractView]
    satisfaction: SatisfactionView
    rules_version: str = Field(description="Of the code and the thresholds.", examples=["1-5a9ad4d0"])
    at: AwareDatetime = Field(
        description="The instant that the answer is about: `as_of`, else `known_at`, else now; no part of the ETag."
    )
    cut: Cut


class ListedCustomer(Shape):
    """A customer in a list. Stage and flags are those of `at`, the rest is the present, or the cut."""

    customer_id: Id
    stage: Stage
    flags: list[Flag]
    since: AwareDatetime = Field(description="Since when stage and flags are these.")
    until: AwareDatetime | None = Field(description="When stage or flags change if nothing happens; null: never.")
    events: int = Field(ge=1)
    purchases: int = Field(ge=0)
    first_event_at: AwareDatetime
    last_event_at: AwareDatetime
    last_sign_of_life_at: AwareDatetime | None


class StageCounts(Shape):
    """How many customers have each stage."""

    prospect: int = Field(ge=0)
    new: int = Field(ge=0)
    active: int = Field(ge=0)
    loyal: int = Field(ge=0)
    at_risk: int = Field(ge=0)
    churned: int = Field(ge=0)
    won_back: int = Field(ge=0)


class CustomerListView(Shape):
    """A page of customers that have a stage."""

    items: list[ListedCustomer]
    count: int = Field(ge=0, description="Customers that the filters pass, on all pages.")
    counts: StageCounts = Field(description="The same for every stage, with the flag that was asked for.")
    at: AwareDatetime = Field(description="The instant that the list is about; all its pages are about the same.")
    next_cursor: str | None = Field(description="For the page after this one; null on the last.")
    cut: Cut


class FieldChangeView(Shape):
    """A field that differs."""

    field: str = Field(description="Dotted path into the view.", examples=["purchases.by_currency.USD.gross"])
    before: Any
    after: Any
    event_ids: list[Id] = Field(
        description="Events that alone would change it; all of the difference where none alone does."
    )


class DifferingEventView(Shape):
    """An event that only one side knows, or each side in another record."""

    event_id: Id
    type: str
    occurred_at: AwareDatetime
    recorded_at: AwareDatetime
    how: Literal["added", "removed", "corrected"]


class DifferenceView(Shape):
    """What changed of a customer between two instants of recording."""

    changes: list[FieldChangeView] = Field(description="By field; `lifecycle.stage` and `.flags` are those of `at`.")
    events: list[DifferingEventView] = Field(description="Oldest first.")
    as_of: AwareDatetime | None
    known_from: AwareDatetime
    known_to: AwareDatetime | None
    identity: IdentityAt
    complete: bool | None = Field(description="Whether all that was recorded until `known_to` is applied by now.")
    at: AwareDatetime = Field(description="The instant of stage and flags: `as_of`, else `known_to`, else now.")


class FigureChangeView(Shape):
    """By how much one figure of a closed month changed."""

    month: str = Field(description="In the business time zone.", examples=["2026-03"])
    measure: Literal["events", "revenue", "new_customers", "stage"] = Field(
        description="Revenue: gross less refunds. New customers: first purchase in the month. Stage: at its end."
    )
    key: str | None = Field(description="Currency of revenue, stage of a count by stage.", examples=["USD"])
    change: str = Field(description="Exact decimal as text; to be added to the figure that was reported.")


class LateEventsView(Shape):
    """What was recorded in a window and changed months that were closed."""

    from_: AwareDatetime = Field(alias="from", description="Included.")
    until: AwareDatetime = Field(description="Excluded.")
    close: AwareDatetime = Field(description="Months that ended by then are closed.")
    customers: int = Field(ge=0, description="Customers of whom something changed.")
    changes: list[FigureChangeView] = Field(description="By month, measure and key; what did not change is left out.")
    identity: IdentityAt
    complete: bool | None = Field(description="Whether all that was recorded in the window is applied by now.")


class PositionView(Shape):
    """Where the record of the event stands in the log."""

    partition: int = Field(ge=0)
    offset: int = Field(ge=0)


class TimelineItem(BaseModel):
    """The whole event as it was published (CloudEvents), and what the log and the timeline know about it."""

    model_config = ConfigDict(frozen=True, extra="allow")

    event_id: Id
    recorded_at: AwareDatetime
    position: PositionView | None = Field(
        description="Null at a `known_at` cut where another record stands for the event today."
    )
    data_quality: list[dict[str, Any]] | None = Field(description="Identifiers that were dropped, and why; no values.")
    id: str
    source: str
    type: str = Field(examples=["purchase.completed.v1"])
    time: AwareDatetime
    data: dict[str, Any]


class TimelineView(Shape):
    """A page of a customer's events, newest first by (time, event_id)."""

    items: list[TimelineItem]
    next_cursor: str | None = Field(description="For the page after this one; null on the last.")
    cut: Cut


class Problem(BaseModel):
    """RFC 9457. Further members may say more (`errors`, `reason`, `checks`)."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str = Field(examples=["urn:customer-timeline:problem:unknown-customer"])
    title: str
    status: int
    detail: str
    instance: str = Field(description="The request, by its X-Request-Id.")


class Alive(Shape):
    """The process answers."""

    status: Literal["alive"]


class Ready(Shape):
    """Everything that answers need is there."""

    status: Literal["ready"]
    checks: dict[str, dict[str, Any]]
    warnings: list[str] = Field(description="What somebody should look at; requests are answered all the same.")
