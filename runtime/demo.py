"""Fills a running stack with the demo's customers and the CDNOW sample, and waits until all of it can be read."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from customer_timeline.producers.protocol import Publisher, Receipt
from customer_timeline.runtime.cdnow import cdnow_events
from customer_timeline.runtime.clock import SystemClock
from customer_timeline.runtime.personas import persona_events
from customer_timeline.runtime.settings import Settings
from customer_timeline.runtime.stories import Told
from customer_timeline.runtime.wiring import codec, connect, publisher
from customer_timeline.schemas.errors import CustomerTimelineError

_UNSETTLED = 2000  # receipts that are kept before the oldest is asked: bounded memory, no waiting in the ordinary case


class DemoError(CustomerTimelineError):
    """The demo's events did not become readable."""


class Plan(NamedTuple):
    """What the demo is made of. The same plan gives the same events, so filling twice changes nothing."""

    customers: int
    days: int
    seed: int
    until: datetime


def remembered(data_dir: Path | None, plan: Plan) -> Plan:
    """`plan`, ending when it ended at the folder's first demo: shifted by a day, events would contradict those."""
    if data_dir is None:
        return plan
    memory = data_dir / "demo.json"
    before: dict[str, str] = json.loads(memory.read_text()) if memory.exists() else {}
    key = f"{plan.customers}/{plan.days}/{plan.seed}"
    if key not in before:
        data_dir.mkdir(parents=True, exist_ok=True)
        memory.write_text(json.dumps({**before, key: plan.until.isoformat()}))
        return plan
    return plan._replace(until=datetime.fromisoformat(before[key]))


def fill(settings: Settings, plan: Plan) -> dict[int, int]:
    """Publish everything; the last position of each partition that was written. Raises PublishError."""
    last: dict[int, int] = {}
    with publisher(settings) as log:
        waiting: list[Receipt] = []
        for receipt in _published(log, settings, plan):
            waiting.append(receipt)
            if len(waiting) >= _UNSETTLED:
                _settle(waiting, last)
        _settle(waiting, last)
    return last


def _published(log: Publisher, settings: Settings, plan: Plan) -> Iterator[Receipt]:
    stories = persona_events(customers=plan.customers, days=plan.days, seed=plan.seed, until=plan.until)
    for event in stories:
        yield log.publish(event)
    reading, now = codec(settings), SystemClock().now()
    for raw in cdnow_events(sample=True):
        # Decoded once: the publisher takes that, with its bytes, as it is.
        yield log.publish(reading.decode(orjson.dumps(raw), appended_at=now))


def _settle(waiting: list[Receipt], last: dict[int, int]) -> None:
    for receipt in waiting:
        position = receipt.position()
        last[position.partition] = max(position.offset, last.get(position.partition, -1))
    waiting.clear()


def wait_projected(
    settings: Settings, last: Mapping[int, int], meanwhile: Callable[[], None], *, timeout_s: float = 120.0
) -> None:
    """Return when the views contain every record up to `last`, calling `meanwhile` a few times a second.

    Raises DemoError where that takes longer than `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    with closing(connect(settings)) as connection:
        connection.autocommit = True
        while True:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT part, next_offset FROM projector_offset WHERE topic = %s", [settings.touchpoints_topic]
                )
                reached = dict(cursor.fetchall())
            missing = {part: offset for part, offset in last.items() if reached.get(part, 0) <= offset}
            if not missing:
                return
            if time.monotonic() > deadline:
                raise DemoError(f"Partitions {sorted(missing)} were not applied within {timeout_s:.0f} s.")
            meanwhile()
            time.sleep(0.05)


def customer_url(settings: Settings, ref: str) -> str:
    """Where the API shows the customer."""
    return f"{settings.api_url}/v1/customers/{quote(ref, safe=':@.+-_')}"


def told(settings: Settings, ref: str) -> Told:
    """What the API answers about a customer. Raises urllib.error.HTTPError where it is no success."""
    url = customer_url(settings, ref)
    return Told(ref, ask(url), ask(f"{url}/lifecycle"))


def ask(url: str) -> Any:
    """What the API answers. Raises urllib.error.HTTPError where it is no success."""
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 (our own http address)
        return orjson.loads(answer.read())
