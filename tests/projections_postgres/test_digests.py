"""Digests of the tables: what counts changes them, nothing else does, and anybody can compute them again."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pytest
from view_rows import SCHEMA

from customer_timeline.projections.digest import COVERAGE, TABLES_LEFT_OUT, TableDigest
from customer_timeline.projections.postgres.digests import DigestSnapshot, digest_snapshot
from customer_timeline.projections.reading import ViewsUnavailableError

ANN, PHONE, MEMBER, BOB = (f"{n}0000000-0000-0000-0000-000000000000" for n in (1, 2, 3, 4))
ORDER, CASE = (f"{n}0000000-0000-0000-0000-000000000000" for n in (5, 6))
EVENT, OTHER = (f"{n}0000000-0000-0000-0000-00000000000e" for n in (7, 8))
DAY_US = 86_400_000_000

# One customer of three identifiers whose order leads to a case; Bob is somebody else, with whom a link was refused.
ROWS = f"""
INSERT INTO projection_meta VALUES (true, 'customer-0-test', '{{}}', '2026-01-01Z');
INSERT INTO projector_offset VALUES ('log', 1, NULL, 7, 1), ('log', 0, NULL, 5, 1);
INSERT INTO timeline VALUES
    ('{EVENT}', '{ANN}', '{ANN}', '{{{ANN},{PHONE}}}', '{{{ORDER},{CASE}}}', 'complaint.opened.v1', 'web', 'inbound',
     true, true, '1970-01-02Z', '2026-01-01Z', 0, 0, 4, '{OTHER}', '[{{"field": "a"}}]', '{{"n": 1.50, "b": "é\\n"}}');
INSERT INTO superseded VALUES ('{EVENT}', '\\x00ff', 0, '1970-01-02Z', '2026-01-01Z', true, '{{"n": 2}}');
INSERT INTO identifier VALUES
    ('{ANN}', 'email', 'ann@example.com', '{ANN}', '1970-01-02Z', '{EVENT}', false),
    ('{PHONE}', 'phone', '+14155552671', '{ANN}', '1970-01-02Z', '{EVENT}', false),
    ('{MEMBER}', 'member_id', 'M"1', '{ANN}', NULL, NULL, false),
    ('{BOB}', 'email', 'bob@example.com', '{BOB}', '1970-01-03Z', '{EVENT}', false);
INSERT INTO link VALUES
    ('{ANN}', '{PHONE}', '1970-01-02Z', '{EVENT}', '2026-01-01Z', NULL),
    ('{ANN}', '{BOB}', '1970-01-03Z', '{EVENT}', '2026-01-01Z', 'shared');
INSERT INTO decision VALUES
    ('{OTHER}', '{MEMBER}', '{ANN}', 'linked', '1970-01-02Z', '2026-01-01Z', 'same', 'ops', 'separated');
INSERT INTO thing VALUES
    ('{ORDER}', 'order', 'o1', '{ANN}', '1970-01-02Z', '{EVENT}', NULL, NULL, NULL, true),
    ('{CASE}', 'case', 'c1', NULL, NULL, NULL, '{ORDER}', '1970-01-02Z', '{EVENT}', false);
INSERT INTO customer VALUES
    ('{ANN}', 1, false, 1, 1, '1970-01-02Z', '1970-01-02Z', '1970-01-02Z', 0, '{{"a":1}}',
     '[[{DAY_US},"prospect",[]],[{9 * DAY_US},"churned",["silent"]]]', 'r1', 'prospect', '{{silent}}', 1, 2, 3, 4, 5),
    ('{BOB}', 1, false, 0, 0, NULL, NULL, NULL, 0, '{{}}', '[]', 'r1', NULL, '{{}}', NULL, NULL, NULL, NULL, NULL);
INSERT INTO dead_letter VALUES
    ('log', 0, 1, '2026-01-01Z', 'not_json', 'no', 'x', '\\xabcd', 'k', 'v', '[]'),
    ('log', 0, 2, '2026-01-01Z', 'not_json', 'no', NULL, '\\xabcd', 'k', 'v', '[]');
"""

# Written out by hand: the lines of those rows.
LINES = {
    "timeline": [
        f'["{EVENT}", "{ANN}", "{ANN}", ["{ANN}","{PHONE}"], ["{ORDER}","{CASE}"], "complaint.opened.v1", "web", '
        f'"inbound", true, true, {DAY_US}, 0, "{OTHER}", [{{"field": "a"}}], {{"b": "é\\n", "n": 1.50}}]'
    ],
    "superseded": [f'["{EVENT}", 0, {DAY_US}, "00ff", true]'],
    "identifier": [
        f'["{ANN}", "email", "ann@example.com", "{ANN}", {DAY_US}, "{EVENT}", false]',
        f'["{PHONE}", "phone", "+14155552671", "{ANN}", {DAY_US}, "{EVENT}", false]',
        f'["{MEMBER}", "member_id", "M\\"1", "{ANN}", null, null, false]',
        f'["{BOB}", "email", "bob@example.com", "{BOB}", {2 * DAY_US}, "{EVENT}", false]',
    ],
    "link": [
        f'["{ANN}", "{PHONE}", {DAY_US}, "{EVENT}", null]',
        f'["{ANN}", "{BOB}", {2 * DAY_US}, "{EVENT}", "shared"]',
    ],
    "decision": [f'["{OTHER}", "{ANN}", "{MEMBER}", "linked", {DAY_US}, "same", "ops", "separated"]'],
    "thing": [f'["{ORDER}", "order", "o1", "{ANN}"]', f'["{CASE}", "case", "c1", "{ANN}"]'],
    "customer": [
        f'["{ANN}", 1, 1, {DAY_US}, {DAY_US}, {DAY_US}, 0, "{{\\"a\\":1}}", '
        f'"[[{DAY_US},\\"prospect\\",[]],[{9 * DAY_US},\\"churned\\",[\\"silent\\"]]]"]',
        f'["{BOB}", 0, 0, null, null, null, 0, "{{}}", "[]"]',
    ],
    "dead_letter": ['["abcd", "not_json"]'],
}
OF_ANN = {  # place in the lists above
    "timeline": (0,),
    "identifier": (0, 1, 2),
    "link": (0, 1),
    "decision": (0,),
    "thing": (0, 1),
    "customer": (0,),
}
# Another value of each type.
OTHERWISE = {
    "uuid": "'99999999-0000-0000-0000-000000000000'",
    "_uuid": "'{{99999999-0000-0000-0000-000000000000}}'",
    "text": "coalesce({column}, '') || 'x'",
    "_text": "'{{x}}'",
    "bool": "NOT {column}",
    "timestamptz": "coalesce({column}, '1970-01-09Z') + interval '1 microsecond'",
    "int4": "coalesce({column}, 0) + 100",
    "int8": "coalesce({column}, 0) + 100",
    "jsonb": """'{{"other": 1}}'""",
    "json": "'[[1,\"new\",[]]]'",
    "bytea": "'\\x99'",
}


@pytest.fixture
def filled(database: str) -> str:
    execute(database, ROWS)
    return database


def connect(url: str) -> Any:
    return psycopg2.connect(url, options=f"-c search_path={SCHEMA}")


def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    with closing(connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


@contextmanager
def snapshot(url: str, as_of_us: int | None = None) -> Iterator[DigestSnapshot]:
    with digest_snapshot(lambda: connect(url), as_of_us) as opened:
        yield opened


def digests(url: str, as_of_us: int | None = None) -> tuple[dict[str, TableDigest], dict[str, str]]:
    """Of each table, and of each customer."""
    with snapshot(url, as_of_us) as opened:
        return dict(opened.view().tables), {one.customer_id: one.sha256 for one in opened.customers()}


def columns(url: str) -> dict[str, dict[str, str]]:
    """Every table of the schema: its columns and their types."""
    found: dict[str, dict[str, str]] = {}
    for table, column, type_ in execute(
        url,
        "SELECT table_name, column_name, udt_name FROM information_schema.columns JOIN information_schema.tables "
        f"USING (table_schema, table_name) WHERE table_schema = '{SCHEMA}' AND table_type = 'BASE TABLE'",
    ):
        found.setdefault(table, {})[column] = type_
    return found


def test_a_table_is_the_sha256_of_its_lines(filled: str) -> None:
    tables, _ = digests(filled)
    for table, lines in LINES.items():
        expected = hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
        assert tables[table] == TableDigest(len(lines), expected), table
    assert tables.keys() == LINES.keys()


def test_a_customer_is_the_sha256_of_the_sorted_sha256_of_its_lines(filled: str) -> None:
    hashes = sorted(
        hashlib.sha256(f"{table} {LINES[table][place]}".encode()).digest()
        for table, places in OF_ANN.items()
        for place in places
    )
    with snapshot(filled) as opened:
        ann, bob = opened.customers()
        assert (ann.customer_id, ann.rows, ann.sha256) == (ANN, 10, hashlib.sha256(b"".join(hashes)).hexdigest())
        assert (bob.customer_id, bob.rows) == (BOB, 3)  # itself, its row, and the link that was refused
        assert [opened.customer(identifier) for identifier in (ANN, PHONE, MEMBER)] == [ann] * 3
        assert opened.customer(ORDER) is None


def test_the_answer_names_the_positions_and_the_projection_version(filled: str) -> None:
    with snapshot(filled) as opened:
        assert opened.positions == {("log", 0): 5, ("log", 1): 7}
        assert opened.projection_version == "customer-0-test"


def test_every_column_counts_or_says_why_not(database: str) -> None:
    found = columns(database)
    assert {table: set(names) for table, names in found.items() if table not in TABLES_LEFT_OUT} == {
        table: {*coverage.counts, *coverage.left_out} for table, coverage in COVERAGE.items()
    }
    assert TABLES_LEFT_OUT.keys() == found.keys() - COVERAGE.keys()


def test_each_column_that_counts_changes_the_digest_and_no_other_does(filled: str) -> None:
    before, customers_before = digests(filled)
    types = columns(filled)
    for table, coverage in COVERAGE.items():
        for column in (*coverage.counts, *coverage.left_out):
            with changed(filled, table, column, types[table][column]):
                after, customers_after = digests(filled)
            moved = {name for name in before if before[name] != after[name]}
            assert (table in moved) == (column in coverage.counts), f"{table}.{column}"
            assert moved <= {table}, f"{table}.{column}"
            of_customers = column in coverage.counts and table not in ("superseded", "dead_letter")
            assert (customers_after != customers_before) == of_customers, f"{table}.{column}"
    assert digests(filled) == (before, customers_before)


@contextmanager
def changed(url: str, table: str, column: str, type_: str) -> Iterator[None]:
    """One row with another value in one column, and the rows as they were again."""
    value = OTHERWISE[type_].format(column=column)
    if column == "verdict":
        value = "'unlinked'"
    execute(url, f"CREATE TABLE kept AS SELECT * FROM {table}")
    # Of things the one that follows another, or its via would not count.
    row = f"SELECT ctid FROM {table} ORDER BY ctid {'DESC' if column.startswith('via_') else ''} LIMIT 1"
    execute(url, f"UPDATE {table} SET {column} = {value} WHERE ctid = ({row})")
    try:
        yield
    finally:
        execute(url, f"TRUNCATE {table}; INSERT INTO {table} SELECT * FROM kept; DROP TABLE kept")


def test_null_is_not_an_empty_text(filled: str) -> None:
    before, _ = digests(filled)
    execute(filled, "UPDATE link SET refused = '' WHERE refused IS NULL")
    assert digests(filled)[0]["link"] != before["link"]


def test_why_a_link_without_evidence_was_refused_once_does_not_count(filled: str) -> None:
    execute(filled, "UPDATE link SET occurred_at = NULL, event_id = NULL")
    before = digests(filled)
    execute(filled, "UPDATE link SET refused = 'separated'")
    assert digests(filled) == before


def test_a_thing_that_nobody_owns_does_not_count(filled: str) -> None:
    before = digests(filled)
    execute(filled, f"INSERT INTO thing (thing_id, kind, value) VALUES ('{BOB}', 'order', 'o9')")
    assert digests(filled) == before


def test_as_of_an_instant_its_stage_counts_and_later_ones_do_not(filled: str) -> None:
    earlier, later = digests(filled, 5 * DAY_US), digests(filled, 9 * DAY_US)
    execute(filled, f"""UPDATE customer SET schedule = '[[{DAY_US},"prospect",[]]]' WHERE customer_id = '{ANN}'""")
    assert digests(filled, 5 * DAY_US) == earlier
    assert digests(filled, 9 * DAY_US)[0]["customer"] != later[0]["customer"]
    assert digests(filled, 9 * DAY_US)[1][ANN] != later[1][ANN]


def test_facts_are_not_cut_by_as_of(filled: str) -> None:
    before = digests(filled, 5 * DAY_US)
    execute(filled, "UPDATE customer SET last_event_at = '1970-01-09Z'")
    assert digests(filled, 5 * DAY_US)[0]["customer"] != before[0]["customer"]


def test_all_digests_are_of_one_snapshot(filled: str) -> None:
    before = digests(filled)
    with snapshot(filled) as opened:
        execute(filled, "UPDATE customer SET events = 99; UPDATE projector_offset SET next_offset = 99")
        assert dict(opened.view().tables) == before[0]
        assert {one.customer_id: one.sha256 for one in opened.customers()} == before[1]
        assert opened.positions == {("log", 0): 5, ("log", 1): 7}


def test_settings_of_the_session_do_not_take_part(filled: str) -> None:
    before = digests(filled)
    odd = "-c TimeZone=Asia/Kathmandu -c DateStyle=German -c IntervalStyle=iso_8601 -c bytea_output=escape"
    with digest_snapshot(
        lambda: psycopg2.connect(filled, options=f"-c search_path={SCHEMA} {odd} -c extra_float_digits=0")
    ) as opened:
        assert dict(opened.view().tables) == before[0]


def test_memory_does_not_grow_with_the_tables(filled: str) -> None:
    # 20,000 lines of about 2,100 characters are 40 MB
    execute(
        filled,
        "INSERT INTO identifier SELECT gen_random_uuid(), 'email', repeat('x', 2000) || n, gen_random_uuid() "
        "FROM generate_series(1, 20000) AS n",
    )
    with snapshot(filled) as opened:
        tracemalloc.start()
        try:
            assert opened.view().tables["identifier"].rows == 20_004
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 10_000_000


def test_tables_that_are_missing_are_told_with_the_command(postgres: str) -> None:
    with pytest.raises(ViewsUnavailableError, match="customer-timeline migrate"), snapshot(postgres):
        pass
