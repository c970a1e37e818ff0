"""Who was who at an instant, asked of what a replay wrote: what the reference and the live view say for that cut."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import live_log
import pytest
from generators import Sent
from pipeline import POLICY, SCHEMA, ZONE, Pipeline, farm, pipeline
from reference.log_model import Record, customers_of, log_then
from replay_runs import CODEC, asked, environment, fill, hard_log, replay

from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.cuts import Cut, Past
from customer_timeline.projections.history_identity import HistoryIdentity
from customer_timeline.projections.postgres.cut_reader import PostgresCutReader
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.runtime.replay import analysis
from customer_timeline.runtime.replay.as_of import PersonsAsOf
from customer_timeline.runtime.settings import PREFIX
from customer_timeline.schemas.decoded import from_micros, to_micros
from customer_timeline.schemas.identity_policy import IdentityPolicy

__all__ = ["farm", "pipeline"]  # fixtures: a log, a database, and workers between them


class Written:
    """A log, and what was written of it in both forms."""

    def __init__(self, kafka: str, topic: str, log: list[Sent], folder: Path, *words: str) -> None:
        self.records = fill(kafka, topic, log)
        self.parquet, self.duckdb = folder / "history", folder / "history.duckdb"
        for form, output in (("parquet", self.parquet), ("duckdb", self.duckdb)):
            replay({**os.environ, **environment(kafka, topic)}, "--to", form, "--output", output, *words)


@pytest.fixture(scope="module")
def hard(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A log with everything in it that makes identity hard; only purchases are taken out."""
    log = hard_log(9, 600)
    return Written(kafka, "replay-as-of", log, tmp_path_factory.mktemp("hard"), "--type", "purchase")


def _named(day: str, type_: str, *names: str, **data: Any) -> Sent:
    identifiers = [dict(zip(("kind", "value"), one.split(":"), strict=True)) for one in names]
    return _sent(day, type_, identifiers=identifiers, channel="phone", **data)


def _sent(day: str, type_: str, **data: Any) -> Sent:
    told = {"specversion": "1.0", "id": f"{type_}-{day}", "source": "/shop", "type": f"{type_}.v1"}
    value = json.dumps({**told, "time": f"{day}T12:00:00Z", "data": data}).encode()
    return Sent(value, headers=(("recordedtime", f"{day}T12:00:00Z".encode()),))


def _decided(day: str, verdict: str) -> Sent:
    a, b = ({"kind": kind, "value": value} for kind, value in (("email", "ann@example.com"), ("phone", "+12025550100")))
    return _sent(day, f"identity.{verdict}", a=a, b=b, reason="She says so.", operator="op")


CALL = {"direction": "inbound", "duration_s": 60, "result": "answered"}
PAGE = {"url": "https://shop.example/"}


def _story() -> list[Sent]:
    """One person by mail, one by phone. A call of March says that they are one; an operator takes that back in May, and
    says it again in July.
    """
    return [
        _named("2026-01-10", "page.viewed", "email:ann@example.com", **PAGE),
        _named("2026-02-10", "call.completed", "phone:+12025550100", **CALL),
        _named("2026-03-10", "call.completed", "email:ann@example.com", "phone:+12025550100", **CALL),
        _decided("2026-05-10", "unlinked"),
        _named("2026-06-10", "page.viewed", "email:ann@example.com", **PAGE),
        _decided("2026-07-10", "linked"),
    ]


@pytest.fixture(scope="module")
def story(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The story, written once."""
    return Written(kafka, "replay-as-of-story", _story(), tmp_path_factory.mktemp("story"))


@pytest.mark.parametrize("form", ["parquet", "duckdb"])
def test_who_was_one_person_is_what_had_been_said_by_then(story: Written, form: str) -> None:
    data = getattr(story, form)
    # By month's end: events of each person. The call of March stands at the stronger identifier, the email address.
    by_month = {
        "2026-01-01": [],
        "2026-02-01": [1],
        "2026-03-01": [1, 1],
        "2026-04-01": [3],
        "2026-06-01": [1, 2],
        "2026-07-01": [1, 3],
        "2026-08-01": [4],
    }
    for end, events in by_month.items():
        found = asked(data, f"SELECT events FROM customers_as_of('{end}') ORDER BY 1")
        assert [count for (count,) in found] == events, end
        persons = asked(data, f"SELECT count(*), count(DISTINCT person_id) FROM events_as_of('{end}') WHERE listed")
        assert persons == [(sum(events), len(events))], end


@pytest.mark.parametrize("form", ["parquet", "duckdb"])
def test_an_instant_may_come_from_a_table(story: Written, form: str) -> None:
    ends = "(VALUES (DATE '2026-03-01'), ('2026-04-01'), ('2026-06-01'), (NULL)) AS ends"
    # Whatever it is called: these are columns of events and people, too.
    for name in ("month", "occurred_at", "id", "t"):
        each = f"SELECT (SELECT count(*) FROM customers_as_of({name})) FROM {ends} ({name})"
        found = asked(getattr(story, form), f"{each} ORDER BY {name} NULLS LAST")
        assert found == [(2,), (1,), (2,), (0,)]
    assert asked(getattr(story, form), "SELECT count(*) FROM customers_as_of('infinity')") == [(1,)]
    assert asked(getattr(story, form), "SELECT count(*) FROM customers_as_of('-infinity')") == [(0,)]


def _instants(records: list[Record], count: int) -> list[int]:
    """Instants at which something happened, and those just before."""
    random = Random(3)
    happened = sorted({event.occurred_us for event in _winners(records)})
    return [at - before for at in random.sample(happened, count) for before in (1, 0)]


def _winners(records: list[Record]) -> list[Any]:
    projection = CustomerProjection(BusinessCalendar("UTC"))
    return log_then(records, CODEC, POLICY, projection, Past(Cut(), "cut")).winners


@pytest.mark.parametrize("form", ["parquet", "duckdb"])
def test_people_as_of_are_the_customers_of_the_reference_at_that_cut(hard: Written, form: str) -> None:
    connection = analysis.open_data(getattr(hard, form))
    seen = set()
    for as_of in _instants(hard.records, 12):
        query = f"SELECT id, person_id FROM people_as_of(make_timestamptz({as_of}))"
        found = dict(analysis.ask(connection, query)[1])
        assert found == customers_of(hard.records, CODEC, POLICY, Cut(as_of))
        seen.add(tuple(sorted(found.items())))
    connection.close()
    assert len(seen) > 10


def test_events_and_customers_as_of_are_those_of_the_reference_at_that_cut(hard: Written) -> None:
    connection = analysis.open_data(hard.parquet)
    projection = CustomerProjection(BusinessCalendar("UTC"))
    for as_of in _instants(hard.records, 4):
        then = log_then(hard.records, CODEC, POLICY, projection, Past(Cut(as_of), "cut"))
        wanted = {
            customer: sum(event.type.startswith("purchase.") for event in events)
            for customer, events in then.events.items()
        }
        counted = analysis.ask(connection, f"SELECT person_id, events FROM customers_as_of(make_timestamptz({as_of}))")
        assert dict(counted[1]) == {customer: count for customer, count in wanted.items() if count}
    connection.close()


def test_people_as_of_are_the_customers_of_the_live_view(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.append(hard_log(5, 200), lambda sent: sum(sent.key or b"") % 2)
    pipeline.start(100)
    pipeline.settle()
    named = {f"{PREFIX}{name.upper()}": value for name, value in pipeline.settings(100, "w0").items()}
    replay({**os.environ, **named}, "--to", "parquet", "--output", tmp_path / "history", "--jobs", "1")
    connection = analysis.open_data(tmp_path / "history")
    everybody = [one for (one,) in analysis.ask(connection, "SELECT id FROM identity_names")[1]]
    parted = set()
    for as_of in _instants(live_log.read_back(pipeline.bootstrap, pipeline.topic), 6):
        query = f"SELECT id, person_id FROM people_as_of(make_timestamptz({as_of}))"
        found = dict(analysis.ask(connection, query)[1])
        live = asyncio.run(_live(pipeline, everybody, Past(Cut(as_of), "cut")))
        assert {one: found.get(one) for one in everybody} == live
        parted.add(frozenset(live.items()))
    connection.close()
    assert len(parted) > 5


async def _live(pipeline: Pipeline, everybody: list[str], past: Past) -> dict[str, str | None]:
    """The customer of each identifier, as the API answers at a cut."""
    projection, rules = CustomerProjection(BusinessCalendar(ZONE)), StageRules()
    reader = PostgresCutReader(pipeline.url, SCHEMA, CODEC, POLICY, projection, rules)
    try:
        records = {one: await reader.customer(one, past) for one in everybody}
    finally:
        await reader.aclose()
    return {one: record and record.customer_id for one, record in records.items()}


def test_plain_duckdb_refuses_instead_of_telling_another_identity(story: Written) -> None:
    connection = duckdb.connect(str(story.duckdb), read_only=True)
    assert connection.execute("SELECT count(DISTINCT person_id) FROM events WHERE listed").fetchall() == [(1,)]
    for query in ("SELECT purchases FROM customers_as_of('2026-03-01')", "SELECT count(*) FROM events_as_of(now())"):
        with pytest.raises(duckdb.Error, match="is worked out by `customer-timeline sql`"):
            connection.execute(query).fetchall()
    connection.close()


def test_files_of_an_older_version_say_what_to_do(story: Written, tmp_path: Path) -> None:
    shutil.copytree(story.parquet, tmp_path / "history")
    shutil.rmtree(tmp_path / "history" / "identity")
    with pytest.raises(analysis.QueryError, match="replay once more"):
        asked(tmp_path / "history", "SELECT * FROM customers_as_of('2026-03-01')")
    assert asked(tmp_path / "history", "SELECT count(*) FROM events WHERE listed") == [(4,)]


def test_what_says_who_is_who_holds_no_value_of_an_identifier(story: Written) -> None:
    written = b"".join(path.read_bytes() for path in sorted((story.parquet / "identity").iterdir()))
    rows = [str(asked(story.parquet, f"FROM identity_{name}")) for name in ("names", "links", "decisions", "things")]
    assert written
    assert "email" in rows[0]
    for row in rows:
        assert "ann@" not in row
        assert "2025550100" not in row


def test_facts_are_loaded_once_and_an_instant_is_worked_out_once_whoever_asks(hard: Written) -> None:
    loads = []
    told = HistoryIdentity()
    for event in _winners(hard.records):
        told.add(event)

    def load() -> tuple[HistoryIdentity, IdentityPolicy]:
        loads.append(1)
        return told, POLICY

    past = PersonsAsOf(load)
    assert loads == []
    instants = _instants(hard.records, 3)
    ids = list(told.customers(POLICY))
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(past.people, ids, [at_us] * len(ids)) for at_us in instants * 4]
    for at_us, answer in zip(instants * 4, asked, strict=True):
        wanted = told.as_of(at_us).customers(POLICY)
        assert answer.result() == [wanted.get(one) for one in ids]
    assert loads == [1]
    assert past.people(["nobody", None, ids[0]], [instants[0], instants[0], None]) == [None, None, None]


def test_instants_are_compared_to_the_microsecond(story: Written) -> None:
    call = to_micros(from_micros(0).replace(year=2026, month=3, day=10, hour=12))
    for as_of, persons in ((call - 1, 2), (call, 1)):
        assert asked(story.parquet, f"SELECT count(*) FROM customers_as_of(make_timestamptz({as_of}))") == [(persons,)]


@pytest.mark.parametrize("module", ["analysis", "parquet"])
def test_without_pyarrow_the_extra_is_named(module: str) -> None:
    code = f"import sys; sys.modules['pyarrow'] = None; import customer_timeline.runtime.replay.{module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "pip install 'customer-timeline[analytics]'" in done.stderr.splitlines()[-1]
