"""Identity under locks: which customers a batch touches, who they are afterwards, and what their rows become.

The lock protocol of ADR 0005, step by step: *claim* identifiers nobody named yet; then, under a savepoint, *resolve*
identifiers to customers, *lock* all of them in one statement in id order, and *check* in new statements that the
locked rows are still the ones; where they are not, go back to the savepoint, which frees the row locks, and start
again with what was learnt. Only then are links, sightings and customers written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from customer_timeline.projections.evidence import Evidence
from customer_timeline.projections.identity import Pair, glues, is_shared
from customer_timeline.projections.journal import FencedError
from customer_timeline.projections.postgres.copy_text import instant_array, optional_uuid_array, text_array, uuid_array
from customer_timeline.projections.postgres.identity_decision import (
    Decider,
    Groups,
    Locked,
    Retry,
    Settlement,
    as_locked,
)
from customer_timeline.projections.postgres.identity_graph import GraphReader, members_of
from customer_timeline.projections.postgres.identity_links import LinkChange, LinkStore
from customer_timeline.projections.postgres.identity_work import (
    IdentityMemory,
    IdentityWork,
    Known,
    first_sighting,
    gather,
)
from customer_timeline.projections.postgres.thing_store import Ownership
from customer_timeline.projections.postgres.timeline_store import Stored, TimelineStore
from customer_timeline.projections.sweeping import as_standing
from customer_timeline.schemas.decoded import DecodedEvent, from_micros, to_micros
from customer_timeline.schemas.identity_policy import IdentityPolicy

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812


class IdentityStore:
    """Settles the identity of a batch; see `Settlement`. Lives as long as one connection."""

    def __init__(
        self,
        cursor: Cursor,
        sql: Mapping[str, str],
        policy: IdentityPolicy,
        timeline: TimelineStore,
        memory: IdentityMemory,
        observe: Callable[[str], None],
    ) -> None:
        self._cursor = cursor
        self._sql = sql
        self._policy = policy
        self._timeline = timeline
        self._memory = memory
        self._observe = observe
        self._links = LinkStore(cursor, sql)
        self._graphs = GraphReader(self._links, policy, self._read_identifiers, self._read_members)

    def settle(self, stored: Stored, ownership: Ownership) -> Settlement:
        """Claim, lock, check, decide. Afterwards the links, identifiers and decisions of the batch are written."""
        work = gather(stored, ownership, self._memory)
        claimed = self._claim(work)
        self._observe("claimed")
        also: set[str] = set()
        while True:
            self._cursor.execute("SAVEPOINT identity")
            attempt = Attempt(self, work, claimed)
            try:
                settlement = attempt.run(also)
            except Retry as retry:
                self._cursor.execute("ROLLBACK TO SAVEPOINT identity")
                also |= retry.customers
                self._memory.forget(retry.stale)
                work = gather(stored, ownership, self._memory)
                continue
            self._cursor.execute("RELEASE SAVEPOINT identity")
            return settlement

    def _claim(self, work: IdentityWork) -> dict[str, Known]:
        """Insert identifiers that nobody has named; returns those that are ours. Before any customer is locked."""
        unknown = [i for i in work.named if i not in self._memory.identifiers]
        if not unknown:
            return {}
        guess = _guessed_customers(unknown, work)
        sightings = [work.sightings.get(i) for i in unknown]
        self._cursor.execute(
            self._sql["claim_identifiers"],
            {
                "identifier_id": uuid_array(unknown),
                "kind": text_array([work.named[i].kind for i in unknown]),
                "value": text_array([work.named[i].value for i in unknown]),
                "customer_id": uuid_array(guess[i] for i in unknown),
                "first_seen_at": instant_array([from_micros(s[0]) if s else None for s in sightings]),
                "first_event_id": optional_uuid_array([s[1] if s else None for s in sightings]),
            },
        )
        mine = {row[0] for row in self._cursor.fetchall()}
        return {
            i: Known(work.named[i].kind, guess[i], s[0] if s else None, s[1] if s else None, False)
            for i, s in zip(unknown, sightings, strict=True)
            if i in mine
        }

    def _read_identifiers(self, identifier_ids: Iterable[str], query: str = "read_identifiers") -> dict[str, Known]:
        ids = list(identifier_ids)
        if not ids:
            return {}
        self._cursor.execute(self._sql[query], {"ids": uuid_array(ids)})
        return {row[0]: Known(row[1], row[2], row[3], row[4], row[5]) for row in self._cursor.fetchall()}

    def _read_members(self, customer_ids: Iterable[str]) -> dict[str, Known]:
        return self._read_identifiers(customer_ids, "members")


class Attempt:
    """One try at locking what a batch concerns. Raises `Retry` where more must be locked."""

    def __init__(self, store: IdentityStore, work: IdentityWork, claimed: Mapping[str, Known]) -> None:
        self.cursor = store._cursor
        self.sql = store._sql
        self.policy = store._policy
        self.memory = store._memory
        self.links = store._links
        self.graphs = store._graphs
        self.timeline = store._timeline
        self.read = store._read_identifiers
        self.read_members = store._read_members
        self.observe = store._observe
        self.work = work
        self.claimed = dict(claimed)
        self.known: dict[str, Known] = {}
        self.rows: dict[str, Locked] = {}
        self.renamed: set[str] = set()
        self.newly_shared: set[str] = set()

    def run(self, also: set[str]) -> Settlement:
        """Lock, check, write links, and decide who is who."""
        wanted = self._wanted()
        self._lock_and_check(wanted, also)
        self.observe("locked")
        self._check_elsewhere(wanted)
        self._lower_sightings()
        changes = self._write_links()
        self._mark_shared(changes)
        self.links.decide(self.work.decisions, self.work.decisions_gone)
        return self._decide(changes)

    # -- lock ---------------------------------------------------------------------------------------------------------

    def _wanted(self) -> set[str]:
        """Existing identifiers whose customers must be locked."""
        work, memory = self.work, self.memory.identifiers
        wanted = work.touched | work.holders | work.sightings.keys() | work.must_decide | work.named.keys()
        for pair in work.evidence:
            for end in pair:
                known = memory.get(end)
                if known is None or not known.shared:
                    wanted.add(end)
        return wanted - self.claimed.keys()

    def _lock_and_check(self, wanted: set[str], also: set[str]) -> None:
        memory = self.memory
        remembered = {i: known for i in wanted if (known := memory.identifiers.get(i)) is not None}
        unknown = wanted - remembered.keys()
        looked_up = self.read(unknown)
        customers = (
            {known.customer_id for known in remembered.values()} | {k.customer_id for k in looked_up.values()} | also
        )
        if customers:
            self.cursor.execute(self.sql["lock_customers"], {"ids": uuid_array(customers)})
            self.rows = {row[0]: as_locked((*row[:6], as_standing(row[7:]), row[6])) for row in self.cursor.fetchall()}
        # A new statement: what stood when the locks were taken, not when the look-up began.
        current = self.read(unknown)
        stale = [i for i, known in remembered.items() if self._gen_of(known) != known.gen]
        fresh = self.read(stale)
        needed = {known.customer_id for known in (*current.values(), *fresh.values())}
        if len(current) < len(unknown):
            # Identifiers are never deleted one by one: the tables were emptied under this worker.
            raise FencedError("The tables were emptied while the worker ran; nothing was written.")
        if stale or needed - self.rows.keys():
            raise Retry(needed, stale)
        self.known = {**remembered, **current}

    def _gen_of(self, known: Known) -> int | None:
        row = self.rows.get(known.customer_id)
        return row.gen if row else None

    def _check_elsewhere(self, wanted: set[str]) -> None:
        """Identifiers with no news whose customer is not locked: hold their sighting, and look whether it still says
        so.
        """
        memory = self.memory
        loose = []
        for identifier_id in self.work.seen_elsewhere:
            if identifier_id in self.known or identifier_id in self.claimed:
                continue
            known = memory.identifiers[identifier_id]
            if self._gen_of(known) != known.gen:
                loose.append(identifier_id)
        if not loose:
            return
        held = self.read(loose, "share_identifiers")
        moved = [
            i for i, known in held.items() if known[2:5] != memory.identifiers[i][2:5]
        ]  # first sighting or sharing changed under us
        if moved:
            raise Retry({held[i].customer_id for i in moved if not held[i].shared}, moved)

    # -- write --------------------------------------------------------------------------------------------------------

    def _lower_sightings(self) -> None:
        news = [i for i, at in self.work.sightings.items() if i in self.known and not self.known[i].seen_by(*at)]
        # What is remembered is only an upper bound: another worker may have lowered it under the same gen.
        self.known.update(self.read(news))
        self._write_sightings({i: at for i in news if not self.known[i].seen_by(*(at := self.work.sightings[i]))})

    def _write_sightings(self, sightings: Mapping[str, tuple[int, str] | None]) -> None:
        if not sightings:
            return
        self.cursor.execute(
            self.sql["write_sightings"],
            {
                "identifier_id": uuid_array(sightings),
                "first_seen_at": instant_array([from_micros(s[0]) if s else None for s in sightings.values()]),
                "first_event_id": optional_uuid_array([s[1] if s else None for s in sightings.values()]),
            },
        )
        for identifier_id, sighting in sightings.items():
            first_us, first_event_id = sighting or (None, None)
            source = self.claimed if identifier_id in self.claimed else self.known
            source[identifier_id] = source[identifier_id]._replace(first_us=first_us, first_event_id=first_event_id)
            self.renamed.add(identifier_id)

    def _write_links(self) -> list[LinkChange]:
        work = self.work
        changes = self.links.add(work.evidence, work.pairs_lost, set(self.claimed))
        if work.withdrawn:
            changes.extend(self._exchange())
        refused: dict[Pair, str | None] = {}
        for change in changes:
            if change.after and not change.before:
                reason = self._glue_refusal(change.pair)
                if reason:
                    refused[change.pair] = reason
        self.links.refuse(refused, {})
        return changes

    def _glue_refusal(self, pair: Pair) -> str | None:
        members = members_of({end: self._about(end) for end in pair})
        reasons = [glues(members[end], self.policy) for end in pair]
        return next((reason for reason in sorted(filter(None, reasons))), None)

    def _about(self, identifier_id: str) -> Known:
        known = self.claimed.get(identifier_id) or self.known.get(identifier_id)
        return known or self.memory.identifiers[identifier_id]

    def _exchange(self) -> list[LinkChange]:
        """Sightings and evidence where records were replaced.

        What stands comes from one of the replaced events only where it names that event. Elsewhere the record that
        counts now is one more, and the history, which may be long, is not read.
        """
        work = self.work
        ids = sorted(work.withdrawn)
        self.cursor.execute(self.sql["hold_identifiers"], {"ids": uuid_array(ids)})
        stood, evidence_stood = self.read(ids), self.links.evidence_of(sorted(work.withdrawn_pairs))
        replaced = {event.event_id for event in work.replacements}
        lost = {i for i, known in stood.items() if known.first_event_id in replaced}
        lost_pairs = {pair for pair, kept in evidence_stood.items() if any(one.event_id in replaced for one in kept)}
        sightings = {i: None if i in lost else _sighting(stood[i]) for i in ids}
        evidence = {
            pair: [] if pair in lost_pairs else list(evidence_stood.get(pair, ())) for pair in work.withdrawn_pairs
        }
        _count_again((event for event in work.replacements if event.listed), sightings, evidence)
        if lost or lost_pairs:
            self.observe("looked_back")
            _count_again(self._events_naming(lost | {other for _, other in lost_pairs}), sightings, evidence)
        self._write_sightings(sightings)
        return self.links.replace(evidence_stood, evidence)

    def _events_naming(self, identifier_ids: Iterable[str]) -> Iterator[DecodedEvent]:
        ids = sorted(identifier_ids)
        self.cursor.execute(self.sql["anchors_of"], {"ids": uuid_array(ids)})
        anchors = {row[0] for row in self.cursor.fetchall()} | set(ids)
        self.cursor.execute(self.sql["events_naming"], {"ids": uuid_array(ids), "anchors": uuid_array(anchors)})
        return (self.timeline.decode_stored(value, recorded_at) for value, recorded_at in self.cursor.fetchall())

    def _mark_shared(self, changes: Iterable[LinkChange]) -> None:
        """Values now seen with too many stronger identifiers of one kind."""
        named: dict[str, int] = {}
        for change in changes:
            if not change.known:
                named[change.pair[1]] = named.get(change.pair[1], 0) + 1
        suspects = []
        for identifier_id, new_partners in named.items():
            about = self._about(identifier_id)
            policy = self.policy.of(about.kind)
            limit = policy.share_limit if policy else 0
            if not about.shared and (identifier_id not in self.claimed or new_partners > limit):
                suspects.append(identifier_id)
        if not suspects:
            return
        newly = [
            i
            for i, partners in self.links.partners(suspects).items()
            if is_shared(self._about(i).kind, partners, self.policy)
        ]
        if newly:
            self.cursor.execute(self.sql["mark_shared"], {"ids": uuid_array(newly)})
            for identifier_id in newly:
                source = self.claimed if identifier_id in self.claimed else self.known
                source[identifier_id] = self._about(identifier_id)._replace(shared=True)
            self.work.deciding.update(newly)
            self.newly_shared.update(newly)

    # -- decide -------------------------------------------------------------------------------------------------------

    def _decide(self, changes: Iterable[LinkChange]) -> Settlement:
        groups = Groups()
        for identifier_id in self.claimed:
            groups.add(identifier_id)
        slow: set[str] = {self.node_of(i) for i in self.work.must_decide if self._is_held(i)}
        for change in changes:
            nodes = [self.node_of(end) for end in change.pair if self._is_held(end)]
            if change.after and any(node in self.rows and self.rows[node].contested for node in nodes):
                slow.update(nodes)  # also where the link glues nobody: a decision may be about this very pair
            if len(nodes) < 2 or not change.after or self._glue_refusal(change.pair):
                continue
            if not change.before:
                groups.join(*nodes)
        return Decider(self, groups, slow).run()

    def _is_held(self, identifier_id: str) -> bool:
        return identifier_id in self.claimed or identifier_id in self.known

    def node_of(self, identifier_id: str) -> str:
        """A claimed identifier stands for itself; any other for its customer."""
        return identifier_id if identifier_id in self.claimed else self.known[identifier_id].customer_id


def _sighting(known: Known) -> tuple[int, str] | None:
    if known.first_us is None or known.first_event_id is None:
        return None
    return known.first_us, known.first_event_id


def _count_again(
    events: Iterable[DecodedEvent],
    sightings: dict[str, tuple[int, str] | None],
    evidence: Mapping[Pair, list[Evidence]],
) -> None:
    """Add what events say to the sightings and evidence that are asked for."""
    for event in events:
        sighting = (event.occurred_us, event.event_id)
        for identifier in event.identifiers:
            if identifier.identifier_id in sightings:
                known = sightings[identifier.identifier_id]
                sightings[identifier.identifier_id] = sighting if known is None else min(known, sighting)
            pair = (event.identifiers[0].identifier_id, identifier.identifier_id)
            if pair in evidence:
                evidence[pair].append(Evidence(*sighting, to_micros(event.recorded_at)))


def _guessed_customers(unknown: Iterable[str], work: IdentityWork) -> dict[str, str]:
    """Where new identifiers will most likely belong: with the new ones they came with. Put right under the locks."""
    groups = Groups()
    unknown = list(unknown)
    for identifier_id in unknown:
        groups.add(identifier_id)
    mine = set(unknown)
    for a, b in work.evidence:
        if a in mine and b in mine:
            groups.join(a, b)
    guess: dict[str, str] = {}
    for group in groups.all():
        least = min(group, key=lambda i: (first_sighting(work, i)[0], i))
        guess.update(dict.fromkeys(group, least))
    return guess
