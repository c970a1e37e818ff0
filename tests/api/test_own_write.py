"""Reads that wait for positions: parameters, headers, verdicts, and how seldom Postgres is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest
from api_client import NOW_US, MakeClient
from memory_reader import MemoryReader
from view_rows import Views, viewed

from customer_timeline.api.own_write import MAX_TOKENS
from customer_timeline.api.standing import MAX_WAIT_S
from customer_timeline.api.waiting import PositionWaiter
from customer_timeline.projections.progress import DeadPosition, NotYet, PartitionProgress, Passed, Progress
from customer_timeline.projections.reading import ViewsUnavailableError
from customer_timeline.schemas.position_token import EventPosition, PositionToken

pytestmark = pytest.mark.anyio
ANN = ("email", "ann@example.com")
TOPIC_ID = "0b8f6a52-3c9f-4a0e-9d0c-7e1d5b2f4a61"
OTHER_ID = "11111111-2222-4333-8444-555555555555"
PROBLEM = "urn:customer-timeline:problem:"
VIEW = "/v1/customers/email:ann@example.com"
READS = (VIEW, f"{VIEW}/timeline", f"{VIEW}/lifecycle", "/v1/customers")
SECOND_US = 1_000_000


def token(*positions: tuple[int, int], topic_id: str = TOPIC_ID) -> str:
    return str(PositionToken.of_events(topic_id, [EventPosition(*at) for at in positions]))


def views(**next_offsets: int) -> Views:
    """Ann, and partitions p0, p1 … applied up to these offsets, with all that was recorded two seconds ago."""
    found = Views()
    found.customer([viewed(1, "2026-03-01T00:00:00Z", ANN)])
    for name, next_offset in next_offsets.items():
        advance(found, int(name[1:]), next_offset)
    return found


def advance(given: Views, partition: int, next_offset: int) -> None:
    given.progress["touchpoints", partition] = PartitionProgress(TOPIC_ID, next_offset, NOW_US - 2 * SECOND_US)


class CountingReader(MemoryReader):
    """Counts the questions about progress, and may fail them."""

    def __init__(self, given: Views) -> None:
        super().__init__(given)
        self.asked = 0
        self.looked_up: list[EventPosition] = []
        self.fail = False
        self.answering = asyncio.Event()
        self.answering.set()

    async def progress(self, topic: str) -> Progress:
        self.asked += 1
        found = await super().progress(topic)
        await self.answering.wait()
        if self.fail:
            raise ViewsUnavailableError("Postgres is not reachable.")
        return found

    async def dead_positions(self, topic: str, positions: Collection[EventPosition]) -> tuple[DeadPosition, ...]:
        self.looked_up += positions
        return await super().dead_positions(topic, positions)


@pytest.mark.parametrize("path", READS)
async def test_every_read_of_customers_answers_once_the_positions_are_passed(client: MakeClient, path: str) -> None:
    api = client(views(p0=5))
    assert (await api.get(path, params={"after": token((0, 4))})).status_code == 200
    assert (await api.get(path, headers={"Timeline-After": token((0, 4))})).status_code == 200
    for asked in ({"params": {"after": token((0, 5)), "wait_s": 0}}, _by_header(token((0, 5)))):
        refused = await api.get(path, **asked)
        assert (refused.status_code, refused.json()["type"]) == (409, f"{PROBLEM}not-yet")


def _by_header(text: str) -> dict[str, Any]:
    return {"headers": {"Timeline-After": text, "Prefer": "respond-async, wait=0"}}


async def test_every_read_of_customers_says_in_its_document_that_it_can_wait(client: MakeClient) -> None:
    document = (await client().get("/openapi.json")).json()
    for path, operations in document["paths"].items():
        if path.startswith("/v1/customers"):
            names = {parameter["name"] for parameter in operations["get"]["parameters"]}
            assert names >= {"after", "wait_s", "Timeline-After", "Prefer"}, path
            assert {"409", "422"} <= set(operations["get"]["responses"]), path


async def test_what_is_not_passed_says_what_was_asked_where_the_projector_stands_and_the_lag(
    client: MakeClient,
) -> None:
    response = await client(views(p0=2, p1=10)).get(
        VIEW, params={"after": token((0, 4), (1, 9), (3, 0)), "wait_s": "0"}
    )
    assert response.headers["retry-after"] == "1"
    assert response.headers["cache-control"] == "no-store"
    problem = response.json()
    assert problem["topic"] == "touchpoints"
    # Partition 0 lacks offsets 2, 3 and 4; partition 3 was never taken over, so its only record is missing.
    assert problem["positions"] == [
        {"partition": 0, "offset": 4, "next_offset": 2, "lag_events": 3, "lag_seconds": 2.0},
        {"partition": 1, "offset": 9, "next_offset": 10, "lag_events": 0, "lag_seconds": 0.0},
        {"partition": 3, "offset": 0, "next_offset": None, "lag_events": 1, "lag_seconds": None},
    ]
    assert "4 records" in problem["detail"]


async def test_a_read_that_waits_sees_what_was_applied_meanwhile(client: MakeClient) -> None:
    given = views(p0=1)
    api = client(given)
    waiting = asyncio.create_task(api.get(f"{VIEW}/timeline", params={"after": token((0, 1)), "wait_s": 10}))
    await asyncio.sleep(0.05)  # long enough for a read that does not wait to be answered; only its absence is asked
    assert not waiting.done()
    given.customer([viewed(1, "2026-03-01T00:00:00Z", ANN), viewed(2, "2026-03-02T00:00:00Z", ANN)])
    advance(given, 0, 2)
    assert [item["id"] for item in (await waiting).json()["items"]][:1] == ["e2"]


async def test_a_read_gives_up_when_its_own_wait_is_over_and_not_before(client: MakeClient) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    response = await client(views(p0=0)).get(VIEW, params={"after": token((0, 0)), "wait_s": "0.2"})
    assert response.status_code == 409
    assert loop.time() - began >= 0.2


async def test_several_tokens_all_count_wherever_they_stand(client: MakeClient) -> None:
    api = client(views(p0=5, p1=5))
    first, second, missing = token((0, 4)), token((1, 4)), token((1, 5))
    for after, header, status in (
        ([first, second], "", 200),
        ([first, missing], "", 409),
        ([first], second, 200),
        ([first], f"{second} , {missing}", 409),
        ([], f"{first},,{second}", 200),
    ):
        params, headers = {"after": after, "wait_s": "0"}, {"Timeline-After": header}
        assert (await api.get(VIEW, params=params, headers=headers)).status_code == status


@pytest.mark.parametrize("after", ["x", "secret-token", "é", " "])
@pytest.mark.parametrize("path", READS)
async def test_another_text_is_a_problem_that_does_not_repeat_it(client: MakeClient, path: str, after: str) -> None:
    response = await client(views(p0=5)).get(path, params={"after": after})
    assert (response.status_code, response.json()["type"]) == (400, f"{PROBLEM}invalid-position-token")
    assert "secret" not in response.text


@pytest.mark.parametrize(
    "params",
    [
        {"wait_s": "-1"},
        {"wait_s": f"{MAX_WAIT_S + 1}"},
        {"wait_s": "nan"},
        {"wait_s": "inf"},
        {"wait_s": "soon"},
        {"after": ""},
        {"after": [token((0, 1))] * (MAX_TOKENS + 1)},
    ],
    ids=str,
)
async def test_parameters_out_of_bounds_are_refused(client: MakeClient, params: dict[str, Any]) -> None:
    response = await client(views(p0=5)).get(VIEW, params=params)
    assert (response.status_code, response.json()["type"]) == (422, f"{PROBLEM}invalid-parameter")


async def test_too_many_tokens_are_refused_in_a_header_too(client: MakeClient) -> None:
    response = await client(views(p0=5)).get(VIEW, headers={"Timeline-After": ",".join([token((0, 1))] * 17)})
    assert (response.status_code, response.json()["type"]) == (422, f"{PROBLEM}invalid-parameter")


async def test_a_mistyped_filter_is_refused_beside_a_token_too(client: MakeClient) -> None:
    params = {"after": token((0, 4)), "chanel": "web"}
    response = await client(views(p0=5)).get(f"{VIEW}/timeline", params=params)
    assert (response.status_code, response.json()["errors"][0]["parameter"]) == (422, "chanel")


async def test_a_wait_without_positions_means_nothing(client: MakeClient) -> None:
    for path in READS:
        assert (await client(views()).get(path, params={"wait_s": "1"})).status_code == 200


@pytest.mark.parametrize(
    ("prefer", "waits"), [("wait=0", False), ("Wait = 0; x=1", False), ("wait=x", True), ("return=minimal", True)]
)
async def test_a_preference_that_cannot_be_read_is_passed_over(client: MakeClient, prefer: str, waits: bool) -> None:
    given = views(p0=0)
    headers = {"Timeline-After": token((0, 0)), "Prefer": prefer}
    asked = asyncio.create_task(client(given).get(VIEW, headers=headers))
    done, _ = await asyncio.wait([asked], timeout=0.5)
    assert bool(done) is not waits
    advance(given, 0, 1)
    assert (await asked).status_code == (200 if waits else 409)


async def test_an_event_that_became_a_dead_letter_is_named_with_its_reason(client: MakeClient) -> None:
    given = views(p0=0, p1=8)
    given.dead_letter(7, "not_json", "2026-03-01T00:00:00Z", error="personal words")
    # Partition 0 has not come to its event, and waiting for that would not mend the other.
    response = await client(given).get(VIEW, params={"after": token((1, 7), (0, 3)), "wait_s": "10"})
    assert (response.status_code, response.json()["type"]) == (422, f"{PROBLEM}became-dead-letter")
    assert response.json()["dead_letters"] == [
        {"topic": "touchpoints", "partition": 1, "offset": 7, "reason": "not_json"}
    ]
    assert "personal" not in response.text
    neighbour = await client(given).get(VIEW, params={"after": token((1, 6))})
    assert neighbour.status_code == 200


async def test_a_bulk_token_says_nothing_of_single_events(client: MakeClient) -> None:
    given = views(p1=8)
    given.dead_letter(7, "not_json", "2026-03-01T00:00:00Z")
    bulk = PositionToken.of_next_offsets(TOPIC_ID, {1: 8})
    assert (await client(given).get(VIEW, params={"after": str(bulk)})).status_code == 200


async def test_positions_of_a_topic_that_was_created_again_are_refused(client: MakeClient) -> None:
    api = client(views(p0=5))
    old = await api.get(VIEW, params={"after": token((0, 4), topic_id=OTHER_ID)})
    assert (old.status_code, old.json()["type"]) == (422, f"{PROBLEM}position-of-another-log")
    assert old.json()["topic_id"] == OTHER_ID
    mixed = await api.get(VIEW, params={"after": [token((0, 4)), token((0, 4), topic_id=OTHER_ID)]})
    assert (mixed.status_code, mixed.json()["type"]) == (422, f"{PROBLEM}position-of-another-log")


async def test_a_topic_of_another_name_is_not_looked_at(client: MakeClient) -> None:
    api = client(views(p0=5), topic="elsewhere")
    assert (await api.get(VIEW, params={"after": token((0, 4)), "wait_s": "0"})).status_code == 409


async def test_an_unchanged_customer_is_304_after_a_wait_too(client: MakeClient) -> None:
    api = client(views(p0=5))
    etag = (await api.get(VIEW)).headers["etag"]
    known = await api.get(VIEW, params={"after": token((0, 4))}, headers={"if-none-match": etag})
    assert (known.status_code, known.headers["etag"]) == (304, etag)


async def test_how_long_reads_waited_and_how_many_gave_up_is_counted(client: MakeClient) -> None:
    api = client(views(p0=5))
    for offset in (4, 5, 6):
        await api.get(VIEW, params={"after": token((0, offset)), "wait_s": "0"})
    await api.get(VIEW, params={"after": token((0, 5)), "wait_s": "0.6"})
    text = (await api.get("/metrics")).text
    assert 'customer_timeline_api_wait_seconds_count{outcome="passed"} 1.0' in text
    assert 'customer_timeline_api_wait_seconds_count{outcome="not_yet"} 3.0' in text
    # The wait is no slowness of the API: all four requests were faster than half a second without it.
    faster = 'customer_timeline_api_request_duration_seconds_bucket{le="0.5",method="GET",route="/v1/customers/{ref}"'
    assert [line.split()[-1] for line in text.splitlines() if line.startswith(faster)] == ["1.0", "3.0"]


async def test_however_many_wait_one_question_at_a_time_is_asked_and_none_once_nobody_waits() -> None:
    given = views(p0=0)
    reader = CountingReader(given)
    waiter = PositionWaiter(reader, "touchpoints", interval_s=0.02)
    wanted = PositionToken.parse(token((0, 0)))
    loop = asyncio.get_running_loop()
    began = loop.time()
    waits = [asyncio.create_task(waiter.wait(wanted, 10)) for _ in range(200)]
    await asyncio.sleep(0.2)  # ten intervals: they are what is counted
    advance(given, 0, 1)
    assert set(await asyncio.gather(*waits)) == {Passed()}
    assert 2 <= reader.asked <= (loop.time() - began) / 0.02 + 1
    asked = reader.asked
    await asyncio.sleep(0.1)  # five intervals in which nobody waits: nothing will happen that could be waited for
    assert reader.asked == asked


async def test_whether_an_event_is_a_dead_letter_is_looked_up_once_and_not_before_its_position_is_passed() -> None:
    given = views(p0=0)
    reader = CountingReader(given)
    waiter = PositionWaiter(reader, "touchpoints", interval_s=0.005)
    waiting = asyncio.create_task(waiter.wait(PositionToken.parse(token((0, 0), (1, 0))), 10))
    await asyncio.sleep(0.05)  # ten intervals in which it must not look: nothing to wait for
    assert reader.looked_up == []
    advance(given, 0, 1)
    await asyncio.sleep(0.05)  # ten intervals: it looks in the first, and must not again in the others
    assert reader.looked_up == [(0, 0)]
    advance(given, 1, 1)
    assert await waiting == Passed()
    assert reader.looked_up == [(0, 0), (1, 0)]


async def test_a_question_that_was_on_its_way_before_does_not_answer_who_came_later() -> None:
    given = views(p0=0)
    reader = CountingReader(given)
    waiter = PositionWaiter(reader, "touchpoints", interval_s=0.001)
    reader.answering.clear()
    wanted = PositionToken.parse(token((0, 0)))
    first = asyncio.create_task(waiter.wait(wanted, 0))
    await asyncio.sleep(0.01)  # the waiter's task has begun to ask; it says so to nobody
    advance(given, 0, 1)  # the first question has read where the projector stood before
    second = asyncio.create_task(waiter.wait(wanted, 0))
    await asyncio.sleep(0.01)  # the second one waits by now, behind the question under way
    reader.answering.set()
    assert isinstance(await first, NotYet)
    assert await second == Passed()


async def test_when_postgres_fails_everybody_is_told_and_the_next_one_asks_again() -> None:
    reader = CountingReader(views(p0=5))
    waiter = PositionWaiter(reader, "touchpoints")
    reader.fail = True
    wanted = PositionToken.parse(token((0, 4)))
    told = await asyncio.gather(*(waiter.wait(wanted, 10) for _ in range(5)), return_exceptions=True)
    assert [type(one) for one in told] == [ViewsUnavailableError] * 5
    reader.fail = False
    assert await waiter.wait(wanted, 10) == Passed()


async def test_who_goes_away_is_forgotten_and_the_server_can_stop() -> None:
    reader = CountingReader(views(p0=0))
    waiter = PositionWaiter(reader, "touchpoints", interval_s=0.001)
    wanted = PositionToken.parse(token((0, 0)))
    gone, stays = (asyncio.create_task(waiter.wait(wanted, 10)) for _ in range(2))
    await asyncio.sleep(0.01)  # both wait by now
    gone.cancel()
    await asyncio.sleep(0.01)  # ten intervals in which the one that stays must not end
    assert not stays.done()
    await waiter.aclose()
    with pytest.raises(asyncio.CancelledError):
        await stays
    await waiter.aclose()
