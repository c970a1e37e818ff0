"""GET /v1/dead-letters and /v1/dead-letters/{topic}/{partition}/{offset}"""

from __future__ import annotations

import pytest
from api_client import MakeClient
from view_rows import Views

from customer_timeline.api import examples
from customer_timeline.api.dead_letters import DeadLetterGroupsView, DeadLetterView

pytestmark = pytest.mark.anyio
URL = "/v1/dead-letters"
SURVEY = "survey.answered.v1"


@pytest.fixture
def views() -> Views:
    views = Views()
    for number, csat in ((1, "10"), (2, "11"), (3, "12")):
        error = f"invalid_field ({SURVEY} at data.answers[{csat}]): Input should be a valid string"
        views.dead_letter(number, "invalid_field", f"2026-03-0{number}T00:00:00Z", b"ann@", error, SURVEY)
    views.dead_letter(9, "not_json", "2026-03-09T00:00:00Z", value=None, error="not_json: the record is empty")
    return views


async def test_groups_come_with_count_and_when_they_were_seen_first_and_last(client: MakeClient, views: Views) -> None:
    answer = await client(views).get(URL, params={"type": "survey.answered"})
    assert answer.status_code == 200, answer.text
    DeadLetterGroupsView.model_validate_json(answer.text)
    (group,) = answer.json()["items"]
    assert group == {
        "fingerprint": views.letters[0].summary.fingerprint,
        "reason": "invalid_field",
        "type": SURVEY,
        "error": "invalid_field (survey.answered.v# at data.answers[#]): Input should be a valid string",
        "count": 3,
        "open": 3,
        "first_seen_at": "2026-03-01T00:00:00Z",
        "last_seen_at": "2026-03-03T00:00:00Z",
        "last": {"topic": "touchpoints", "partition": 1, "offset": 3},
    }
    assert answer.json()["next_cursor"] is None


async def test_a_state_is_a_filter_and_what_was_decided_is_told(client: MakeClient, views: Views) -> None:
    views.dead_letter(20, "not_json", "2026-03-05T00:00:00Z", state="discarded")
    api = client(views)
    (group,) = (await api.get(URL, params={"state": "discarded"})).json()["items"]
    assert (group["count"], group["open"], group["last"]["offset"]) == (1, 0, 20)
    one = (await api.get(f"{URL}/touchpoints/1/20")).json()
    assert (one["state"], one["decision"]["operator"], one["decision"]["reason"]) == ("discarded", "ops", "so")
    assert (await api.get(URL, params={"state": "mended"})).status_code == 422


async def test_cursors_lead_through_all_groups_with_the_filters_they_were_made_with(
    client: MakeClient, views: Views
) -> None:
    api = client(views)
    first = (await api.get(URL, params={"limit": 1})).json()
    assert [group["reason"] for group in first["items"]] == ["not_json"]
    second = (await api.get(URL, params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert ([group["reason"] for group in second["items"]], second["next_cursor"]) == (["invalid_field"], None)
    other = await api.get(URL, params={"cursor": first["next_cursor"], "reason": "not_json"})
    assert (other.status_code, other.json()["type"]) == (400, "urn:customer-timeline:problem:invalid-cursor")


async def test_an_unchanged_answer_is_not_sent_again(client: MakeClient, views: Views) -> None:
    api = client(views)
    for url in (URL, f"{URL}/touchpoints/1/3"):
        etag = (await api.get(url)).headers["etag"]
        assert (await api.get(url, headers={"if-none-match": etag})).status_code == 304
    etag = (await api.get(URL)).headers["etag"]
    views.dead_letter(10, "not_json", "2026-03-10T00:00:00Z")
    assert (await api.get(URL, headers={"if-none-match": etag})).status_code == 200


async def test_a_record_is_told_without_its_content(client: MakeClient, views: Views) -> None:
    answer = await client(views).get(f"{URL}/touchpoints/1/3")
    assert answer.status_code == 200, answer.text
    told = DeadLetterView.model_validate_json(answer.text)
    assert (told.offset, told.reason, told.type, told.size_bytes) == (3, "invalid_field", SURVEY, 4)
    assert "ann@" not in answer.text
    empty = await client(views).get(f"{URL}/touchpoints/1/9")
    assert empty.json()["size_bytes"] is None


@pytest.mark.parametrize(
    ("path", "status", "problem"),
    [
        ("/touchpoints/1/4", 404, "unknown-dead-letter"),
        ("/touchpoints/1/x", 422, "invalid-parameter"),
        ("/touchpoints/-1/1", 422, "invalid-parameter"),
        (f"/touchpoints/1/{1 << 63}", 422, "invalid-parameter"),
        ("?reason=bad", 422, "invalid-parameter"),
        ("?since=yesterday", 422, "invalid-parameter"),
        ("?fingerprint=xyz", 422, "invalid-parameter"),
        ("?reasons=not_json", 422, "invalid-parameter"),
        ("?cursor=AAAA", 400, "invalid-cursor"),
    ],
)
async def test_what_cannot_be_answered_is_a_problem(
    client: MakeClient, views: Views, path: str, status: int, problem: str
) -> None:
    answer = await client(views).get(URL + path)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:customer-timeline:problem:{problem}")
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_examples_have_the_documented_shapes() -> None:
    DeadLetterGroupsView.model_validate(examples.DEAD_LETTERS)
    DeadLetterView.model_validate(examples.DEAD_LETTER)
