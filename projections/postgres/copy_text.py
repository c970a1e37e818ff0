"""Rows in the text format of COPY. The hot path writes thousands of rows a batch; COPY is the fastest way in."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

NULL = "\\N"

_READ_BYTES = 1 << 18


def escaped(text: str) -> str:
    """`text` as one field of a COPY row."""
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if "\n" in text or "\t" in text or "\r" in text:
        text = text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return text


def optional(text: str | None) -> str:
    """`text` as one field of a COPY row, null where there is none."""
    return NULL if text is None else escaped(text)


def uuid_array(ids: Iterable[str]) -> str:
    """A uuid[] literal; ids are canonical UUID text, so nothing needs quoting."""
    return "{" + ",".join(ids) + "}"


def copy_rows(cursor: Cursor, statement: str, rows: Iterable[str]) -> None:
    """Run a `COPY … FROM STDIN` with `rows`, each without its line end."""
    # One encoding and few reads: the driver would encode every 8 KiB by itself.
    cursor.copy_expert(statement, io.BytesIO(("\n".join(rows) + "\n").encode()), _READ_BYTES)
