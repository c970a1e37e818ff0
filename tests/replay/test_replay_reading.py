"""The first step of a replay, without Kafka: what a partition leaves in its spool, whatever happens on the way."""

from __future__ import annotations

import json
import os
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from replay_runs import CODEC, hard_log

from customer_timeline.projections.choosing import choose, contested, entries_of
from customer_timeline.projections.selection import Selection
from customer_timeline.runtime.replay import gathering, parquet
from customer_timeline.runtime.replay.errors import OtherReplay
from customer_timeline.runtime.replay.folder import take_up
from customer_timeline.runtime.replay.gathering import spooled_tables
from customer_timeline.runtime.replay.names import numbered
from customer_timeline.runtime.replay.reading import Details, Stretch, read_stretch
from customer_timeline.runtime.replay.spool import (
    Lost,
    buckets_for,
    details_file,
    entries_in,
    names_file,
    read_note,
    values_file,
)
from customer_timeline.schemas.record_times import RECORDED_HEADER
from customer_timeline.streams.log_reader import Bounds, LogRecord, LogUnreachable

_BUCKETS = 5
_FIRST_MS = 1_790_000_000_000
_VIEWED = json.dumps(
    {
        "specversion": "1.0",
        "id": "v1",
        "source": "/shop",
        "type": "page.viewed.v1",
        "time": "2025-12-31T00:00:00Z",
        "data": {"url": "https://a.example/", "channel": "web", "identifiers": [{"kind": "user_id", "value": "u1"}]},
    }
).encode()


class _Log:
    """A partition in memory; Kafka is away from `ends` on, or says nothing where somebody can be told that."""

    def __init__(self, records: Sequence[LogRecord], ends: int | None = None, silences: int = 0) -> None:
        self._records = records
        self._silences = silences
        self._ends = len(records) if ends is None else ends

    def bounds(self) -> dict[int, Bounds]:
        return {0: Bounds(0, len(self._records))}

    def read(
        self, partition: int, start: int, until: int, *, while_silent: Callable[[], None] = lambda: None
    ) -> Iterator[Sequence[LogRecord]]:
        for at in range(start, min(until, self._ends), 100):
            yield self._records[at : min(at + 100, until)]
        for _ in range(self._silences):
            while_silent()
        if self._ends < until:
            raise LogUnreachable("memory", 1.0)

    def close(self) -> None: ...


def _different_records(seed: int, events: int) -> list[LogRecord]:
    """Without copies: how many of them are in the spool is all the same."""
    different = {sent.value: sent for sent in hard_log(seed, events)}.values()
    return [
        LogRecord(0, offset, _FIRST_MS + offset, sent.key, sent.value, sent.headers)
        for offset, sent in enumerate(different)
    ]


def _read(
    folder: Path,
    records: Sequence[LogRecord],
    details: Details,
    ends: int | None = None,
    stop_after: int | None = None,
    buckets: int = _BUCKETS,
    as_it_is: bool = False,
    names: bool = True,
) -> bool:
    folder.mkdir(exist_ok=True)
    stretch = Stretch(folder, 0, 0, len(records), Selection(), as_it_is, None, details, buckets, names=names)
    behind = [0]
    return read_stretch(
        stretch,
        _Log(records, ends),
        CODEC,
        lambda count: behind.append(count),
        lambda: stop_after is not None and behind[-1] >= stop_after,
    )


def _rows(folder: Path) -> dict[str, list[dict[str, Any]]]:
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for type_name, rows in spooled_tables(details_file(folder, 0)):
        # Which optional columns a table has depends on what else is in it.
        found[type_name] += [
            {name: value for name, value in row.items() if value is not None} for row in rows.to_pylist()
        ]
    return dict(found)


def _entries(folder: Path, buckets: int = _BUCKETS) -> list[bytes]:
    return [entries_in(folder, 0, bucket, buckets) for bucket in range(buckets)]


def _said(folder: Path) -> list[tuple[Any, ...]]:
    """What is noted of each record, with whom it names instead of their number."""
    return [(offset, at, who[number], *more) for who, rows in numbered(folder, 0) for offset, at, number, *more in rows]


@pytest.mark.parametrize("details", ["none", "lines", "columns"])
def test_what_came_after_the_last_note_is_read_again_and_stands_there_once(tmp_path: Path, details: Details) -> None:
    records = _different_records(3, 400)
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    assert not _read(broken, records, details, stop_after=100)
    noted = read_note(broken, 0)
    with pytest.raises(LogUnreachable):
        _read(broken, records, details, ends=300)
    assert noted == read_note(broken, 0)
    assert noted is not None
    assert noted.values < values_file(broken, 0).stat().st_size
    assert _read(broken, records, details)
    assert _read(whole, records, details)
    assert values_file(broken, 0).read_bytes() == values_file(whole, 0).read_bytes()
    assert _entries(broken) == _entries(whole)
    assert _said(broken) == _said(whole)
    if details == "columns":
        assert _rows(broken) == _rows(whole)
    else:
        assert details_file(broken, 0).read_bytes() == details_file(whole, 0).read_bytes()


@pytest.mark.parametrize("lost", ["values", "details", "names", "index", "note"])
def test_what_the_disk_had_not_when_the_machine_stopped_is_read_anew(tmp_path: Path, lost: str) -> None:
    records = _different_records(3, 400)
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    assert not _read(broken, records, "columns", stop_after=200)
    path = broken / f"0.{lost}"
    os.truncate(path, path.stat().st_size // 2)
    assert _read(broken, records, "columns")
    assert _read(whole, records, "columns")
    assert read_note(broken, 0) == read_note(whole, 0)
    assert values_file(broken, 0).read_bytes() == values_file(whole, 0).read_bytes()
    assert (_entries(broken), _said(broken), _rows(broken)) == (_entries(whole), _said(whole), _rows(whole))


def test_a_partition_of_which_nothing_comes_is_left_when_it_is_asked_for_and_keeps_what_came(tmp_path: Path) -> None:
    records = _different_records(3, 400)
    stretch = Stretch(tmp_path, 0, 0, len(records), Selection(), False, None, "lines", _BUCKETS)
    asked = iter((False, False, False, True))  # after each of two batches, and as often in the silence
    assert not read_stretch(stretch, _Log(records, ends=200, silences=2), CODEC, lambda _: None, lambda: next(asked))
    note = read_note(tmp_path, 0)
    assert note is not None
    assert (note.next_offset, note.done) == (200, False)
    assert read_stretch(stretch, _Log(records), CODEC, lambda _: None, lambda: False)


def test_the_very_same_bytes_again_are_left_out_at_once(tmp_path: Path) -> None:
    assert _read(tmp_path, [LogRecord(0, at, _FIRST_MS + at, None, _VIEWED, ()) for at in range(3)], "columns")
    note = read_note(tmp_path, 0)
    assert note is not None
    assert (note.records, note.events, note.copies) == (3, 1, 2)
    assert [row["log_offset"] for rows in _rows(tmp_path).values() for row in rows] == [0]
    assert len(names_file(tmp_path, 0).read_bytes().splitlines()) == 1


@pytest.mark.parametrize(
    ("second_ms", "headers"),
    [(_FIRST_MS - 1, ()), (_FIRST_MS + 1, ((RECORDED_HEADER, b"2026-01-01T00:00:00Z"),))],
    ids=["the clock of Kafka was set back", "restored"],
)
def test_a_copy_that_was_recorded_earlier_is_the_event(
    tmp_path: Path, second_ms: int, headers: tuple[tuple[str, bytes], ...]
) -> None:
    records = [LogRecord(0, 0, _FIRST_MS, None, _VIEWED, ()), LogRecord(0, 1, second_ms, None, _VIEWED, headers)]
    assert _read(tmp_path, records, "none")
    (group,) = contested((0, part) for part in _entries(tmp_path))
    assert choose(group, {}).winner.offset == 1


@pytest.mark.parametrize("buckets", [1, 2, 300])
def test_the_index_holds_the_same_in_any_number_of_parts_and_each_event_in_one_of_them(
    tmp_path: Path, buckets: int
) -> None:
    records = _different_records(5, 300)
    few, many = tmp_path / "few", tmp_path / "many"
    assert _read(few, records, "none")
    assert not _read(many, records, "none", stop_after=100, buckets=buckets)  # its index has several blocks
    assert _read(many, records, "none", buckets=buckets)
    parts = _entries(many, buckets)
    assert len(parts) == buckets
    found = [{entry.event_id for entry in entries_of(part, 0)} for part in parts]
    assert sum(map(len, found)) == len(set().union(*found))
    assert sorted(entry for part in parts for entry in entries_of(part, 0)) == sorted(
        entry for part in _entries(few) for entry in entries_of(part, 0)
    )


def test_a_part_of_the_index_stays_as_small_as_it_is_however_long_the_log_is() -> None:
    assert buckets_for(0) == buckets_for(1_000) == 4
    assert buckets_for(65_536 * 10) == 10
    assert buckets_for(65_536 * 10 + 1) == 11
    assert buckets_for(10**12) == 65_536  # as many as two bytes of an id tell apart


def test_what_is_made_of_an_event_makes_no_difference_to_which_record_counts(tmp_path: Path) -> None:
    records = [
        LogRecord(0, at, _FIRST_MS + at, sent.key, sent.value, sent.headers) for at, sent in enumerate(hard_log(8, 400))
    ]
    quick, whole = tmp_path / "quick", tmp_path / "whole"
    assert _read(quick, records, "none", names=False)
    assert _read(whole, records, "columns")
    assert values_file(quick, 0).read_bytes() == values_file(whole, 0).read_bytes()
    assert _entries(quick) == _entries(whole)
    notes = read_note(quick, 0), read_note(whole, 0)
    assert notes[0] is not None
    assert notes[1] is not None
    assert replace(notes[0], details=0, names=0) == replace(notes[1], details=0, names=0)
    assert notes[0].dead_letters > 0


def test_columns_are_the_same_however_many_values_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = _different_records(7, 400)
    usual = tmp_path / "usual"
    assert _read(usual, records, "columns")
    for name, least in (("_PACKED_ROWS", 3), ("_WAITING_ROWS", 40), ("_WAITING_SPAN", 2_000)):
        monkeypatch.setattr(gathering, name, least)
        narrow = tmp_path / name
        assert _read(narrow, records, "columns")
        assert _rows(narrow) == _rows(usual)
    assert len(list(spooled_tables(details_file(narrow, 0)))) > len(list(spooled_tables(details_file(usual, 0))))


@given(st.lists(st.tuples(st.binary(max_size=5), st.text(max_size=5)), min_size=1))
def test_texts_are_taken_from_between_others(parts: list[tuple[bytes, str]]) -> None:
    content, places = b"", array("q")
    for between, text in parts:
        content += between
        places.extend((len(content), len(content) + len(text.encode())))
        content += text.encode()
    column = pa.chunked_array([pa.FixedSizeListArray.from_arrays(pa.array(places, pa.int64()), 2)])
    expected = [text for _, text in parts]
    assert parquet.lines_at(pa.py_buffer(content), column).to_pylist() == expected
    assert (
        parquet.lines_at(pa.py_buffer(content), column.slice(len(parts) // 2)).to_pylist()
        == expected[len(parts) // 2 :]
    )


def test_a_history_of_more_months_than_may_be_open_at_once_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _read(tmp_path, _different_records(6, 400), "columns")
    usual, narrow = tmp_path / "usual", tmp_path / "narrow"
    written = {}
    for output in (usual, narrow):
        files, _ = parquet._write(tmp_path, output, 0, Lost().holes())
        paths = list(output.glob("events/*/*/*.parquet"))
        assert len(paths) == files
        written[output] = {
            str(row["event"]) for path in paths for row in pq.ParquetFile(path).read(["event"]).to_pylist()
        }
        monkeypatch.setattr(parquet, "_OPEN_FILES", 1)
        monkeypatch.setattr(parquet, "_WAITING_ROWS", 20)
    assert not list(usual.glob("events/*/*/0-*.parquet"))
    assert list(narrow.glob("events/*/*/0-2.parquet"))
    assert written[usual] == written[narrow]
    assert len(written[usual]) == len(set(values_file(tmp_path, 0).read_bytes().splitlines()))


def test_an_unfinished_replay_keeps_its_parts_and_another_form_of_its_files_is_refused(tmp_path: Path) -> None:
    begun = take_up(tmp_path, {"to": "ndjson"}, {0: Bounds(0, 65_536 * 7)})
    grown = {0: Bounds(0, 65_536 * 9)}
    assert take_up(tmp_path, {"to": "ndjson"}, grown) == replace(begun, resumed=True)
    assert begun.buckets == 7
    path = tmp_path / "question.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "form": 1}))
    with pytest.raises(OtherReplay, match="another version began it"):
        take_up(tmp_path, {"to": "ndjson"}, grown)


@pytest.mark.parametrize("as_it_is", [False, True])
def test_what_postgres_cannot_keep_is_a_dead_letter(tmp_path: Path, as_it_is: bool) -> None:
    spoilt = _VIEWED.replace(b"https://", b"https://\\u0000")
    assert spoilt != _VIEWED
    records = [LogRecord(0, offset, _FIRST_MS, None, value, ()) for offset, value in enumerate((_VIEWED, spoilt))]
    assert _read(tmp_path, records, "none", as_it_is=as_it_is)
    note = read_note(tmp_path, 0)
    assert note is not None
    assert note.dead_letters == 1
