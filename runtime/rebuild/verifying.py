"""Is the rebuild equal to the live set? Brought to exactly the positions of one snapshot of it, then compared.

Those of operators' decisions are among them: what one set has removed and the other not yet is no difference.

The rebuild's workers stand still meanwhile: a row names this process, and every transaction of theirs asks for it. They
go on by themselves when it ends, however it ends. What differs is explained where it follows from records that only
this version's code accepts: they are healed, and no failure.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from customer_timeline.projections.digest import COVERAGE
from customer_timeline.projections.postgres.digests import DigestSnapshot, digest_snapshot
from customer_timeline.projections.view_comparison import Row, TableComparison, compare_tables
from customer_timeline.runtime import wiring
from customer_timeline.runtime.rebuild.healing import Healed, healed_of
from customer_timeline.runtime.rebuild.sets import RebuildError, Role, settings_of, status, transaction
from customer_timeline.runtime.settings import Settings
from customer_timeline.streams.bounded import Bounds, apply_until, operate_until

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

_OPERATIONS: Final = "SELECT next_offset FROM operation_offset WHERE topic = %(topic)s"
_LOOK_EVERY_S = 0.2
_HOLD_PATIENCE_MS = 60_000

Observe = Callable[[str, int], None]


class Comparison(NamedTuple):
    """What a verification found. `versions`: projection version of the live set and of the rebuild. `operations`: the
    position until which both had applied what operators decided.
    """

    versions: tuple[str | None, str | None]
    positions: Mapping[int, int]
    as_of_us: int | None
    tables: tuple[TableComparison, ...]
    healed: Healed
    operations: int = 0

    @property
    def same_version(self) -> bool:
        """Whether the same code and settings made both."""
        return self.versions[0] == self.versions[1]

    @property
    def equal(self) -> bool:
        """Whether nothing differs but for what healed."""
        return not any(one.differs for one in self.tables)

    @property
    def ok(self) -> bool:
        """Whether a switch has nothing against it: equal, or made by another version, which may differ."""
        return self.equal or not self.same_version

    def as_json(self) -> dict[str, Any]:
        """The same, for programs."""
        return {
            "ok": self.ok,
            "equal": self.equal,
            "versions": {"live": self.versions[0], "rebuild": self.versions[1]},
            "positions": self.positions,
            "operations": self.operations,
            "healed": {"records": self.healed.records, "reasons": self.healed.reasons, "samples": self.healed.samples},
            "tables": {
                one.table: {
                    "live": one.first._asdict(),
                    "rebuild": one.second._asdict(),
                    "missing": one.missing,
                    "additional": one.additional,
                    "changed": one.changed,
                    "columns": one.columns,
                    "healed": one.healed,
                    "samples": [sample._asdict() for sample in one.samples],
                }
                for one in self.tables
            },
        }


def verify(settings: Settings, *, as_of_us: int | None, samples: int, timeout_s: float, observe: Observe) -> Comparison:
    """Compare the rebuild with the live set and note in the rebuild what was found.

    Raises RebuildError where there is no rebuild, it is still being filled, another verification holds it, or the live
    set does not come to where the rebuild is within `timeout_s`.
    """
    ours = settings_of(settings, "rebuild")
    found = status(settings, "rebuild")
    if found.absent_indexes or not found.filled:
        raise RebuildError("The rebuild is still being filled: let `customer-timeline rebuild start` finish first.")
    with _held(ours) as holder:
        _await_live(settings, timeout_s)
        with digest_snapshot(lambda: wiring.connect(settings), as_of_us) as live:
            positions = {
                part: at for (topic, part), at in live.positions.items() if topic == settings.touchpoints_topic
            }
            operations = _operations_before(live, settings.operations_topic)
            _apply_until(ours, positions, observe)
            # Later: what is decided about a record changes nothing before the record is there.
            _operate_until(ours, operations)
            with digest_snapshot(lambda: wiring.connect(ours), as_of_us) as rebuild:
                compared = _compared(settings, live, rebuild, positions, samples, observe)
                comparison = compared._replace(operations=operations)
        _note(holder, comparison)
    return comparison


@contextmanager
def _held(ours: Settings) -> Iterator[Connection]:
    """Let no batch of the rebuild's workers begin while this process lives and the block lasts."""
    with closing(wiring.connect(ours, application="customer-timeline verify")) as connection:
        with connection, connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = %s", [_HOLD_PATIENCE_MS])
            # Whoever is in a batch has read the row: this waits for it to end, and the next one sees the holder.
            cursor.execute("LOCK TABLE view_set IN ACCESS EXCLUSIVE MODE")
            cursor.execute(
                "UPDATE view_set v SET held_pid = a.pid, held_since = a.backend_start FROM pg_stat_activity a "
                "WHERE a.pid = pg_backend_pid() AND NOT EXISTS (SELECT FROM pg_stat_activity h "
                "WHERE h.pid = v.held_pid AND h.backend_start = v.held_since) RETURNING 1"
            )
            if cursor.fetchone() is None:
                raise RebuildError("Another verification holds the rebuild: wait for it, or stop it.")
        try:
            yield connection
        finally:
            with connection, connection.cursor() as cursor:
                cursor.execute("UPDATE view_set SET held_pid = NULL, held_since = NULL")


def _await_live(settings: Settings, timeout_s: float) -> None:
    """Wait until the live set is nowhere behind the rebuild, which cannot go back."""
    deadline = time.monotonic() + timeout_s
    while True:
        live, rebuild = status(settings, "live"), status(settings, "rebuild")
        ahead = [f"partition {part}" for part, at in rebuild.positions.items() if at > live.positions.get(part, 0)]
        if _operated(settings, "rebuild") > _operated(settings, "live"):
            ahead.append(settings.operations_topic)
        if not ahead:
            return
        if time.monotonic() > deadline:
            raise RebuildError(
                f"The live set has not come to where the rebuild is within {timeout_s:g} s ({', '.join(ahead)}): "
                "do its workers run?"
            )
        time.sleep(_LOOK_EVERY_S)


def _operated(settings: Settings, role: Role) -> int:
    with transaction(settings_of(settings, role), "customer-timeline verify") as cursor:
        cursor.execute(_OPERATIONS, {"topic": settings.operations_topic})
        (position,) = cursor.fetchone() or (0,)
    return int(position)


def _apply_until(ours: Settings, positions: Mapping[int, int], observe: Observe) -> None:
    codec = wiring.codec(ours)
    pin = wiring.view_set_pin(ours, "customer-timeline verify", holding=True)
    unnamed = ours.model_copy(update={"worker_instance_id": None})
    journal = wiring.journal(unnamed, codec, lambda step: None, pin)
    applied = 0

    def told(records: int) -> None:
        nonlocal applied
        applied += records
        observe("applied", applied)

    try:
        bounds = Bounds(ours.touchpoints_topic, positions)
        apply_until(ours.kafka_bootstrap, bounds, codec, journal, batch_events=ours.batch_events, observe=told)
        journal.release(ours.touchpoints_topic)
    finally:
        journal.close()


def _operate_until(ours: Settings, position: int) -> None:
    pin = wiring.view_set_pin(ours, "customer-timeline verify", holding=True)
    with closing(wiring.operations_journal(ours, wiring.codec(ours), pin=pin)) as journal:
        operate_until(ours.kafka_bootstrap, ours.operations_topic, position, journal)


def _operations_before(snapshot: DigestSnapshot, topic: str) -> int:
    """The position until which a set has applied what operators decided."""
    return max((int(position) for (position,) in snapshot.rows(_OPERATIONS, topic=topic)), default=0)


def _compared(
    settings: Settings,
    live: DigestSnapshot,
    rebuild: DigestSnapshot,
    positions: Mapping[int, int],
    samples: int,
    observe: Observe,
) -> Comparison:
    healed = healed_of(live, rebuild, wiring.codec(settings), settings.touchpoints_topic, samples)
    read: Counter[str] = Counter()

    def counted(table: str, lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            read[table] += 1
            if read[table] % 1000 == 0:
                observe(table, read[table])
            yield line

    def explained(table: str, before: Row | None, after: Row | None) -> bool:
        return any(healed.explains(table, row) for row in (before, after) if row is not None)

    tables = tuple(
        compare_tables(table, counted(table, live.lines(table)), rebuild.lines(table), explained, samples)
        for table in COVERAGE
    )
    versions = live.projection_version, rebuild.projection_version
    return Comparison(versions, positions, live.as_of_us, tables, healed)


def _note(holder: Connection, found: Comparison) -> None:
    noted = {
        "ok": found.ok,
        "equal": found.equal,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "positions": {str(part): at for part, at in found.positions.items()},
        "healed": found.healed.records,
        "differs": {one.table: one.differs for one in found.tables if one.differs},
    }
    with holder, holder.cursor() as cursor:
        cursor.execute("UPDATE view_set SET verified = %s::jsonb", [orjson.dumps(noted).decode()])
