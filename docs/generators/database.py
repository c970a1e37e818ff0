"""The page of tables and views: what the migrations say with COMMENT ON, in the order in which they create things."""

from __future__ import annotations

import re
from importlib import resources

from docs.generators.markdown import page as markdown_page
from docs.generators.markdown import table

INTRODUCTION = """
Everything is in one schema (`customer_timeline` unless set otherwise), written by the projector only. All instants
are `timestamptz`. Everything can be built again from the log, so nothing here needs to be edited by hand. Columns
without a comment say what their name says.
"""

_CREATE = re.compile(r"^CREATE (?:OR REPLACE )?(TABLE|VIEW) (\w+)(?: \((.*?)^\)|\s+AS\b)", re.MULTILINE | re.DOTALL)
_ADDED = re.compile(r"^ALTER TABLE (\w+) ADD COLUMN (\w+)\s+([\w\[\]]+)", re.MULTILINE)
_COMMENT = re.compile(r"^COMMENT ON (?:TABLE|VIEW|COLUMN) ([\w.]+) IS\s+'((?:[^']|'')*)';", re.MULTILINE)
_COLUMN = re.compile(r"^    ([a-z]\w*)\s+((?:timestamptz|double precision|[a-z]+)(?:\[\])?)([^\n]*)$", re.MULTILINE)


def _migrations() -> str:
    folder = resources.files("customer_timeline.projections.postgres") / "migrations"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return "\n".join(entry.read_text() for entry in files)


def _columns(name: str, body: str, comments: dict[str, str], added: list[tuple[str, str, str]]) -> str:
    found = [
        (column, kind, "" if "NOT NULL" in rest or "PRIMARY KEY" in rest else "yes")
        for column, kind, rest in _COLUMN.findall(body)
    ]
    found += [(column, kind, "yes") for relation, column, kind in added if relation == name]
    rows = [(f"`{column}`", kind, empty, comments.get(f"{name}.{column}", "")) for column, kind, empty in found]
    return table(("column", "type", "may be null", "meaning"), rows)


def _view_columns(name: str, comments: dict[str, str]) -> str:
    columns = [(key.partition(".")[2], text) for key, text in comments.items() if key.startswith(name + ".")]
    return table(("column", "meaning"), [(f"`{column}`", text) for column, text in columns]) if columns else ""


def page() -> str:
    """docs/reference/database.md."""
    sql = _migrations()
    comments = {name: text.replace("''", "'") for name, text in _COMMENT.findall(sql)}
    added = _ADDED.findall(sql)
    parts = []
    for kind, name, body in _CREATE.findall(sql):
        parts += [f"## {kind.capitalize()} `{name}`", comments.get(name, "")]
        parts.append(_columns(name, body, comments, added) if kind == "TABLE" else _view_columns(name, comments))
    return markdown_page("Tables and views", INTRODUCTION, *(part for part in parts if part))
