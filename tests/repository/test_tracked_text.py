"""What no tracked file may hold: paths of one machine, addresses of package registries, unfinished work, secrets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

# Written in pieces, so that this file is not a finding of its own.
MACHINE_PATHS = re.compile(r"(?<![\w.$}/-])/(?:work|root|Users|opt/wheels|tmp/lab)/|(?<![\w.$}/-])/home/\w")
REGISTRIES = re.compile(
    "|".join(
        re.escape(host + domain)
        for host, domain in [
            ("pypi", ".org"),
            ("files.python", "hosted.org"),
            ("registry.npm", "js.org"),
            ("repo1.", "maven.org"),
            ("repo.maven.", "apache.org"),
            ("registry-1.", "docker.io"),
            ("hub.", "docker.com"),
        ]
    )
    + r"|--(?:extra-)?index-"
    + r"url\b",
    re.IGNORECASE,
)
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK|WI" + r"P)\b")
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE" + r" KEY-----")

# Longer than this, and a reader can no longer hold a module in mind. Data and generated files are no modules.
MAX_LINES = 450
USUAL_LINES = 300
SHARE_ABOVE_USUAL = 0.10


def _findings(texts: dict[Path, str], root: Path, pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(root)}:{number}: {line.strip()[:120]}"
        for path, text in texts.items()
        if pattern.search(text)
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("a path of one machine", MACHINE_PATHS),
        ("a package registry's address", REGISTRIES),
        ("unfinished work", UNFINISHED),
        ("a private key", PRIVATE_KEY),
    ],
)
def test_no_tracked_file_holds(what: str, pattern: re.Pattern[str], texts: dict[Path, str], root: Path) -> None:
    assert _findings(texts, root, pattern) == [], what


def test_modules_are_short_enough_to_be_read_in_one_go(texts: dict[Path, str], root: Path) -> None:
    lengths = {path: text.count("\n") for path, text in texts.items() if path.suffix == ".py"}
    too_long = [f"{path.relative_to(root)}: {lines}" for path, lines in lengths.items() if lines > MAX_LINES]
    assert too_long == []
    above_usual = [path for path, lines in lengths.items() if lines > USUAL_LINES]
    assert len(above_usual) <= SHARE_ABOVE_USUAL * len(lengths)


def test_no_module_has_a_name_that_says_nothing(texts: dict[Path, str], root: Path) -> None:
    empty = {"utils.py", "util.py", "helpers.py", "common.py", "manager.py", "base.py", "misc.py"}
    assert [str(path.relative_to(root)) for path in texts if path.name in empty] == []


def test_test_modules_have_distinct_names(texts: dict[Path, str]) -> None:
    # Without packages among the tests, pytest knows a test module by its name alone.
    names = [path.name for path in texts if path.name.startswith("test_") and path.suffix == ".py"]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (MACHINE_PATHS, "see /ro" + "ot/.cache", True),
        (MACHINE_PATHS, "GET /v1/customers/home/x", False),
        (MACHINE_PATHS, "--home-dir /nonexistent", False),
        (REGISTRIES, "https://PY" + "PI.org/simple", True),
        (UNFINISHED, "# TO" + "DO: later", True),
        (UNFINISHED, "hackathon, todolist", False),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern: re.Pattern[str], text: str, found: bool) -> None:
    assert bool(pattern.search(text)) is found
