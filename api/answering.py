"""From what was asked to what is answered, of every resource of customers. Called by routes and by the command line.

The same parameters give the same bytes either way, so there is one place that decides which reader is asked.
"""

from __future__ import annotations

from customer_timeline.api.answers import Answer, customer_answer, of_the_past, timeline_answer
from customer_timeline.api.config import ApiConfig
from customer_timeline.api.cursors import decode_cursor
from customer_timeline.api.differences import difference_answer
from customer_timeline.api.identity import ComponentReader, identity_answer, why_answer
from customer_timeline.api.late_report import closing_of, late_report_answer, late_report_csv
from customer_timeline.api.lifecycle import Assessment, lifecycle_answer
from customer_timeline.api.lists import list_answer, past_list_answer
from customer_timeline.api.parameters import (
    CutParameters,
    DifferenceParameters,
    LateEventParameters,
    ListParameters,
    TimelineParameters,
    WhyParameters,
)
from customer_timeline.api.past import PastCustomer, past_of
from customer_timeline.api.references import identifier_id_of
from customer_timeline.projections.cut_reading import CutReader
from customer_timeline.projections.cuts import Past
from customer_timeline.projections.reading import TimelineReader
from customer_timeline.schemas.errors import CustomerTimelineError


class UnknownCustomerError(CustomerTimelineError):
    """Nobody ever named the identifier, or nobody had by the cut, or the worker has not come to it yet."""

    def __init__(self, *, at_a_cut: bool) -> None:
        self.at_a_cut = at_a_cut
        super().__init__(
            "No event that this cut leaves names the identifier."
            if at_a_cut
            else "No event named this identifier, or none that was applied yet."
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (_unknown_customer, (self.at_a_cut,))


def _unknown_customer(at_a_cut: bool) -> UnknownCustomerError:
    return UnknownCustomerError(at_a_cut=at_a_cut)


class Answering:
    """What each resource answers: the present from the views, any other cut from the events.

    Raises what the readers raise, InvalidReferenceError, InvalidCursorError, and UnknownCustomerError.
    """

    def __init__(self, reader: TimelineReader, past_reader: CutReader, config: ApiConfig) -> None:
        self._reader = reader
        self._past_reader = past_reader
        self._config = config
        self._assessment = Assessment(config.projection, config.rules, config.alive)

    async def customers(self, given: ListParameters) -> Answer:
        """A page of a list of customers."""
        rules, now_us = self._config.rules.version, self._config.now_us()
        if not given.cuts:
            return await list_answer(self._reader, given, rules=rules, now_us=now_us)
        past = past_of(given, self._config.projection.calendar, "current")
        return await past_list_answer(self._past_reader, given, past, rules=rules, now_us=now_us)

    async def timeline(self, ref: str, given: TimelineParameters) -> Answer:
        """A page of a customer's events."""
        identifier_id, past = self._asked(ref, given)
        wanted = given.wanted()
        cut = None if past is None else past.past
        before = None if given.cursor is None else decode_cursor(given.cursor, wanted, cut)
        source = past or self._reader
        page = await source.timeline(identifier_id, wanted, limit=given.limit, before=before)
        if page is None:
            raise UnknownCustomerError(at_a_cut=past is not None)
        return await self._said(timeline_answer(page, wanted, cut), past)

    async def lifecycle(self, ref: str, given: CutParameters) -> Answer:
        """Where a customer stands."""
        identifier_id, past = self._asked(ref, given)
        now_us = self._config.now_us()
        at_us = now_us if past is None else past.past.cut.instant_us(now_us)
        answer = await lifecycle_answer(past or self._reader, identifier_id, self._assessment, at_us)
        if answer is None:
            raise UnknownCustomerError(at_a_cut=past is not None)
        return await self._said(answer, past)

    async def identity(self, ref: str, given: CutParameters) -> Answer:
        """What makes a customer's identifiers one customer."""
        identifier_id, past = self._asked(ref, given)
        answer = await identity_answer(self._identity_reader(past), identifier_id, self._config.identifiers.policy)
        if answer is None:
            raise UnknownCustomerError(at_a_cut=past is not None)
        return await self._said(answer, past)

    async def identity_why(self, ref: str, given: WhyParameters) -> Answer:
        """Why two identifiers are one customer. Raises UnknownIdentifierError, NotOfThisCustomerError."""
        identifier_id, past = self._asked(ref, given)
        a, b = (identifier_id_of(one, self._config.identifiers) for one in (given.a or ref, given.b))
        reader = self._identity_reader(past)
        return await self._said(await why_answer(reader, identifier_id, a, b, self._config.identifiers.policy), past)

    async def difference(self, ref: str, given: DifferenceParameters) -> Answer:
        """What changed of a customer between two instants of recording."""
        identifier_id = identifier_id_of(ref, self._config.identifiers)
        before, after = (Past(cut, given.identity) for cut in given.cuts(self._config.projection.calendar))
        now_us = self._config.now_us()
        answer = await difference_answer(self._past_reader, identifier_id, before, after, self._assessment, now_us)
        if answer is None:
            raise UnknownCustomerError(at_a_cut=True)
        return answer

    async def late_events(self, given: LateEventParameters) -> Answer:
        """What late events changed in closed months, as JSON or CSV."""
        calendar = self._config.projection.calendar
        closing = closing_of(given.from_, given.until, given.close, self._config.now_us(), calendar)
        answer = late_report_csv if given.format == "csv" else late_report_answer
        return await answer(self._past_reader, closing, self._assessment)

    async def customer(self, ref: str, given: CutParameters) -> Answer:
        """The view of a customer."""
        identifier_id, past = self._asked(ref, given)
        record = await (past or self._reader).customer(identifier_id)
        if record is None:
            raise UnknownCustomerError(at_a_cut=past is not None)
        return await self._said(customer_answer(record, self._config.projection), past)

    def _asked(self, ref: str, given: CutParameters) -> tuple[str, PastCustomer | None]:
        identifier_id = identifier_id_of(ref, self._config.identifiers)
        if not given.cuts:
            return identifier_id, None
        return identifier_id, PastCustomer(self._past_reader, past_of(given, self._config.projection.calendar, "cut"))

    def _identity_reader(self, past: PastCustomer | None) -> ComponentReader:
        """Where components are read: at the cut, or as they are known today."""
        return past if past is not None and past.past.who == "cut" else self._reader

    async def _said(self, answer: Answer, past: PastCustomer | None) -> Answer:
        return answer if past is None else of_the_past(answer, past.past, await past.complete())
