"""A segment gives back what was put into it, and a damaged one is never taken for whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customer_timeline.runtime.backup.errors import BackupDamaged
from customer_timeline.runtime.backup.segments import SegmentWriter, read_segment, sha256_of
from customer_timeline.streams.log_reader import LogRecord

_BYTES = st.none() | st.binary(max_size=40)
_HEADERS = st.lists(st.tuples(st.text(max_size=8), _BYTES), max_size=3)
_RECORDS = st.lists(
    st.builds(
        LogRecord,
        st.just(3),
        st.integers(0, 2**63 - 1),
        st.integers(-1, 2**63 - 1),
        _BYTES,
        _BYTES,
        _HEADERS,
    ),
    max_size=30,
)


def written(folder: Path, records: list[LogRecord]) -> Path:
    final = folder / "segment.zst"
    with SegmentWriter(folder / "segment.partial") as writer:
        for record in records:
            writer.add(record)
        content = writer.finish(final)
    assert content.records == len(records)
    assert sha256_of(final) == (content.sha256, content.bytes)
    return final


@given(records=_RECORDS)
def test_records_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, records: list[LogRecord]) -> None:
    folder = tmp_path_factory.mktemp("segment")
    written(folder, records)

    found = list(read_segment(folder, "segment.zst", 3))

    assert [one._replace(headers=list(one.headers)) for one in found] == records


def test_a_segment_that_was_not_finished_leaves_nothing(tmp_path: Path) -> None:
    with SegmentWriter(tmp_path / "segment.partial") as writer:
        writer.add(LogRecord(0, 0, 1, b"key", b"value", ()))

    assert list(tmp_path.iterdir()) == []


def test_a_segment_that_ends_early_is_damaged(tmp_path: Path) -> None:
    final = written(tmp_path, [LogRecord(0, n, 1, None, bytes(1000), ()) for n in range(100)])
    final.write_bytes(final.read_bytes()[:-20])

    with pytest.raises(BackupDamaged, match=r"segment\.zst cannot be unpacked"):
        list(read_segment(tmp_path, "segment.zst", 0))


def test_only_the_owner_may_read_a_segment(tmp_path: Path) -> None:
    assert written(tmp_path, []).stat().st_mode & 0o777 == 0o600
