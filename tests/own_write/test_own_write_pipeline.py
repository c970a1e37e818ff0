"""Publish, then read at once with the token: real Kafka, worker, Postgres and API."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from api_process import command, serving
from generators import Sent
from live_log import end_offsets, recreate_topic
from pipeline import SECRET, ZONE, Pipeline
from published_log import NOON

from customer_timeline.producers.protocol import Publisher
from customer_timeline.producers.touchpoints import Event, email, page_viewed
from customer_timeline.runtime import wiring
from customer_timeline.runtime.settings import PREFIX, Settings
from customer_timeline.schemas.position_token import EventPosition, PositionToken

PROBLEM = "urn:customer-timeline:problem:"
TIMES = 25
PEOPLE = 2


def viewed(id_: str, who: str) -> Event[Any]:
    url = "https://shop.example.com/"
    return page_viewed(source="/shop", id=id_, time=NOON, identifiers=[email(who)], channel="web", url=url)


@dataclass
class Deployment:
    """A pipeline with an API of two processes before it and a publisher behind it."""

    pipeline: Pipeline
    publisher: Publisher
    address: str
    environment: dict[str, str]

    def get(self, path: str, after: object, wait_s: float | None = None) -> httpx.Response:
        """On a new connection, so whichever process accepts it answers."""
        params = {"after": str(after)} | ({} if wait_s is None else {"wait_s": str(wait_s)})
        return httpx.get(f"{self.address}{path}", params=params, timeout=60)

    def break_record(self) -> EventPosition:
        """Append something that no adapter would publish; where it stands."""
        self.pipeline.append([Sent(b"{", None, ())], lambda sent: 0)
        return EventPosition(0, end_offsets(self.pipeline.bootstrap, self.pipeline.topic)[0] - 1)


@pytest.fixture(params=["confluent", "kafka-python"])
def deployment(request: pytest.FixtureRequest, pipeline: Pipeline, tmp_path: Path) -> Iterator[Deployment]:
    told = {
        "kafka_bootstrap": pipeline.bootstrap,
        "database_url": pipeline.url,
        "touchpoints_topic": pipeline.topic,
        "identity_secret": SECRET,
        "business_time_zone": ZONE,
        "publisher": request.param,
    }
    environment = {**os.environ, **{f"{PREFIX}{name.upper()}": value for name, value in told.items()}}
    publisher = wiring.publisher(Settings(**cast("Any", told)))
    with serving(environment, tmp_path / "api.log", "--workers", "2") as (_, address), publisher:
        yield Deployment(pipeline, publisher, address, environment)


only_once = pytest.mark.parametrize("deployment", ["confluent"], indirect=True)


def test_who_publishes_and_reads_at_once_with_the_token_finds_the_event(deployment: Deployment) -> None:
    """Fifty times, two people side by side: the read races the projector every time."""
    deployment.pipeline.start()

    def publish_and_read(person: int) -> None:
        who = f"person{person}@example.com"
        view = f"/v1/customers/email:{who}"
        for n in range(TIMES):
            token = deployment.publisher.publish(viewed(f"{person}-{n}", who)).token()
            page = deployment.get(f"{view}/timeline?limit=200", token, wait_s=10)
            assert page.status_code == 200, page.text
            assert {item["id"] for item in page.json()["items"]} == {f"{person}-{seen}" for seen in range(n + 1)}
            assert deployment.get(view, token).json()["activity"]["events"] == n + 1

    with ThreadPoolExecutor(PEOPLE) as threads:
        list(threads.map(publish_and_read, range(PEOPLE)))

    everything = deployment.publisher.token
    listed = deployment.get("/v1/customers", everything)
    assert [row["events"] for row in listed.json()["items"]] == [TIMES] * PEOPLE
    assert deployment.get("/v1/customers/email:person0@example.com/lifecycle", everything).status_code == 200
    counted = httpx.get(f"{deployment.address}/metrics").text
    # Both reads of every round, the list and the lifecycle; no one gave up.
    assert f'api_wait_seconds_count{{outcome="passed"}} {2 * TIMES * PEOPLE + 2}.0' in counted
    assert 'outcome="not_yet"' not in counted


@only_once
def test_while_the_worker_is_stopped_a_read_gives_up_and_once_it_resumes_the_read_is_answered(
    deployment: Deployment,
) -> None:
    worker = deployment.pipeline.start()
    view = "/v1/customers/email:ann@example.com"
    first = deployment.publisher.publish(viewed("1", "ann@example.com")).token()
    assert deployment.get(view, first, wait_s=10).status_code == 200
    worker.send(signal.SIGSTOP)

    token = deployment.publisher.publish(viewed("2", "ann@example.com")).token()
    refused = deployment.get(view, token, wait_s=0.2)

    assert (refused.status_code, refused.json()["type"]) == (409, f"{PROBLEM}not-yet")
    (at,) = refused.json()["positions"]
    # The only record of that partition that is to come; the one before it is applied.
    assert (at["offset"], at["next_offset"], at["lag_events"]) == (1, 1, 1)
    assert at["lag_seconds"] is not None
    assert deployment.get(view, first, wait_s=0).status_code == 200
    said = command(deployment.environment, "customer", "show", "email:ann@example.com", "--after", str(token))
    assert (said.returncode, "1 records" in said.stderr) == (4, True)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(deployment.get, f"{view}/timeline", token, 10)
        worker.send(signal.SIGCONT)
        assert [item["id"] for item in waiting.result().json()["items"]].count("2") == 1
    for words in (("show",), ("timeline",), ("lifecycle",)):
        said = command(
            deployment.environment, "customer", *words, "email:ann@example.com", "--after", str(token), "--json"
        )
        assert said.returncode == 0, said.stderr
    listed = command(deployment.environment, "customer", "list", "--after", str(token), "--json")
    assert json.loads(listed.stdout)["items"][0]["events"] == 2


@only_once
def test_before_any_worker_has_taken_a_partition_over_a_read_is_told_so(deployment: Deployment) -> None:
    token = deployment.publisher.publish(viewed("1", "ann@example.com")).token()
    view = "/v1/customers/email:ann@example.com"

    refused = deployment.get(view, token, wait_s=0)

    assert refused.status_code == 409
    (at,) = refused.json()["positions"]
    assert (at["next_offset"], at["lag_events"], at["lag_seconds"]) == (None, 1, None)
    deployment.pipeline.start()
    assert deployment.get(view, token, wait_s=10).status_code == 200


@only_once
def test_an_event_that_became_a_dead_letter_is_told_and_its_neighbours_are_read(deployment: Deployment) -> None:
    deployment.pipeline.start()
    view = "/v1/customers/email:ann@example.com"
    good = deployment.publisher.publish(viewed("1", "ann@example.com")).token()
    at = deployment.break_record()
    broken = PositionToken.of_events(good.topic_id, [at])

    refused = deployment.get(view, PositionToken.merged([good, broken]), wait_s=10)

    assert (refused.status_code, refused.json()["type"]) == (422, f"{PROBLEM}became-dead-letter")
    assert refused.json()["dead_letters"] == [
        {"topic": deployment.pipeline.topic, **at._asdict(), "reason": "not_json"}
    ]
    assert deployment.get(view, good).status_code == 200
    said = command(deployment.environment, "customer", "show", "email:ann@example.com", "--after", str(broken))
    assert (said.returncode, "publish it again" in said.stderr) == (1, True)


@only_once
def test_a_token_of_several_partitions_waits_for_all_of_them(deployment: Deployment) -> None:
    people = [f"person{number}@example.com" for number in range(30)]
    tokens = [deployment.publisher.publish(viewed(who, who)).token() for who in people]
    together = PositionToken.merged(tokens)
    assert len(together.next_offsets) == 4
    deployment.pipeline.start(batch_events=3)

    assert deployment.get("/v1/customers?limit=200", together, wait_s=10).json()["count"] == len(people)


@only_once
def test_a_token_from_before_the_topic_was_created_again_is_refused(deployment: Deployment) -> None:
    pipeline = deployment.pipeline
    pipeline.start()
    view = "/v1/customers/email:ann@example.com"
    old = deployment.publisher.publish(viewed("1", "ann@example.com")).token()
    assert deployment.get(view, old, wait_s=10).status_code == 200
    pipeline.close()
    deployment.publisher.close()
    recreate_topic(pipeline.bootstrap, pipeline.topic)
    pipeline.forget_everything()
    pipeline.execute("DELETE FROM projector_offset")
    pipeline.start(name="w1")
    with wiring.publisher(_settings(deployment)) as publisher:
        new = publisher.publish(viewed("2", "ann@example.com")).token()

    assert deployment.get(view, new, wait_s=10).status_code == 200
    refused = deployment.get(view, old, wait_s=10)
    assert (refused.status_code, refused.json()["type"]) == (422, f"{PROBLEM}position-of-another-log")
    both = httpx.get(f"{deployment.address}{view}", params={"after": [str(old), str(new)]})
    assert (both.status_code, both.json()["type"]) == (422, f"{PROBLEM}position-of-another-log")


def _settings(deployment: Deployment) -> Settings:
    names = ("kafka_bootstrap", "database_url", "touchpoints_topic", "identity_secret", "business_time_zone")
    return Settings(**cast("Any", {name: deployment.environment[f"{PREFIX}{name.upper()}"] for name in names}))


@only_once
def test_garbage_is_refused_by_the_command_line_too(deployment: Deployment) -> None:
    said = command(deployment.environment, "customer", "show", "email:ann@example.com", "--after", "garbage")
    assert (said.returncode, "position token" in said.stderr, "Traceback" in said.stderr) == (1, True, False)
