"""Everything that is wrong with a record at once, for those who repair it; one thing is told as it always was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sample_records import event, with_data

from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.errors import InvalidEvent, RejectionReason
from customer_timeline.schemas.faults import parse_or_tell_all
from customer_timeline.schemas.identity_policy import IdentityPolicy

CODEC = Codec(IdentityPolicy(), b"a secret of the tests")


def refused(record: Any) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as found:
        parse_or_tell_all(CODEC, json.dumps(record).encode())
    return found.value


def fields(record: Any) -> list[str]:
    return [one.split(": ")[0] for one in refused(record).detail.split("; ")]


def test_a_valid_event_is_not_refused() -> None:
    parse_or_tell_all(CODEC, json.dumps(event("survey.answered.v1")).encode())


@pytest.mark.parametrize(
    "record",
    [
        with_data("survey.answered.v1", csat=6),
        with_data("survey.answered.v1", channel="pigeon"),
        with_data("survey.answered.v1", identifiers=[]),
        event("survey.answered.v1", time=5),
        event("survey.answered.v1", type="no.such.v1"),
        event("survey.answered.v1", type=5),
        [],
        5,
    ],
)
def test_one_fault_is_told_as_the_projector_tells_it(record: Any) -> None:
    with pytest.raises(InvalidEvent) as told:
        CODEC.parse(json.dumps(record).encode())
    found = refused(record)
    assert (str(found), found.reason, found.field) == (str(told.value), told.value.reason, told.value.field)


def test_several_faults_are_told_in_one_sentence_the_projectors_first() -> None:
    record = with_data("survey.answered.v1", csat=6, nps=11)
    found = refused(record)
    assert str(found) == (
        "invalid_field (survey.answered.v1): data.csat: Input should be less than or equal to 5; "
        "data.nps: Input should be less than or equal to 10"
    )
    assert (found.reason, found.field) == (RejectionReason.INVALID_FIELD, None)


def test_unknown_channels_are_told_with_all_other_faults() -> None:
    assert fields(with_data("survey.answered.v1", csat=6, channel="pigeon")) == ["data.csat", "data.channel"]
    both = with_data("consent.granted.v1", channel="pigeon", on_channel="drum")
    assert fields(both) == ["data.channel", "data.on_channel"]


def test_of_very_many_faults_some_are_told_and_the_others_counted() -> None:
    told = fields(with_data("survey.answered.v1", **{f"extra_{number}": 1 for number in range(25)}))
    assert (len(told), told[-1]) == (21, "and 5 more")
