"""How far an import is: kept for one table, one mapping and one log, and never half written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from customer_timeline.producers.tables.resume import ImportState, StateUnusable, fingerprint


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "orders.csv"
    file.write_text("order\n1\n")
    return file


def test_what_was_saved_counts_until_it_is_removed(tmp_path: Path) -> None:
    state = ImportState(tmp_path / "state", "a")
    assert state.rows() == 0

    state.save(7)
    assert ImportState(tmp_path / "state", "a").rows() == 7
    assert ImportState(tmp_path / "state", "b").rows() == 0
    assert list(tmp_path.iterdir()) == [tmp_path / "state"]

    state.remove()
    state.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"fingerprint": "a", "rows": "7"}', b"\xff"])
def test_a_damaged_state_counts_for_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(content)

    assert ImportState(tmp_path / "state", "a").rows() == 0


def test_another_table_mapping_or_log_is_another_import(table: Path) -> None:
    before = fingerprint(table, "mapping", "log")
    assert fingerprint(table, "mapping", "log") == before
    assert fingerprint(table, "mapping 2", "log") != before
    assert fingerprint(table, "mapping", "log 2") != before

    os.utime(table, ns=(0, table.stat().st_mtime_ns + 1))
    assert fingerprint(table, "mapping", "log") != before


def test_a_place_that_cannot_be_written_is_told_with_the_option_that_helps(tmp_path: Path) -> None:
    with pytest.raises(StateUnusable, match="--state names another file"):
        ImportState(tmp_path / "nowhere" / "state", "a").save(1)
