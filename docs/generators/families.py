"""The families of events, as the modules in `schemas/touchpoints/` name themselves in their first line."""

from __future__ import annotations

import sys
from typing import NamedTuple

from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.touchpoint import TouchpointData


class Family(NamedTuple):
    """Types that belong together: the family's name, what it is about, and its types by name."""

    name: str
    about: str
    types: tuple[type[TouchpointData], ...]


def families() -> list[Family]:
    """Every family of the catalogue, by name."""
    modules: dict[str, list[type[TouchpointData]]] = {}
    for data in CATALOGUE.values():
        modules.setdefault(data.__module__, []).append(data)
    found = []
    for module, types in modules.items():
        first, _, _ = (sys.modules[module].__doc__ or "").strip().partition("\n")
        name, _, about = first.partition(": ")
        found.append(Family(name, about[:1].upper() + about[1:], tuple(types)))
    return sorted(found, key=lambda family: family.name)
