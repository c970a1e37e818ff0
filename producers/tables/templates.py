"""Texts with columns in them: `shop:{order_id}`. The one notation for ids, identifiers and plain fields of a mapping.

`{name}` is the cell of that column, `{#}` the number of the row, `{{` and `}}` are braces. Pure.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

ROW_NUMBER: Final = "#"
_PIECE: Final = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]")


class Template(NamedTuple):
    """A parsed template: `literals` has one text more than `columns`, and they alternate, beginning with a text."""

    literals: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def constant(self) -> str | None:
        """The text itself where no column stands in it."""
        return None if self.columns else self.literals[0]


def parse_template(text: str) -> Template:
    """The template that `text` writes. Raises ValueError for a brace that neither names a column nor is doubled."""
    literals, columns, position = [""], [], 0
    for piece in _PIECE.finditer(text):
        literals[-1] += text[position : piece.start()]
        position = piece.end()
        if piece[1] is not None:
            columns.append(piece[1])
            literals.append("")
        elif len(piece[0]) == 2:
            literals[-1] += piece[0][0]
        else:
            raise ValueError(
                f"a single {piece[0]} means nothing: write {{column}}, or {piece[0] * 2} for the sign itself"
            )
    literals[-1] += text[position:]
    return Template(tuple(literals), tuple(columns))
