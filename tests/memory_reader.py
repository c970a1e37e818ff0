"""The second implementation of the reader's protocol: over the views of a test, in plain loops."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection

from view_links import component, review_page
from view_rows import PROJECTION, VERSION, Landed, Views

from customer_timeline.projections.component import Component
from customer_timeline.projections.dead_letters import (
    DeadLetter,
    DeadLetterFilter,
    DeadLetterGroup,
    DeadLetterGroupKey,
    DeadLetterGroups,
    DeadLetterPage,
    DeadLetterPlace,
    DeadLetterSummary,
    StoredDeadLetters,
    without_numbers,
)
from customer_timeline.projections.identity_reading import PlacedEvent, StoredEvent
from customer_timeline.projections.identity_review import ReviewFilter, ReviewKey, ReviewPage
from customer_timeline.projections.lifecycle import Stage, entry_at, next_change_us
from customer_timeline.projections.progress import DeadPosition, Progress
from customer_timeline.projections.reading import (
    CustomerFilter,
    CustomerKey,
    CustomerPage,
    CustomerRecord,
    CustomerRow,
    EventAt,
    Member,
    ReaderHealth,
    StagesBeingAssessedError,
    TimelineFilter,
    TimelineKey,
    TimelinePage,
    TimelineRow,
    ViewsOutOfDateError,
)
from customer_timeline.schemas.decoded import DecodedEvent, to_micros
from customer_timeline.schemas.position_token import EventPosition


class MemoryReader:
    """A `TimelineReader` over `Views` as they are at each call."""

    def __init__(self, views: Views, *, projection_version: str | None = VERSION) -> None:
        self._views = views
        self._expected = projection_version

    async def customer(self, identifier_id: str) -> CustomerRecord | None:
        customer_id = self._customer_of(identifier_id)
        if customer_id is None:
            return None
        members = sorted(self._views.members[customer_id], key=_seen_order)
        return CustomerRecord(customer_id, tuple(members), self._views.facts.get(customer_id))

    async def timeline(
        self, identifier_id: str, wanted: TimelineFilter, *, limit: int, before: TimelineKey | None = None
    ) -> TimelinePage | None:
        customer_id = self._customer_of(identifier_id)
        if customer_id is None:
            return None
        ids = {m.identifier_id for m in self._views.members[customer_id]}
        rows = sorted(
            (
                _row(landed)
                for landed in self._views.events
                if landed.event.listed and self._theirs(landed.event, ids) and _matches(landed, wanted)
            ),
            key=lambda row: row.key,
            reverse=True,
        )
        rows = [row for row in rows if before is None or row.key < before]
        return TimelinePage(tuple(rows[:limit]), more=len(rows) > limit)

    async def events_at(self, identifier_id: str, instants_us: Collection[int]) -> tuple[EventAt, ...]:
        customer_id = self._customer_of(identifier_id)
        ids = {m.identifier_id for m in self._views.members.get(customer_id or "", ())}
        return tuple(
            sorted(
                EventAt(e.occurred_us, e.event_id, e.type, e.sign_of_life)
                for e in (landed.event for landed in self._views.events)
                if e.listed and e.occurred_us in instants_us and self._theirs(e, ids)
            )
        )

    async def identity(self, identifier_id: str) -> Component | None:
        self._customer_of(identifier_id)  # refuses another version
        return component(self._views, identifier_id)

    async def identity_review(self, wanted: ReviewFilter, *, limit: int, after: ReviewKey | None = None) -> ReviewPage:
        if self._views.members:
            self._customer_of(next(iter(self._views.members)))  # refuses another version
        return review_page(self._views, wanted, limit, after)

    async def events_of(self, identifier_ids: Collection[str], *, limit: int) -> tuple[StoredEvent, ...] | None:
        found = tuple(
            StoredEvent(landed.event.value.decode(), to_micros(landed.event.recorded_at))
            for landed in self._views.events
            if landed.event.listed and self._theirs(landed.event, set(identifier_ids))
        )
        return found if len(found) <= limit else None

    async def customers(
        self,
        wanted: CustomerFilter,
        *,
        rules: str,
        at_us: int,
        limit: int,
        after: CustomerKey | None = None,
    ) -> CustomerPage:
        found, counts = [], Counter[Stage]()
        for customer_id in self._views.facts:
            self._customer_of(customer_id)  # refuses another version
            row = self._listed(customer_id, at_us)
            if row is not None and wanted.flag in (None, *row.flags):
                counts[row.stage] += 1
                if wanted.stage in (None, row.stage):
                    found.append(row)
        left = sum(PROJECTION.decode(facts).activity["events"] > 0 for facts in self._views.facts.values())
        if left and self._views.rules.version != rules:
            raise StagesBeingAssessedError(left)

        def place(key: CustomerKey) -> tuple[int, str]:
            return (-key.value_us if wanted.order.startswith("-") else key.value_us, key.customer_id)

        found.sort(key=lambda row: place(row.key(wanted.order)))
        found = [row for row in found if after is None or place(row.key(wanted.order)) > place(after)]
        return CustomerPage(tuple(found[:limit]), more=len(found) > limit, counts=counts)

    def _listed(self, customer_id: str, at_us: int) -> CustomerRow | None:
        schedule = self._views.schedule(customer_id)
        entry = entry_at(schedule, at_us)
        if entry is None:
            return None
        columns = PROJECTION.columns(PROJECTION.decode(self._views.facts[customer_id]))
        assert columns.first_event_us is not None
        assert columns.last_event_us is not None
        return CustomerRow(
            customer_id,
            entry.stage,
            entry.flags,
            entry.from_us,
            next_change_us(schedule, at_us),
            columns.events,
            columns.purchases,
            columns.first_event_us,
            columns.last_event_us,
            columns.last_sign_of_life_us,
        )

    async def dead_letter_groups(
        self, wanted: DeadLetterFilter, *, limit: int, after: DeadLetterGroupKey | None = None
    ) -> DeadLetterGroups:
        groups: dict[str, list[DeadLetterSummary]] = {}
        for summary in sorted(self._letters(wanted), key=_letter_order):
            groups.setdefault(summary.fingerprint, []).append(summary)
        found = [
            DeadLetterGroup(
                named,
                same[0].reason,
                same[0].type,
                without_numbers(same[0].error),
                len(same),
                sum(one.state == "open" for one in same),
                same[0].recorded_us,
                same[-1].recorded_us,
                DeadLetterPlace(*same[-1][:3]),
            )
            for named, same in groups.items()
        ]
        found = sorted((group for group in found if after is None or group.key < after), key=_group_order, reverse=True)
        return DeadLetterGroups(tuple(found[:limit]), more=len(found) > limit)

    async def dead_letters(
        self, wanted: DeadLetterFilter, *, limit: int, after: DeadLetterPlace | None = None
    ) -> DeadLetterPage:
        found = sorted(self._letters(wanted), key=_letter_order, reverse=True)
        if after is not None:
            end = await self.dead_letter(*after)
            found = [one for one in found if end and _letter_order(one) < _letter_order(end.summary)]
        return DeadLetterPage(tuple(found[:limit]), more=len(found) > limit)

    async def stored_dead_letters(self) -> StoredDeadLetters:
        reasons = Counter(letter.summary.reason for letter in self._views.letters if letter.summary.state == "open")
        oldest = min((letter.summary.recorded_us for letter in self._views.letters), default=None)
        return StoredDeadLetters(dict(reasons), 8192, oldest_us=oldest)

    async def stored_revision(self, event_id: str) -> int | None:
        return max((e.event.revision for e in self._views.events if e.event.event_id == event_id), default=None)

    async def stored_event(self, event_id: str) -> PlacedEvent | None:
        found = next((e for e in self._views.events if e.event.event_id == event_id), None)
        if found is None:
            return None
        event = found.event
        return PlacedEvent(event.value.decode(), to_micros(event.recorded_at), found.partition, found.offset)

    async def applied_operation(self, operation_id: str) -> bool:
        return False

    async def owner_of(self, thing_id: str) -> str | None:
        things = {thing.thing_id: thing for thing in self._views.things}
        found = things.get(thing_id)
        for _ in range(5):
            if found is None or found.owner_id is not None:
                break
            found = things.get(found.via_thing_id or "")
        return self._customer_of(found.owner_id) if found and found.owner_id else None

    def _letters(self, wanted: DeadLetterFilter) -> list[DeadLetterSummary]:
        return [
            one
            for one in (letter.summary for letter in self._views.letters)
            if wanted.reason in (None, one.reason)
            and (wanted.type is None or wanted.type in (one.type, (one.type or "").rpartition(".v")[0]))
            and (wanted.since_us is None or one.recorded_us >= wanted.since_us)
            and (wanted.until_us is None or one.recorded_us < wanted.until_us)
            and wanted.fingerprint in (None, one.fingerprint)
            and (one.state == wanted.state if wanted.state else one.state != "healed")
        ]

    async def dead_letter(self, topic: str, partition: int, offset: int) -> DeadLetter | None:
        wanted = (topic, partition, offset)
        return next((letter for letter in self._views.letters if letter.summary[:3] == wanted), None)

    async def progress(self, topic: str) -> Progress:
        applied = {part: found for (name, part), found in self._views.progress.items() if name == topic}
        if applied:
            self._refuse_other_version()
        return applied

    async def dead_positions(self, topic: str, positions: Collection[EventPosition]) -> tuple[DeadPosition, ...]:
        found = (letter.summary for letter in self._views.letters)
        dead = (DeadPosition(s.partition, s.offset, s.reason) for s in found if s.topic == topic)
        return tuple(sorted(one for one in dead if one[:2] in positions))

    async def health(self) -> ReaderHealth:
        return ReaderHealth(self._views.version, self._expected)

    async def aclose(self) -> None:
        pass

    def _customer_of(self, identifier_id: str) -> str | None:
        found = (c for c, ms in self._views.members.items() if identifier_id in {m.identifier_id for m in ms})
        customer_id = next(found, None)
        if customer_id is not None:
            self._refuse_other_version()
        return customer_id

    def _refuse_other_version(self) -> None:
        found, expected = self._views.version, self._expected
        if found and expected and found != expected:
            raise ViewsOutOfDateError(found=found, expected=expected)

    def _theirs(self, event: DecodedEvent, ids: set[str]) -> bool:
        anchor, things = event.anchor_id, {t.thing_id: t for t in self._views.things}
        for _ in range(6):
            thing = things.get(anchor or "")
            if thing is None:
                return anchor in ids
            anchor = thing.owner_id or thing.via_thing_id
        return anchor in ids


def _letter_order(summary: DeadLetterSummary) -> tuple[int, str, int, int]:
    return (summary.recorded_us, summary.topic, summary.partition, summary.offset)


def _group_order(group: DeadLetterGroup) -> DeadLetterGroupKey:
    return group.key


def _seen_order(member: Member) -> tuple[bool, int, str]:
    return (member.first_seen_us is None, member.first_seen_us or 0, member.identifier_id)


def _matches(landed: Landed, wanted: TimelineFilter) -> bool:
    e = landed.event
    return (
        (wanted.type is None or e.type == wanted.type or e.type.rpartition(".v")[0] == wanted.type)
        and wanted.channel in (None, e.channel)
        and (wanted.from_us is None or e.occurred_us >= wanted.from_us)
        and (wanted.until_us is None or e.occurred_us < wanted.until_us)
    )


def _row(landed: Landed) -> TimelineRow:
    e = landed.event
    quality = json.dumps([note._asdict() for note in e.data_quality]) if e.data_quality else None
    return TimelineRow(
        e.event_id, e.occurred_us, to_micros(e.recorded_at), landed.partition, landed.offset, quality, e.value.decode()
    )
