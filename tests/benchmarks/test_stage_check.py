"""The benchmark notices a customer whom the worker left without a stage."""

from __future__ import annotations

from contextlib import closing

import pytest

from benchmarks.contenders import CONTENDERS
from benchmarks.database import connect, unassessed
from benchmarks.throughput import DisagreementError, check
from benchmarks.workload import Answer

_INSERT = """
INSERT INTO customer (customer_id, gen, contested, events, signs_of_life, purchases, facts, schedule, rules, stage)
VALUES (gen_random_uuid(), 1, false, %s, 0, 0, '{}', %s, %s, %s)
"""
_SCHEDULE = '[[0, "prospect", []]]'


def test_customers_without_stage_schedule_or_the_current_rules_are_counted(database: str) -> None:
    with closing(connect(database)) as connection, connection, connection.cursor() as cursor:
        for row in (
            (3, _SCHEDULE, "1-now", "prospect"),  # as it should be
            (0, "[]", "", None),  # only a link names it
            (3, _SCHEDULE, "1-now", None),
            (3, "[]", "1-now", "prospect"),
            (3, _SCHEDULE, "1-old", "prospect"),
        ):
            cursor.execute(_INSERT, row)
    assert unassessed(database, "1-now") == 3


def test_a_worker_that_leaves_out_a_stage_ends_the_benchmark_and_a_peer_does_not(database: str) -> None:
    with closing(connect(database)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(_INSERT, (3, "[]", "", None))
    by_key = {contender.key: contender for contender in CONTENDERS}
    check(by_key["d"], database, Answer(0, 0, 1))
    with pytest.raises(DisagreementError, match="1 customers with events but without a stage"):
        check(by_key["a1"], database, Answer(0, 0, 1))
