"""How marked blocks of a page are read and compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from snippet_pages import Command, WriteFile, steps


def test_only_marked_blocks_are_steps(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```console\n$ rm -rf everything\n```\n"
        '<!-- file: a.json -->\n```json\n{"a": 1}\n```\n'
        "<!-- run -->\n```console\n$ one \\\n  --more\nsaid\n$ two\n```\n"
    )
    assert steps(page) == [
        WriteFile("a.json", '{"a": 1}\n'),
        Command("one \\\n  --more", ("said",)),
        Command("two"),
    ]


@pytest.mark.parametrize(
    ("expected", "output", "matches"),
    [
        ((), "anything\n", True),
        (("a", "b"), "a\nb\n", True),
        (("a", "b"), "a\nb\nc\n", False),
        (("a", "..."), "a\nb\nc\n", True),
        (("...", "c"), "a\nb\nc\n", True),
        (("...", "d"), "a\nb\nc\n", False),
        (("id ... end",), "id 123 end\n", True),
        (("id ... end",), "id 123\nend\n", False),
        (("1.5 (x)",), "1.5 (x)   \n", True),
        (("1.5 (x)",), "115 (x)\n", False),
    ],
)
def test_dots_stand_for_anything_and_everything_else_for_itself(
    expected: tuple[str, ...], output: str, matches: bool
) -> None:
    assert Command("command", expected).is_satisfied_by(output) is matches
