"""The catalogue: every type of event that can be decoded, found in `schemas/touchpoints/`.

A type is added by adding its class there. Pure: importing modules of this very package is all that happens here.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from customer_timeline.schemas import touchpoints
from customer_timeline.schemas.errors import CustomerTimelineError
from customer_timeline.schemas.touchpoint import TouchpointData


class AmbiguousType(CustomerTimelineError):  # noqa: N818 - named as the codebase names its verdicts
    """Two classes in `schemas/touchpoints/` declare the same type of event: `type_name`."""

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name
        super().__init__(f"two classes in schemas/touchpoints declare {type_name}: rename one or raise its version")


def _classes(root: type[TouchpointData]) -> Iterator[type[TouchpointData]]:
    for child in root.__subclasses__():
        yield from _classes(child)
        # Only this package counts: a test that defines a model of its own must not change what the product accepts.
        if child.type_name and child.__module__.startswith(touchpoints.__name__ + "."):
            yield child


def discover_types() -> dict[str, type[TouchpointData]]:
    """The classes in `schemas/touchpoints/` by their type. Raises AmbiguousType where two declare the same."""
    for module in pkgutil.iter_modules(touchpoints.__path__):
        importlib.import_module(f"{touchpoints.__name__}.{module.name}")
    found: dict[str, type[TouchpointData]] = {}
    for data in _classes(TouchpointData):
        if found.setdefault(data.type_name, data) is not data:
            raise AmbiguousType(data.type_name)
    return dict(sorted(found.items()))


CATALOGUE: Mapping[str, type[TouchpointData]] = MappingProxyType(discover_types())
"""Full type (`purchase.completed.v1`) to the model of its `data`; sorted by type."""
