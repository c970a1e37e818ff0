"""Everything that a user can set, call or meet is documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from customer_timeline.runtime.cli.app import build_app
from customer_timeline.runtime.settings import PREFIX, Settings
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.errors import RejectionReason


@pytest.fixture(scope="module")
def commands() -> dict[str, object]:
    """Every command by its full name, `dead-letters list`."""
    found: dict[str, object] = {}

    def collect(command: object, path: str) -> None:
        children: dict[str, object] = getattr(command, "commands", {})
        for name, child in children.items():
            collect(child, f"{path} {name}".strip())
        if not children:
            found[path] = command

    collect(get_command(build_app()), "")
    return found


def test_every_setting_is_described_and_in_the_reference(root: Path) -> None:
    page = (root / "docs" / "reference" / "settings.md").read_text()
    for name, field in Settings.model_fields.items():
        assert field.description, f"{name} has no description"
        assert f"`{PREFIX}{name.upper()}`" in page


def test_every_command_is_described_and_in_the_reference(commands: dict[str, object], root: Path) -> None:
    page = (root / "docs" / "reference" / "cli.md").read_text()
    for name, command in commands.items():
        assert getattr(command, "help", None), f"{name} has no description"
        assert f"## `customer-timeline {name}`" in page


def test_every_option_says_what_it_does(commands: dict[str, object]) -> None:
    silent = [
        f"{name} {parameter.human_readable_name}"
        for name, command in commands.items()
        for parameter in getattr(command, "params", [])
        if not getattr(parameter, "hidden", False) and not getattr(parameter, "help", None)
    ]
    assert silent == []


def test_every_type_of_event_is_in_the_reference(root: Path) -> None:
    page = (root / "docs" / "reference" / "events.md").read_text()
    assert [name for name in CATALOGUE if f"## `{name}`" not in page] == []


def test_every_reason_of_a_dead_letter_says_what_to_do(root: Path) -> None:
    page = (root / "docs" / "how-to" / "read-dead-letters.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == {reason.value for reason in RejectionReason}


def test_every_command_that_a_page_names_exists(
    commands: dict[str, object], texts: dict[Path, str], root: Path
) -> None:
    known = set(commands) | {name.split()[0] for name in commands}
    wrong = []
    for path, text in texts.items():
        if path.suffix != ".md":
            continue
        for words in re.findall(r"(?:\$ |`)customer-timeline ([a-z][a-z-]*(?: [a-z][a-z-]*)?)", text):
            first, _, second = words.partition(" ")
            nested = any(name.startswith(first + " ") for name in known)
            if first not in known or (nested and second and f"{first} {second}" not in known):
                wrong.append(f"{path.relative_to(root)}: {words}")
    assert wrong == []


def test_the_compose_file_calls_commands_that_exist(commands: dict[str, object], root: Path) -> None:
    called = set(re.findall(r'^    command: \["([a-z-]+)"\]$', (root / "docker-compose.yml").read_text(), re.MULTILINE))
    assert called == {"migrate", "worker", "api"}
    assert called <= set(commands)
