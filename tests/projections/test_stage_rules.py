"""Thresholds: bounds that keep the law, and a version that tells them apart."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from customer_timeline.projections.stage_rules import StageRules


@pytest.mark.parametrize("name", ["silent_days", "churn_days", "dormant_days", "contract_grace_days"])
def test_silence_is_never_shorter_than_two_days(name: str) -> None:
    # A local day can last 27 hours, and facts hold its first and last instant alone.
    assert getattr(StageRules(**{name: 2}), name) == 2
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        StageRules(**{name: 1})


@pytest.mark.parametrize(
    "wrong",
    [
        {"won_back_days": 0},
        {"new_days": -1},
        {"silent_gaps": 0},
        {"silent_days": 36_501},
        {"unhappy_csat": 6},
        {"unhappy_nps": 11},
        {"silent_days": 30.5},
        {"silent_day": 30},
    ],
)
def test_other_values_and_names_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        StageRules.model_validate(wrong)


def test_every_threshold_says_what_it_is() -> None:
    assert all(field.description for field in StageRules.model_fields.values())


def test_the_version_changes_with_every_threshold_and_with_nothing_else() -> None:
    versions = {StageRules().version, StageRules(silent_days=30).version}
    assert len(versions) == 1
    for name in StageRules.model_fields:
        versions.add(StageRules(**{name: getattr(StageRules(), name) + 1}).version)
    assert len(versions) == 1 + len(StageRules.model_fields)
