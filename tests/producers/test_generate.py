"""A new type of event slots in by generating the module again, whatever of the common fields it declares anew."""

from __future__ import annotations

import ast
from types import ModuleType
from typing import Any, ClassVar, Literal

import pytest
from published_log import NOON
from pydantic import SkipValidation

from customer_timeline.producers.generate import generate
from customer_timeline.producers.parts import email
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.errors import InvalidEvent
from customer_timeline.schemas.touchpoint import CompanyTouchpoint, CustomerTouchpoint
from customer_timeline.schemas.values import Token


class PodcastCommented(CustomerTouchpoint):
    """The customer commented on a podcast. It must be said where."""

    type_name = "podcast.commented.v1"
    platform: Token
    mood: Literal["delighted", "contented", "indifferent", "disappointed", "infuriated", "sarcastic beyond recognition"]
    marks: tuple[int, ...] | None = None


class TrainingStarted(CompanyTouchpoint):
    """We began to teach somebody something."""

    type_name = "training.started.v1"
    theme: Token


class PulseMeasured(CustomerTouchpoint):
    """Somebody's pulse, in a type that no builder can express."""

    type_name = "pulse.measured.v1"
    example: ClassVar[dict[str, Any]] = {}
    pulse: SkipValidation[complex]


@pytest.fixture(scope="module")
def grown() -> str:
    return generate({**CATALOGUE, "podcast.commented.v1": PodcastCommented, "training.started.v1": TrainingStarted})


@pytest.fixture(scope="module")
def module(grown: str) -> ModuleType:
    made = ModuleType("grown")
    exec(compile(grown, "grown.py", "exec"), made.__dict__)  # noqa: S102 - the generated text itself is under test
    return made


def test_the_functions_of_new_types_build_events(module: ModuleType) -> None:
    commented = module.podcast_commented(
        source="/weibo",
        time=NOON,
        identifiers=[email("a@example.com")],
        channel="social",
        platform="weibo",
        mood="contented",
    )
    started = module.training_started(source="/board", time=NOON, theme="late delivery", channel="office")

    assert commented.data.platform == "weibo"
    assert started.data.channel == "office"
    assert {"podcast_commented", "training_started", "purchase_completed"} <= set(module.__all__)


def test_a_common_field_that_a_type_requires_is_a_parameter_of_its_own(module: ModuleType) -> None:
    assert "platform" not in module.CustomerFieldsWithoutPlatform.__annotations__
    assert "platform" in module.CustomerFields.__annotations__
    with pytest.raises(TypeError, match="platform"):
        module.podcast_commented(source="/weibo", time=NOON, channel="social", mood="contented")


def test_a_company_touchpoint_takes_no_identifiers(module: ModuleType) -> None:
    with pytest.raises(InvalidEvent) as caught:
        module.training_started(source="/board", time=NOON, theme="x", identifiers=[email("a@example.com")])
    assert caught.value.field == "data.identifiers"


def test_the_text_is_the_same_for_the_same_catalogue_and_keeps_within_the_line_length(grown: str) -> None:
    again = generate({"training.started.v1": TrainingStarted, "podcast.commented.v1": PodcastCommented, **CATALOGUE})

    assert grown == again
    assert max(map(len, grown.splitlines())) <= 120
    ast.parse(grown)


def test_a_field_that_cannot_be_expressed_is_refused_with_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"complex.*teach it there"):
        generate({"pulse.measured.v1": PulseMeasured})
