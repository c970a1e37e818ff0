"""Upcasters: old versions of events, lifted on reading, so that everything above the codec sees only the newest.

The log is never rewritten: an event published as `visit.completed.v1` stays so, and is read as `v2` once there is
one. An old version keeps its model here, so that what is lifted has been validated first and a lift cannot fail.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from customer_timeline.schemas.errors import CustomerTimelineError
from customer_timeline.schemas.touchpoint import TouchpointData

_TYPE: Final = re.compile(r"([a-z]+\.[a-z_]+)\.v([0-9]{1,4})")


class InvalidUpcaster(CustomerTimelineError):  # noqa: N818 - named as the codebase names its verdicts
    """An upcaster does not lift one version of a type to the next: `from_type`, `to_type`."""

    def __init__(self, from_type: str, to_type: str) -> None:
        self.from_type = from_type
        self.to_type = to_type
        super().__init__(f"an upcaster lifts a type to its next version, this one goes from {from_type} to {to_type}")


class Upcaster(NamedTuple):
    """One step: from the old model to the next version's `data` (JSON values).

    `lift` is total on valid old data, pure, and gives the same result for ever: canonical hashes rest on it.
    """

    old: type[TouchpointData]
    to_type: str
    lift: Callable[[Any], Mapping[str, Any]]


class Upcasters:
    """All steps, by the type that they lift."""

    def __init__(self, steps: Iterable[Upcaster] = ()) -> None:
        self._steps: dict[str, Upcaster] = {}
        for step in steps:
            before, after = _TYPE.fullmatch(step.old.type_name), _TYPE.fullmatch(step.to_type)
            # Only upwards and by one: a chain then always ends.
            if not before or not after or before[1] != after[1] or int(after[2]) != int(before[2]) + 1:
                raise InvalidUpcaster(step.old.type_name, step.to_type)
            self._steps[step.old.type_name] = step

    def step(self, type_name: str) -> Upcaster | None:
        """The step that lifts `type_name`; None where it is no old version."""
        return self._steps.get(type_name)

    def __iter__(self) -> Any:
        return iter(self._steps.values())


UPCASTERS: Final = Upcasters()
"""The steps of the product. None yet: every type is at its first version."""
