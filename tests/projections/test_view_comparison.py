"""Two views compared without a database: lines in, differences out."""

from __future__ import annotations

import json

from customer_timeline.projections.digest import COVERAGE, table_digest
from customer_timeline.projections.view_comparison import KEYS, Row, compare_tables

ANN, BOB, CAT = "a0", "b0", "c0"


def line(identifier_id: str, customer_id: str = "a0", first_seen_us: int = 1) -> str:
    """A row of `identifier`, as the digest has it."""
    return json.dumps([identifier_id, "email", "x@example.com", customer_id, first_seen_us, None, False])


def never(table: str, before: Row | None, after: Row | None) -> bool:
    return False


def test_equal_views_have_equal_digests_and_no_difference() -> None:
    lines = [line(ANN), line(BOB)]
    found = compare_tables("identifier", lines, lines, never, 3)
    assert found.first == found.second == table_digest(lines)
    assert (found.differs, found.samples) == (0, ())


def test_rows_are_matched_by_key_wherever_they_stand() -> None:
    found = compare_tables("identifier", [line(ANN), line(CAT)], [line(BOB), line(CAT)], never, 3)
    assert (found.missing, found.additional, found.changed) == (1, 1, 0)
    assert [(one.kind, one.key) for one in found.samples] == [
        ("missing", {"identifier_id": ANN}),
        ("additional", {"identifier_id": BOB}),
    ]


def test_a_changed_row_says_which_columns_differ_and_how() -> None:
    found = compare_tables("identifier", [line(ANN, "a0", 1)], [line(ANN, "b0", 2)], never, 3)
    assert found.changed == 1
    assert found.columns == {"customer_id": 1, "first_seen_at": 1}
    assert found.samples[0].columns == {"customer_id": ("a0", "b0"), "first_seen_at": (1, 2)}


def test_what_one_view_has_at_the_end_is_not_forgotten() -> None:
    found = compare_tables("identifier", [line(ANN), line(BOB), line(CAT)], [line(ANN)], never, 1)
    assert found.missing == 2
    assert len(found.samples) == 1


def test_what_is_explained_is_counted_apart() -> None:
    def healed(table: str, before: Row | None, after: Row | None) -> bool:
        return after is not None and after["identifier_id"] == BOB

    found = compare_tables("identifier", [line(ANN)], [line(ANN, "b0"), line(BOB)], healed, 3)
    assert (found.healed, found.differs) == (1, 1)


def test_exact_numbers_that_print_differently_differ() -> None:
    row = [f"{number}" for number in range(len(COVERAGE["timeline"].counts) - 1)]
    lines = [json.dumps(row)[:-1] + f', {{"amount": {amount}}}]' for amount in ("1.50", "1.5")]
    found = compare_tables("timeline", lines[:1], lines[1:], never, 3)
    assert found.columns == {"event": 1}


def test_every_covered_table_has_a_key() -> None:
    assert set(KEYS) == set(COVERAGE)
