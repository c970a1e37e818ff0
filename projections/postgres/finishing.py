"""The last step of filling a set: customers get the facts that waited for them by anchor (see `deferral`).

Interrupted at any point it starts over, from what waits: until the end nothing of that is taken away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from customer_timeline.projections.customer import CustomerFacts, CustomerProjection
from customer_timeline.projections.journal import TransientStorageError
from customer_timeline.projections.postgres.customer_store import CustomerStore
from customer_timeline.projections.postgres.identity_decision import CustomerPlan
from customer_timeline.projections.postgres.partial_store import PartialStore
from customer_timeline.projections.postgres.sql import named_queries
from customer_timeline.projections.postgres.timeline_store import TimelineStore
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.codec import Codec

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

_CHUNK: Final = 2_000
_FETCH: Final = 5_000
_IDS: Final = 1 << 128  # ids are spread evenly over all of them


class Gate:
    """Keeps every `Finishing.write` waiting, in whatever process, until it is opened: so processes can be there, with
    their code loaded, before there is something to do. It opens by itself when its connection ends, thus `open` must be
    asked whether it was shut until then.
    """

    def __init__(self, connection: Connection, sql: Mapping[str, str]) -> None:
        self._cursor = connection.cursor()
        self._sql = sql
        self._cursor.execute(sql["shut"])

    def open(self) -> None:
        """Let them begin. Raises psycopg2.Error, or TransientStorageError, where they may have begun before."""
        self._cursor.execute(self._sql["open"])
        if self._cursor.fetchone() != (True,):
            raise TransientStorageError("Postgres has forgotten who puts the customers of the rebuild together.")


class Finishing:
    """`prepare`, then `write` for every share, by as many processes as there are cores, then `end`.

    `connect` opens connections to the set; no worker may write to it meanwhile.
    """

    def __init__(
        self, connect: Callable[[], Connection], codec: Codec, projection: CustomerProjection, rules: StageRules
    ) -> None:
        self._connect = connect
        self._codec = codec
        self._projection = projection
        self._rules = rules
        self._sql = named_queries("filling.sql")

    def waits(self) -> bool:
        """Whether facts wait in this set."""
        with closing(self._connect()) as connection, connection, connection.cursor() as cursor:
            cursor.execute(self._sql["has_tables"])
            return bool(cursor.fetchone() == (True,))

    @contextmanager
    def shut(self) -> Iterator[Gate]:
        """A gate that is shut, for as long as the block."""
        with closing(self._connect()) as connection:
            connection.autocommit = True
            yield Gate(connection, self._sql)

    def prepare(self) -> int:
        """Look at all that waits. Returns how many customers there are."""
        with closing(self._connect()) as connection, connection, connection.cursor() as cursor:
            cursor.execute(self._sql["make_anchors"])
            cursor.execute(self._sql["uncovered"])
            if cursor.fetchall():
                # A worker was killed, or the server: what was in memory is lost, what it was made of is not.
                cursor.execute(self._sql["spoil_all"])
            cursor.execute(self._sql["analyze"])
            cursor.execute("SELECT count(*) FROM customer")
            (count,) = cursor.fetchone() or (0,)
            return int(count)

    def write(self, share: int, shares: int, told: Callable[[int], None]) -> None:
        """Write the facts of one of `shares` shares of the customers, from 0; `told` how many so far.

        Waits first where a gate is shut.
        """
        with closing(self._connect()) as connection, connection, connection.cursor() as cursor:
            cursor.execute(self._sql["pass"])
        sql = named_queries("projector.sql")
        with (
            closing(self._connect()) as reading,
            closing(self._connect()) as writing,
            reading,
            writing,
            reading.cursor(name="waiting") as waiting,
            writing.cursor() as cursor,
        ):
            cursor.execute(self._sql["appended_at"])
            (now_us,) = cursor.fetchone() or (None,)
            timeline = TimelineStore(cursor, sql, self._codec)
            partials = PartialStore(cursor, sql, self._projection, timeline)
            store = CustomerStore(cursor, sql, self._projection, self._rules, partials, lambda step: None)
            with reading.cursor() as settings:
                # All rows of some tables are wanted; a loop over one for each row of another would take hours.
                settings.execute("SET LOCAL work_mem = '256MB'; SET LOCAL enable_nestloop = off")
            waiting.itersize = _FETCH
            first, last = _IDS * share // shares, _IDS * (share + 1) // shares - 1
            waiting.execute(self._sql["waiting"], {"first": str(UUID(int=first)), "last": str(UUID(int=last))})
            customers, done = self._customers(waiting, timeline), 0
            while written := store.write_whole(islice(customers, _CHUNK), now_us or 0):
                writing.commit()
                done += written
                told(done)

    def end(self) -> None:
        """Nothing waits any more: every share is written."""
        with closing(self._connect()) as connection, connection, connection.cursor() as cursor:
            cursor.execute(self._sql["drop_tables"])

    def _customers(
        self, rows: Iterable[tuple[Any, ...]], timeline: TimelineStore
    ) -> Iterator[tuple[CustomerPlan, CustomerFacts]]:
        for (customer_id, gen, contested), found in groupby(rows, key=itemgetter(0, 1, 2)):
            plan = CustomerPlan(customer_id, gen, contested, (), None)
            yield plan, self._facts([row[3:] for row in found], timeline)

    def _facts(self, parts: Iterable[tuple[Any, ...]], timeline: TimelineStore) -> CustomerFacts:
        projection = self._projection
        facts: CustomerFacts | None = None
        single = []
        for encoded, event, recorded_at in parts:
            if event is not None:
                single.append(timeline.decode_stored(event, recorded_at))
            elif encoded is not None and facts is None:
                facts = projection.decode(encoded)
            elif encoded is not None and facts is not None:
                projection.combine(facts, projection.decode(encoded))
        if facts is None:
            facts = projection.initial()
        for event in single:
            projection.apply(facts, event)
        return facts
