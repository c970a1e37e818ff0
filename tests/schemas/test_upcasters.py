"""Old versions of events are lifted on reading, step by step, to the newest; the goal is a real type of this version.

The example: before `visit.completed.v1` became what it is, `v0` said how long in whole minutes, and had no kinds but
two kinds of place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field
from sample_records import SECRET, as_bytes, decode, event, rejection, with_data

from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.identity_policy import IdentityPolicy
from customer_timeline.schemas.json_schema import schema_texts
from customer_timeline.schemas.touchpoint import CustomerTouchpoint
from customer_timeline.schemas.touchpoints.visit import VisitCompleted
from customer_timeline.schemas.upcasters import InvalidUpcaster, Upcaster, Upcasters


class VisitCompletedV0(CustomerTouchpoint):
    """The customer was somewhere of ours."""

    type_name = "visit.completed.v0"
    who = "customer"
    life = True
    example: ClassVar[Mapping[str, Any]] = {
        "identifiers": [{"kind": "member_id", "value": "M-4711"}],
        "channel": "store",
        "place": "shop",
        "minutes": 25,
    }

    place: Literal["shop", "fair"]
    minutes: Annotated[int, Field(strict=True, ge=0, le=10_000)] | None = None


def lift_v0(old: VisitCompletedV0) -> dict[str, Any]:
    """Shops became stores, fairs exhibitions; minutes became seconds."""
    data = old.model_dump(mode="json", exclude_defaults=True, exclude={"place", "minutes"})
    data["kind"] = {"shop": "store", "fair": "exhibition"}[old.place]
    if old.minutes is not None:
        data["duration_s"] = old.minutes * 60
    return data


STEPS = Upcasters([Upcaster(VisitCompletedV0, "visit.completed.v1", lift_v0)])
CODEC = Codec(IdentityPolicy(), SECRET, upcasters=STEPS)


def old_visit(**data: Any) -> dict[str, Any]:
    return event("visit.completed.v1", type="visit.completed.v0", data={**VisitCompletedV0.example, **data})


def test_an_old_event_is_read_as_the_newest_version() -> None:
    record = old_visit(staff={"id": "agent-7"})
    found = decode(record, CODEC)
    assert found.type == "visit.completed.v1"
    assert isinstance(found.data, VisitCompleted)
    # 25 minutes are 1,500 seconds.
    assert (found.data.kind, found.data.duration_s) == ("store", 1500)
    assert found.data.staff is not None
    assert found.value == as_bytes(record)


def test_an_old_and_a_new_record_of_one_event_say_the_same() -> None:
    fields = {"identifiers": VisitCompletedV0.example["identifiers"], "channel": "store", "kind": "store"}
    new = event("visit.completed.v1", data={**fields, "duration_s": 1500})
    assert CODEC.canonical_hash(as_bytes(old_visit())) == CODEC.canonical_hash(as_bytes(new))
    assert decode(old_visit(), CODEC).event_id == decode(new, CODEC).event_id


def test_what_is_lifted_is_written_at_the_newest_version() -> None:
    published = CODEC.encode(CODEC.parse(as_bytes(old_visit())))
    assert decode(published, CODEC).type == "visit.completed.v1"


def test_an_old_event_is_validated_against_its_own_model() -> None:
    found = rejection(old_visit(minutes="many"), CODEC)
    assert (found.reason, found.type, found.field) == ("invalid_field", "visit.completed.v0", "data.minutes")
    assert rejection(old_visit(kind="store"), CODEC).field == "data.kind"
    assert rejection(old_visit(channel="telepathy"), CODEC).field == "data.channel"
    broken = {**old_visit(), "time": "yesterday"}
    assert (rejection(broken, CODEC).reason, rejection(broken, CODEC).field) == ("invalid_envelope", "time")


def test_without_the_step_the_old_type_is_unknown() -> None:
    assert rejection(old_visit()).reason == "unknown_type"


class VisitCompletedV2(VisitCompleted):
    """A version to come, in which a visit names its host."""

    type_name = "visit.completed.v2"

    host: str


def test_steps_are_taken_one_after_the_other() -> None:
    def lift_v1(old: VisitCompleted) -> dict[str, Any]:
        return {**old.model_dump(mode="json", exclude_defaults=True), "host": "unknown"}

    steps = Upcasters([*STEPS, Upcaster(VisitCompleted, "visit.completed.v2", lift_v1)])
    catalogue = {name: data for name, data in CATALOGUE.items() if name != "visit.completed.v1"}
    catalogue["visit.completed.v2"] = VisitCompletedV2
    codec = Codec(IdentityPolicy(), SECRET, upcasters=steps, catalogue=catalogue)
    for record in (old_visit(), with_data("visit.completed.v1", duration_s=1500)):
        found = decode(record, codec)
        assert isinstance(found.data, VisitCompletedV2)
        assert (found.data.duration_s, found.data.host) == (1500, "unknown")


def test_old_versions_keep_their_schema() -> None:
    assert "visit.completed.v0.json" in schema_texts(upcasters=STEPS)


@pytest.mark.parametrize("to_type", ["visit.completed.v0", "visit.completed.v2", "visit.ended.v1", "visit.completed"])
def test_a_step_leads_to_the_next_version_of_the_same_type(to_type: str) -> None:
    with pytest.raises(InvalidUpcaster, match=r"visit\.completed\.v0"):
        Upcasters([Upcaster(VisitCompletedV0, to_type, lift_v0)])
