"""Named queries: each `.sql` file of this folder holds queries headed `-- name: what it does`.

Kept in files so that a reader of the schema finds every statement that runs against it in one place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType

_HEADER = re.compile(r"^-- (?P<name>[a-z_]+): .+$", re.MULTILINE)


@cache
def named_queries(file: str) -> Mapping[str, str]:
    """The queries of `file` (beside this module) by name. Raises ValueError where a name stands twice."""
    text = resources.files("customer_timeline.projections.postgres").joinpath(file).read_text(encoding="utf-8")
    found: dict[str, str] = {}
    headers = list(_HEADER.finditer(text))
    for header, following in zip(headers, [*headers[1:], None], strict=True):
        name = header["name"]
        if name in found:
            raise ValueError(f"{file} names the query {name!r} twice.")
        found[name] = text[header.end() : following.start() if following else len(text)].strip()
    return MappingProxyType(found)
