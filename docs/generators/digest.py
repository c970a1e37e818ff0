"""The page of digests: what they cover and what they leave out, as `projections.digest` declares it."""

from __future__ import annotations

from customer_timeline.projections.digest import COVERAGE, FORM, TABLES_LEFT_OUT
from docs.generators.markdown import page as markdown_page
from docs.generators.markdown import table

INTRODUCTION = f"""
`customer-timeline digest` ([command](cli.md#customer-timeline-digest)) hashes what [the
law](../explanation/ordering.md#the-law) covers. Two views of the same events have the same digests, whatever the
order, the copies, the batches and the workers that made them; views that differ in one byte of what is covered have
others.

## How it is computed

- A row is one line: a JSON array of the covered columns in the order below, as `json_build_array` of
  Postgres 14 or newer writes it. Instants are microseconds since 1970, bytes hexadecimal. The statements:
  [digest.sql](../../projections/postgres/digest.sql).
- A table is the SHA-256 of its lines in the order of their keys, each with a line feed; `all` that of one line
  `table rows sha256` a table.
- A customer is the SHA-256 over the SHA-256 of its lines, each line with the table's name and a blank before it;
  those hashes are sorted by their bytes. Its lines are its row, its identifiers, links and decisions that name one
  of them, things that it owns, and events that stand at either.

Everything is read in one snapshot, and the answer names its positions: the next offset of every partition. Digests
can be compared where the positions cover the same events and `form` (now `{FORM}`: which columns count) and
`projection_version` are equal.

## Stages

Without `--as-of` the whole schedule of a customer counts: its stage and flags at every instant. With `--as-of T`
only the entry that holds at T does, so that two views that agree about T are equal although they expect different
things later. The facts are not cut by T: they are a fold of all events, and by the law of the schedule the entry at
T does not depend on events after it. The columns `stage`, `flags` and their bounds never count: they say what held
when the row was last written.
"""


def page() -> str:
    """docs/reference/digest.md."""
    parts = []
    for name, coverage in COVERAGE.items():
        parts += [f"## Table `{name}`", "Counts: " + ", ".join(f"`{column}`" for column in coverage.counts) + "."]
        if coverage.note:
            parts.append(coverage.note)
        if coverage.left_out:
            left_out = [(f"`{column}`", reason) for column, reason in coverage.left_out.items()]
            parts.append(table(("left out", "because"), left_out))
    others = [(f"`{name}`", reason) for name, reason in TABLES_LEFT_OUT.items()]
    parts += ["## Other tables", table(("table", "left out because"), others)]
    return markdown_page("Digests", INTRODUCTION, *parts)
