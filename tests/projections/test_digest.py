"""Digests without a database: lines in, hashes out."""

from __future__ import annotations

import hashlib

from customer_timeline.projections.digest import (
    COVERAGE,
    CustomerDigest,
    Part,
    TableDigest,
    ViewDigest,
    customer_digests,
    table_digest,
)


def sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def test_where_a_line_ends_counts() -> None:
    assert table_digest(["ab", "c"]) == TableDigest(2, sha256(b"ab\nc\n"))
    assert table_digest(["a", "bc"]) != table_digest(["ab", "c"])
    assert table_digest([]) == TableDigest(0, sha256(b""))


def test_parts_are_gathered_by_customer() -> None:
    parts = [Part("1", b"x"), Part("1", b"y"), Part("2", b"x")]
    assert list(customer_digests(parts)) == [
        CustomerDigest("1", 2, sha256(b"xy")),
        CustomerDigest("2", 1, sha256(b"x")),
    ]


def test_the_digest_of_all_tables_depends_on_each_and_on_nothing_else() -> None:
    timeline, link = TableDigest(1, sha256(b"a")), TableDigest(0, sha256(b""))
    view = ViewDigest("v1", None, {("t", 0): 1}, {"timeline": timeline, "link": link})
    assert view.sha256 == sha256(f"timeline 1 {timeline.sha256}\nlink 0 {link.sha256}\n".encode())
    assert view._replace(positions={}, projection_version="v2").sha256 == view.sha256
    assert view._replace(tables={"timeline": timeline, "link": timeline}).sha256 != view.sha256


def test_no_column_counts_and_is_left_out() -> None:
    assert {table for table, coverage in COVERAGE.items() if set(coverage.counts) & set(coverage.left_out)} == set()
