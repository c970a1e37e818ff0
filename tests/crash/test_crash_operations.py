"""Workers that are killed while they apply what an operator decides: the next one ends as an undisturbed one does."""

from __future__ import annotations

import json
import signal
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import live_log
import pytest
from generators import Sent, Shape, seeded_log
from live_log import anywhere
from pipeline import POLICY, SECRET, ZONE, Pipeline
from reference.log_model import reference
from worker_farm import Trap, until

from customer_timeline.producers.operations import OperationsLog
from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.runtime import wiring
from customer_timeline.runtime.settings import Settings
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.operations import Operation, OperationKind, OperationPlace

KIOSK = frozenset({"kiosk"})
SHOWN = ("operation_written", "operation_committed")
STEPS = (
    "operation_begun",
    "operation_inserted",
    "operation_locked",
    "operation_identified",
    "operation_folded",
    *SHOWN,
)


def by_kiosk(sent: Sent) -> Sent:
    """The record, by a channel that the code of before does not know."""
    record = json.loads(sent.value or b"")
    record["data"]["channel"] = "kiosk"
    return Sent(json.dumps(record).encode(), sent.key, sent.headers)


def failing(number: int) -> Sent:
    data = {"survey_id": "s", "csat": 4, "via": "online", "identifiers": [{"kind": "email", "value": "a@example.com"}]}
    record = {"specversion": "1.0", "id": f"a-{number}", "source": "/surveys", "type": "survey.answered.v1"}
    return by_kiosk(Sent(json.dumps({**record, "time": f"2024-03-{number:02}T10:00:00Z", "data": data}).encode()))


def _kill_while_applying(pipeline: Pipeline, steps: Sequence[str], seed: int) -> None:
    log = seeded_log(seed, Shape(events=60, people=10))
    pipeline.append([*log, *map(failing, range(1, 9))], anywhere(seed, 4))
    pipeline.start(100)
    pipeline.settle()
    pipeline.workers[-1].kill()
    today = {**pipeline.settings(100, "w0"), "extra_channels": '["kiosk"]'}
    pipeline.execute("UPDATE projection_meta SET projection_version = %s", _version(today))
    failed = pipeline.query("SELECT part, position FROM dead_letter ORDER BY 1, 2")
    with OperationsLog(pipeline.bootstrap, f"{pipeline.topic}.operations") as operations:
        operations.append(_operation(pipeline, "retried", failed))
        operations.append(_operation(pipeline, "discarded", failed[:1]))
    for step in steps:
        killed = pipeline.farm.start(today, Trap(step, 1, signal.SIGKILL))
        pipeline.workers.append(killed)
        assert killed.wait() == -signal.SIGKILL
    pipeline.workers.append(pipeline.farm.start(today))
    until(lambda: len(pipeline.query("SELECT FROM operation")) == 2, "both operations are applied")
    codec = Codec(POLICY, SECRET.encode(), extra_channels=KIOSK)
    records = live_log.read_back(pipeline.bootstrap, pipeline.topic)
    pipeline.check(reference(records, codec, POLICY, CustomerProjection(BusinessCalendar(ZONE))))
    ((healed, left),) = pipeline.query("SELECT healed, failed FROM operation WHERE kind = 'retried'")
    assert (healed >= 8, healed + left) == (True, len(failed))


def test_a_worker_killed_while_it_applies_an_operation_loses_nothing_and_doubles_nothing(pipeline: Pipeline) -> None:
    _kill_while_applying(pipeline, SHOWN, seed=1)


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(10))
def test_a_worker_killed_at_every_step_of_an_operation(pipeline: Pipeline, seed: int) -> None:
    _kill_while_applying(pipeline, STEPS, seed)


def _operation(pipeline: Pipeline, kind: OperationKind, places: Sequence[tuple[int, int]]) -> Operation:
    return Operation(
        operation_id=uuid.uuid4(),
        kind=kind,
        operator="ops",
        reason="the channel is known by now",
        decided_at=datetime(2026, 1, 1, tzinfo=UTC),
        places=tuple(OperationPlace(topic=pipeline.topic, partition=part, offset=at) for part, at in places),
    )


def _version(settings: dict[str, str]) -> str:
    return wiring.projection_version(
        Settings(
            identity_secret=settings["identity_secret"],
            business_time_zone=settings["business_time_zone"],
            extra_channels=KIOSK,
        )
    )
