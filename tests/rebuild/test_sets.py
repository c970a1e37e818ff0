"""The second set of tables, without a log: room, indexes, and who finds which set under which name."""

from __future__ import annotations

import shutil
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
import pytest
from rebuilt_sets import made, make_indexes, silent
from worker_farm import until

from customer_timeline.projections.journal import RefusedError, TransientStorageError
from customer_timeline.projections.postgres.view_set import ViewSetPin
from customer_timeline.runtime import wiring
from customer_timeline.runtime.rebuild import making
from customer_timeline.runtime.rebuild.indexing import indexing
from customer_timeline.runtime.rebuild.sets import RebuildError, SetStatus, schema_of, settings_of, statuses
from customer_timeline.runtime.rebuild.switching import behind, drop, droppable, rollback, switch
from customer_timeline.runtime.settings import Settings

Usage = namedtuple("Usage", "total used free")
INDEXES = """SELECT indexname, replace(indexdef, schemaname || '.', '') FROM pg_indexes
WHERE schemaname = %s ORDER BY indexname"""

HOLDER = """SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
WAITS = """SELECT FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND datname = current_database() AND query LIKE 'CREATE INDEX%%'"""
GATE = HOLDER.replace("AND granted", "AND NOT granted")


def rows(settings: Settings, query: str, *parameters: object) -> list[tuple[object, ...]]:
    with closing(wiring.connect(settings)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())


def test_a_rebuild_that_does_not_fit_on_the_disk_is_refused_unless_forced(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10, 9, 1))
    with pytest.raises(RebuildError, match=r"will take about .* but only 0 MB are free"):
        making.make(settings, force=False, told=silent)
    assert [one.role for one in statuses(settings)] == ["live"]
    assert making.make(settings, force=True, told=silent) is False
    assert making.make(settings, force=False, told=silent) is True  # it is there: nothing to refuse


def test_the_indexes_that_were_left_out_are_made_in_the_end(settings: Settings) -> None:
    making.make(settings, force=False, told=silent)
    rebuild = schema_of(settings, "rebuild")
    live = rows(settings, INDEXES, settings.database_schema)
    assert len(rows(settings, INDEXES, rebuild)) < len(live)
    with pytest.raises(RebuildError, match="still being filled"):
        switch(settings, max_lag=0, force=True)
    make_indexes(settings)
    assert rows(settings, INDEXES, rebuild) == live


def interrupted_at_the_timeline(settings: Settings) -> None:
    """Ctrl-C while the index of a table that somebody else locks is made."""
    with indexing(settings) as indexes:
        indexes.begin(but=indexes.tables - {"timeline"})
        until(lambda: bool(rows(settings, WAITS)), "the index waits for the table")
        raise KeyboardInterrupt


def test_who_interrupts_a_rebuild_does_not_wait_for_an_index(settings: Settings) -> None:
    making.make(settings, force=False, told=silent)
    ours = settings_of(settings, "rebuild")
    absent = rows(ours, "SELECT cardinality(absent_indexes) FROM view_set")
    with closing(wiring.connect(ours)) as writer, writer.cursor() as cursor:
        # Were the index waited for, this would end, and it would be made.
        cursor.execute("SET idle_in_transaction_session_timeout = '20s'")
        cursor.execute("LOCK TABLE timeline IN ROW EXCLUSIVE MODE")
        with pytest.raises(KeyboardInterrupt):
            interrupted_at_the_timeline(settings)
        assert rows(ours, "SELECT cardinality(absent_indexes) FROM view_set") == absent
    make_indexes(settings)
    assert rows(ours, "SELECT cardinality(absent_indexes) FROM view_set") == [(0,)]


def test_nobody_puts_customers_together_before_all_is_there(settings: Settings) -> None:
    making.make(settings, force=False, told=silent)
    finishing = wiring.finishing(settings_of(settings, "rebuild"))
    written: list[int] = []
    with finishing.shut() as gate, ThreadPoolExecutor(1) as pool:
        early = pool.submit(finishing.write, 0, 1, written.append)
        until(lambda: bool(rows(settings, GATE)), "it waits at the gate")
        finishing.prepare()  # makes what `write` reads
        assert not early.done()
        gate.open()
        early.result(10)
    finishing.end()
    assert not finishing.waits()


def test_a_gate_that_has_opened_by_itself_is_no_gate(settings: Settings) -> None:
    making.make(settings, force=False, told=silent)
    finishing = wiring.finishing(settings_of(settings, "rebuild"))
    with finishing.shut() as gate:
        assert rows(settings, f"SELECT pg_terminate_backend(pid) FROM ({HOLDER}) AS held") == [(True,)]
        with pytest.raises(psycopg2.Error):
            gate.open()


def test_only_one_process_fills(settings: Settings) -> None:
    with making.only_one(settings), pytest.raises(RebuildError, match="running already"), making.only_one(settings):
        pass
    with making.only_one(settings):
        pass


def test_a_set_is_not_switched_before_it_was_verified_unless_forced(settings: Settings) -> None:
    made(settings)
    with pytest.raises(RebuildError, match="not been verified"):
        switch(settings, max_lag=0, force=False)
    switch(settings, max_lag=0, force=True)
    assert [one.role for one in statuses(settings)] == ["live", "old"]
    with pytest.raises(RebuildError, match="set before the last switch"):
        making.make(settings, force=False, told=silent)
    rollback(settings, max_lag=0, force=False)
    assert [one.role for one in statuses(settings)] == ["live", "rebuild"]
    drop(settings, droppable(settings))
    assert [one.role for one in statuses(settings)] == ["live"]
    with pytest.raises(RebuildError, match="no set to drop"):
        droppable(settings)


def test_no_set_is_dropped_but_the_one_that_was_chosen(settings: Settings) -> None:
    def again(*, gone: SetStatus) -> None:
        before = [(one.role, one.set_id) for one in statuses(settings)]
        with pytest.raises(RebuildError, match="nothing was changed"):
            drop(settings, gone)
        assert [(one.role, one.set_id) for one in statuses(settings)] == before

    made(settings)
    rebuild = droppable(settings)
    switch(settings, max_lag=0, force=True)
    again(gone=rebuild)  # it is live by now
    old = droppable(settings)
    assert (rebuild.role, old.role) == ("rebuild", "old")
    rollback(settings, max_lag=0, force=True)
    again(gone=old)
    drop(settings, droppable(settings))
    made(settings)
    again(gone=rebuild)  # another one has its name


def test_a_set_that_was_killed_while_it_was_made_is_dropped_unless_it_was_finished(settings: Settings) -> None:
    rebuild = schema_of(settings, "rebuild")
    with closing(wiring.connect(settings)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {rebuild}")
    unfinished = droppable(settings)
    assert (unfinished.role, unfinished.set_id) == ("rebuild", "")
    drop(settings, unfinished)
    assert rows(settings, "SELECT FROM pg_namespace WHERE nspname = %s", rebuild) == []
    made(settings)
    with pytest.raises(RebuildError, match="nothing was changed"):
        drop(settings, unfinished)


def test_a_long_read_makes_the_switch_give_up_and_change_nothing(settings: Settings) -> None:
    made(settings)
    with closing(wiring.connect(settings)) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM customer")
        with pytest.raises(RebuildError, match="Somebody has been reading"):
            switch(settings, max_lag=0, force=True, timeout_s=0)
    assert [one.role for one in statuses(settings)] == ["live", "rebuild"]


def test_a_writer_goes_on_with_its_set_whatever_its_name(settings: Settings) -> None:
    made(settings)
    pin = ViewSetPin(lambda: wiring.connect(settings))
    with closing(pin.connect()) as connection, connection.cursor() as cursor:
        pin.check(cursor)
        connection.rollback()
        switch(settings, max_lag=0, force=True)
        with pytest.raises(TransientStorageError, match="were switched"):
            pin.check(cursor)
        connection.rollback()
    with closing(pin.connect()) as connection, connection.cursor() as cursor:
        pin.check(cursor)
        cursor.execute("SELECT current_schema()")
        assert cursor.fetchone() == (schema_of(settings, "old"),)
    drop(settings, droppable(settings))
    with pytest.raises(RefusedError, match="was dropped"):
        pin.connect()


def test_a_writer_of_the_rebuild_finds_it_when_nothing_has_its_old_name(settings: Settings) -> None:
    made(settings)
    named = settings.model_copy(update={"database_schema": schema_of(settings, "rebuild")})
    pin = ViewSetPin(lambda: wiring.connect(named))
    with closing(pin.connect()) as connection, connection.cursor() as cursor:
        pin.check(cursor)
        connection.rollback()
        switch(settings, max_lag=0, force=True)
        with pytest.raises(TransientStorageError, match="another name"):
            pin.check(cursor)
    with closing(pin.connect()) as connection, connection.cursor() as cursor:
        pin.check(cursor)


def test_a_set_that_is_held_still_lets_only_its_holder_write(settings: Settings) -> None:
    pin, holder = (
        ViewSetPin(lambda: wiring.connect(settings)),
        ViewSetPin(lambda: wiring.connect(settings), holding=True),
    )
    with (
        closing(wiring.connect(settings)) as session,
        closing(pin.connect()) as worker,
        closing(holder.connect()) as verifier,
    ):
        with session, session.cursor() as cursor:
            cursor.execute(
                "UPDATE view_set SET held_pid = pg_backend_pid(), held_since = "
                "(SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())"
            )
        with worker.cursor() as cursor, pytest.raises(TransientStorageError, match="being verified"):
            pin.check(cursor)
        worker.rollback()
        with verifier.cursor() as cursor:
            holder.check(cursor)
        # One that holds it no longer, however it ended, holds nobody up.
        with session, session.cursor() as cursor:
            cursor.execute("UPDATE view_set SET held_since = '2020-01-01Z'")
        with worker.cursor() as cursor:
            pin.check(cursor)


def test_how_far_behind_counts_no_partition_that_is_ahead() -> None:
    def standing(**positions: int) -> SetStatus:
        at = {int(name[1:]): position for name, position in positions.items()}
        return SetStatus("live", "s", "", None, at, (), 0, 0, True, None)

    assert behind(standing(p0=5, p1=9), standing(p0=7, p1=3, p2=4)) == 6  # 2 in partition 0, all 4 of partition 2


def test_a_name_that_leaves_no_room_is_refused(settings: Settings) -> None:
    long = settings.model_copy(update={"database_schema": "x" * 60})
    with pytest.raises(RebuildError, match="too long"):
        schema_of(long, "rebuild")
