"""The documentation holds together: links lead somewhere, pages can be reached and say what kind they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
KINDS = ("*Tutorial.*", "*How-to.*", "*Reference.*", "*Explanation.*")


def slug(heading: str) -> str:
    """The fragment that code hosts give a heading."""
    # Underscores stay within words, as in `email.marked_spam`; around words they are emphasis.
    plain = re.sub(r"[`*]|(?<!\w)_|_(?!\w)|\[|\]\([^)]*\)", "", heading).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def _pages(texts: dict[Path, str]) -> dict[Path, str]:
    return {path: FENCE.sub("", text) for path, text in texts.items() if path.suffix == ".md"}


def _targets(page: Path, text: str) -> list[tuple[Path, str]]:
    found = []
    for match in LINK.finditer(text):
        link = match.group(1) or match.group(2)
        if re.match(r"[a-z]+:", link):
            continue
        name, _, fragment = link.partition("#")
        found.append(((page.parent / name).resolve() if name else page, fragment))
    return found


def test_relative_links_lead_to_tracked_files_and_headings(
    texts: dict[Path, str], tracked: tuple[Path, ...], root: Path
) -> None:
    pages = _pages(texts)
    known = {*tracked, *(parent for path in tracked for parent in path.parents)}
    broken = []
    for page, text in pages.items():
        for target, fragment in _targets(page, text):
            headings = {slug(heading) for heading in HEADING.findall(pages.get(target, ""))}
            if target not in known or (fragment and fragment not in headings):
                broken.append(f"{page.relative_to(root)} -> {target.relative_to(root)}#{fragment}")
    assert broken == []


def test_every_page_can_be_reached_from_the_readme(texts: dict[Path, str], root: Path) -> None:
    pages = _pages(texts)
    reached: set[Path] = set()
    waiting = [root / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page not in pages:
            continue
        reached.add(page)
        waiting.extend(target for target, _ in _targets(page, pages[page]))
    lost = [str(page.relative_to(root)) for page in pages if page not in reached]
    assert lost == []


def test_every_page_of_the_documentation_says_its_kind(texts: dict[Path, str], root: Path) -> None:
    silent = []
    for path, text in _pages(texts).items():
        inside = path.is_relative_to(root / "docs") and path.name != "README.md" and path.parent.name != "adr"
        if inside and not any(kind in text[:600] for kind in KINDS):
            silent.append(str(path.relative_to(root)))
    assert silent == []


def test_every_decision_is_in_the_index_and_has_its_parts(texts: dict[Path, str], root: Path) -> None:
    folder = root / "docs" / "adr"
    index = texts[folder / "README.md"]
    decisions = {path: text for path, text in texts.items() if path.parent == folder and path.name != "README.md"}
    assert decisions
    for path, text in decisions.items():
        assert f"({path.name})" in index
        assert text.startswith(f"# {path.name[:4]}. ")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Options", "Decision", "Cost"], path.name
        assert text.count("\n") <= 80, f"{path.name} is longer than a page"


def test_code_that_names_a_decision_names_one_that_exists(texts: dict[Path, str], root: Path) -> None:
    known = {path.name[:4] for path in (root / "docs" / "adr").glob("[0-9]*.md")}
    named = {
        (str(path.relative_to(root)), number)
        for path, text in texts.items()
        for number in re.findall(r"\bADR (\d{4})\b", text)
    }
    assert [entry for entry in named if entry[1] not in known] == []


@pytest.mark.parametrize(
    ("heading", "fragment"),
    [("Once, and only once", "once-and-only-once"), ("The `worker` process", "the-worker-process")],
)
def test_headings_become_the_fragments_that_code_hosts_give_them(heading: str, fragment: str) -> None:
    assert slug(heading) == fragment
