"""What an import tells at its end: how much was read and rejected, how complete the fields are, who is meant, and what
looks wrong with the table.

Counts only, no cell and no identifier: the report may be logged and passed on. Numbers are exact, whatever the size of
the table.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, Self

from customer_timeline.producers.tables.cells import Row
from customer_timeline.producers.tables.distinct import DistinctKeys, Repeated, RepeatedIds
from customer_timeline.producers.tables.errors import Rejection
from customer_timeline.schemas.decoded import DecodedEvent

KEPT_PROBLEMS: Final = 100


class EventFields(NamedTuple):
    """One event of the mapping: its type, and the targets that columns fill."""

    type: str
    targets: tuple[str, ...]


Accepted = tuple[int, DecodedEvent, Sequence[str]]
"""A valid event of a row: its place among the events of the mapping, what it is, and the targets that it leaves out."""


class ImportReport:
    """Counts while the import runs; read it at any time, close it at the end (it may hold temporary files)."""

    def __init__(self, fields: Sequence[EventFields], unused_columns: Sequence[str] = ()) -> None:
        self.rows_read = 0
        self.rows_rejected = 0
        self.rows_without_event = 0
        self.events = 0
        self.reasons: Counter[str] = Counter()
        self._fields = fields
        self._unused_columns = unused_columns
        self._made = [0] * len(fields)
        self._missing: list[Counter[str]] = [Counter() for _ in fields]
        self._named: Counter[str] = Counter()
        self._distinct: defaultdict[str, DistinctKeys] = defaultdict(DistinctKeys)
        self._dropped: Counter[tuple[str, str]] = Counter()
        self._problems: dict[tuple[str, str | None, str | None, str], list[int]] = {}
        self._repeated = RepeatedIds()

    def accept(self, row: int, events: Sequence[Accepted]) -> None:
        """Count a row all of whose events are valid."""
        if not events:
            self.rows_without_event += 1
        for number, decoded, missing in events:
            self.events += 1
            self._made[number] += 1
            if missing:
                self._missing[number].update(missing)
            for identifier in decoded.identifiers:
                self._named[identifier.kind] += 1
                self._distinct[identifier.kind].add(identifier.identifier_id)
            for note in decoded.data_quality:
                self._dropped[note.kind, note.reason] += 1
            self._repeated.add(decoded.event_id, decoded.value, row)

    def reject(self, row: Row, error: Rejection) -> None:
        """Count a row that is set apart."""
        self.rows_rejected += 1
        self.reasons[error.reason.value] += 1
        key = (error.reason.value, error.type, error.field, error.detail)
        found = self._problems.get(key)
        if found is not None:
            found[0] += 1
        elif len(self._problems) < KEPT_PROBLEMS:
            self._problems[key] = [1, row.number]

    def summary(self) -> dict[str, Any]:
        """Everything as plain JSON values. May be called once."""
        repeated = self._repeated.found()
        completeness = [self._completeness(number) for number in range(len(self._fields))]
        identifiers = self._identifiers()
        return {
            "rows": {
                "read": self.rows_read,
                "accepted": self.rows_read - self.rows_rejected,
                "rejected": self.rows_rejected,
                "without_event": self.rows_without_event,
                "accepted_percent": _percent(self.rows_read - self.rows_rejected, self.rows_read),
            },
            "events": completeness,
            "reasons": dict(sorted(self.reasons.items())),
            "problems": self._told_problems(),
            "identifiers": identifiers,
            "duplicates": {"same": repeated.same, "other": repeated.other, "rows": list(repeated.rows)},
            "notes": list(self._notes(repeated, completeness, identifiers)),
        }

    def close(self) -> None:
        """Give temporary files up."""
        self._repeated.close()
        for keys in self._distinct.values():
            keys.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """`close`."""
        self.close()

    def _completeness(self, number: int) -> dict[str, Any]:
        of, missing = self._made[number], self._missing[number]
        filled = {target: of - missing[target] for target in self._fields[number].targets}
        return {
            "type": self._fields[number].type,
            "events": of,
            "fields": {target: {"filled": n, "percent": _percent(n, of)} for target, n in filled.items()},
        }

    def _identifiers(self) -> dict[str, Any]:
        kinds = sorted({*self._named, *(kind for kind, _ in self._dropped)})
        return {
            kind: {
                "usable": self._named[kind],
                "distinct": self._distinct[kind].count(),
                "dropped": {reason: n for (of, reason), n in sorted(self._dropped.items()) if of == kind},
            }
            for kind in kinds
        }

    def _told_problems(self) -> list[dict[str, Any]]:
        ordered = sorted(self._problems.items(), key=lambda item: (-item[1][0], item[1][1]))
        return [
            {"reason": reason, "type": type_, "field": field, "detail": detail, "rows": rows, "first_row": first}
            for (reason, type_, field, detail), (rows, first) in ordered
        ]

    def _notes(
        self, repeated: Repeated, completeness: Sequence[dict[str, Any]], identifiers: dict[str, Any]
    ) -> Iterator[str]:
        if self.rows_without_event:
            yield f"Rows that gave no event, because no condition of the mapping holds: {self.rows_without_event:,}."
        rows = f"rows {', '.join(map(str, repeated.rows))}" if repeated.rows else ""
        if repeated.same:
            yield f"Events that repeat an earlier one word for word, and count once: {repeated.same:,} ({rows})."
        if repeated.other:
            yield (
                f"Events that have the id of an earlier one and say something else: {repeated.other:,} ({rows}). Of "
                "each id the log keeps one: `id` in the mapping is too short, or the table contradicts itself."
            )
        for event in completeness:
            for target, found in event["fields"].items():
                if event["events"] and not found["filled"]:
                    yield f"{event['type']}, {target}: empty in every row."
        for kind, found in identifiers.items():
            if found["dropped"]:
                why = ", ".join(f"{n:,} {reason}" for reason, n in found["dropped"].items())
                yield f"Values of {kind} that mean nobody and were left out: {why}."
        if self._unused_columns:
            yield f"Columns that the mapping does not read: {', '.join(self._unused_columns)}."


def _percent(part: int, whole: int) -> float | None:
    """With one decimal, and 100 only where it is all."""
    return min(round(100 * part / whole, 1), 99.9 if part < whole else 100.0) if whole else None
