"""Documentation as tests see it: the blocks of a page that are marked to be run, in order.

A block is marked by a comment on the line before its fence, which readers never see:

- `<!-- file: NAME -->` writes the block to NAME;
- `<!-- run -->` runs each `$ command` of the block and compares its output with the lines below it. A line `...`
  stands for any lines, and `...` within a line for any characters. A command with no output below it only has to
  succeed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_BLOCK = re.compile(r"^<!-- (?:run|file: (?P<name>\S+)) -->\n```\w+\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class WriteFile:
    """Write `text` to `name` in the working folder."""

    name: str
    text: str


@dataclass(frozen=True)
class Command:
    """Run `line` in a shell; its output must match `expected`."""

    line: str
    expected: tuple[str, ...] = field(default=())

    def is_satisfied_by(self, output: str) -> bool:
        """Whether `output` is what the page shows."""
        if not self.expected:
            return True
        parts = [r"(?:.*\n)*?" if line.strip() == "..." else _line_pattern(line) + r"\n" for line in self.expected]
        lines = [line.rstrip() for line in output.strip("\n").splitlines()]
        return re.fullmatch("".join(parts), "".join(f"{line}\n" for line in lines)) is not None


Step = WriteFile | Command


def _line_pattern(line: str) -> str:
    return ".*?".join(re.escape(piece) for piece in line.rstrip().split("..."))


def _commands(body: str) -> list[Command]:
    found: list[Command] = []
    for line in body.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        elif found and found[-1].line.endswith("\\") and not found[-1].expected:
            found[-1] = Command(found[-1].line + "\n" + line)
        elif found:
            found[-1] = Command(found[-1].line, (*found[-1].expected, line))
        else:
            raise ValueError(f"output before the first command of a block: {line}")
    return found


def steps(page: Path) -> list[Step]:
    """What the page asks its reader to do, as far as it is marked."""
    found: list[Step] = []
    for block in _BLOCK.finditer(page.read_text()):
        name = block.group("name")
        found += [WriteFile(name, block.group("body"))] if name else _commands(block.group("body"))
    return found


def reader_environment(set_up: Mapping[str, str]) -> dict[str, str]:
    """What a reader's shell has: the project's commands, and wide lines."""
    commands = Path(sys.executable).parent
    path = f"{commands}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **set_up, "PATH": path, "COLUMNS": "200"}


def run_until_shown(
    command: Command,
    environment: Mapping[str, str],
    folder: Path | None = None,
    *,
    within_s: float = 60.0,
    more: Callable[[], str] = str,
    once: str | None = None,
) -> None:
    """Run it until it says what the page shows: the view follows the log within moments, not at once.

    A line with the word `once` in it is not repeated. `more` tells more of what went wrong.
    """
    deadline = time.monotonic() + within_s
    while True:
        done = subprocess.run(
            ["bash", "-c", command.line],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode == 0 and command.is_satisfied_by(done.stdout):
            return
        told = f"$ {command.line}\n{done.stdout}{done.stderr}\n{more()}"
        assert once is None or once not in command.line, told
        assert time.monotonic() < deadline, told
