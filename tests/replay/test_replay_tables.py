"""`--to parquet` and `--to duckdb`: typed, complete, and the same views over either."""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from generators import Shape, seeded_log
from reference.log_model import customers_of, history_of, log_then
from replay_runs import CODEC, asked, environment, expected, fill, killed, replay

from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.cuts import Cut, Past
from customer_timeline.runtime.replay import analysis
from customer_timeline.runtime.replay.columns import columns_of
from customer_timeline.schemas.decoded import DecodedEvent, to_micros
from customer_timeline.schemas.identity_policy import IdentityPolicy


class Written:
    """A log with every type of the catalogue in it, and what was written of it."""

    def __init__(self, kafka: str, folder: Path) -> None:
        self.records = fill(kafka, "replay-tables", seeded_log(4, Shape(events=500, any_type_percent=60)))
        environ = self.environment = {**os.environ, **environment(kafka, "replay-tables")}
        self.parquet, self.duckdb = folder / "history", folder / "history.duckdb"
        _, self.told = replay(environ, "--to", "parquet", "--output", self.parquet)
        replay(environ, "--to", "duckdb", "--output", self.duckdb)

    @property
    def events(self) -> dict[str, DecodedEvent]:
        """What counts, by event_id, as the reference has it."""
        winners = history_of(self.records, CODEC).winners
        events = [told.decoded._replace(recorded_at=told.recorded_at) for told in winners]
        return {event.event_id: event for event in events if event.type != "event.retracted.v1"}


@pytest.fixture(scope="module")
def written(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Written once for all of these."""
    return Written(kafka, tmp_path_factory.mktemp("tables"))


@pytest.mark.parametrize("form", ["parquet", "duckdb"])
def test_every_event_that_counts_is_there_once_with_its_bytes(written: Written, form: str) -> None:
    rows = asked(getattr(written, form), "SELECT event FROM events")
    assert Counter(event.encode().replace(b"\n", b" ") for (event,) in rows) == Counter(expected(written.records))


@pytest.mark.parametrize("form", ["parquet", "duckdb"])
def test_the_fixed_columns_say_what_the_projector_knows(written: Written, form: str) -> None:
    rows = asked(
        getattr(written, form),
        "SELECT event_id, type, occurred_at, recorded_at, revision, direction, sign_of_life, channel, anchor_id, "
        "family FROM events",
    )
    events = written.events
    assert len(rows) == len(events)
    for event_id, *found in rows:
        event = events[event_id]
        assert found == [
            event.type,
            event.occurred_at,
            event.recorded_at,
            event.revision,
            event.direction,
            event.sign_of_life,
            event.channel,
            event.anchor_id if event.listed else None,
            event.type.partition(".")[0],
        ]


def test_fields_are_typed_columns(written: Written) -> None:
    schema = columns_of("purchase").schema
    assert schema.field("total_amount").type == pa.decimal128(21, 6)
    assert schema.field("occurred_at").type == pa.timestamp("us", tz="UTC")
    assert schema.field("recurring").type == pa.bool_()
    rows = asked(written.parquet, "SELECT event, total_amount, total_currency, order_id FROM purchases")
    assert rows
    for event, amount, currency, order_id in rows:
        data = json.loads(event)["data"]
        assert amount == Decimal(data["total"]["amount"])
        assert (currency, order_id) == (data["total"]["currency"], data["order_id"])


def test_files_lie_by_family_and_month(written: Written) -> None:
    files = sorted((written.parquet / "events").glob("*/*/*.parquet"))
    assert len(files) == written.told["files"]
    for file in files:
        family, month = file.parts[-3].removeprefix("family="), file.parts[-2].removeprefix("month=")
        for row in pq.ParquetFile(file).read(["type", "occurred_at"]).to_pylist():
            assert row["type"].startswith(f"{family}.")
            assert f"{row['occurred_at']:%Y-%m}" == month


def test_people_are_the_customers_of_the_live_view(written: Written) -> None:
    wanted = customers_of(written.records, CODEC, IdentityPolicy())
    assert dict(asked(written.parquet, "SELECT id, person_id FROM people")) == wanted
    assert written.told["people"] == len(set(wanted.values()))
    rows = asked(written.duckdb, "SELECT event_id, person_id FROM events")
    events = written.events
    assert dict(rows) == {
        event_id: wanted.get(event.anchor_id or "") if event.listed else None for event_id, event in events.items()
    }


def test_customers_are_what_had_happened_by_then(written: Written) -> None:
    by_then = to_micros(datetime(2024, 4, 1, tzinfo=UTC))
    projection = CustomerProjection(BusinessCalendar("UTC"))
    then = log_then(written.records, CODEC, IdentityPolicy(), projection, Past(Cut(by_then), "cut"))
    wanted = {customer: _summary(events) for customer, events in then.events.items() if events}
    rows = asked(written.duckdb, "FROM customers_as_of('2024-04-01')")
    assert {customer: tuple(found) for customer, *found in rows} == wanted
    assert len(wanted) > 5


def _summary(events: list[DecodedEvent]) -> tuple[Any, ...]:
    """What `customers_as_of` says of a customer, in the order of its columns."""
    happened = [event.occurred_at for event in events]
    alive = [event.occurred_at for event in events if event.sign_of_life]
    channels = [event for event in events if event.channel is not None]
    bought = [event.occurred_at for event in events if event.type.startswith("purchase.completed.")]
    first = min(channels, key=lambda event: (event.occurred_at, event.event_id), default=None)
    return (
        *(min(happened), max(happened), max(alive, default=None), first and first.channel, len(events), len(bought)),
        *(min(bought, default=None), max(bought, default=None)),
    )


@pytest.mark.verify
def test_killed_as_it_decides_and_as_it_writes_the_rows_are_the_same(written: Written, tmp_path: Path) -> None:
    words = ("--to", "parquet", "--output", tmp_path / "history")
    for moment in (
        "deciding:Lost.merge:3",
        "parquet:fresh_folder:1",
        "parquet:_write_people:1",
        "parquet:identity_tables:1",
    ):
        killed(written.environment, moment, *words)
        assert [path.name for path in tmp_path.iterdir()] == ["history.replay"]
    replay(written.environment, *words)
    for query in ("SELECT * FROM events ORDER BY event_id", "SELECT * FROM people ORDER BY id"):
        assert asked(tmp_path / "history", query) == asked(written.parquet, query)


def test_what_is_no_data_of_a_replay_is_named(tmp_path: Path) -> None:
    with pytest.raises(analysis.NoDataError, match="is no data of a replay"):
        analysis.open_data(tmp_path)
    (tmp_path / "other").write_text("no database")
    with pytest.raises(analysis.NoDataError, match="is no data of a replay"):
        analysis.open_data(tmp_path / "other")


def test_a_query_that_fails_is_one_line(written: Written) -> None:
    with pytest.raises(analysis.QueryError, match=r"^The query failed: .*nowhere[^\n]*$"):
        asked(written.parquet, "SELECT * FROM nowhere")
