"""The tutorials do what they say: their marked blocks are run, in order, against the stack that each starts."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from snippet_pages import Command, WriteFile, reader_environment, steps

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = ROOT / "docs" / "tutorial"
READY = "ready.json"
COMMANDS = Path(sys.executable).parent
START_WITHIN_S = 180.0  # two busy cores; alone it takes about five
ANSWER_WITHIN_S = 20.0


def _wait(what: str, within_s: float, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, f"{what} not within {within_s:.0f} s"
        time.sleep(0.05)


@contextmanager
def _stack(folder: Path, *options: str) -> Iterator[Mapping[str, str]]:
    """The environment that points at a stack started in a folder as the tutorial starts it."""
    ready = folder / READY
    log = folder / "dev.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [COMMANDS / "customer-timeline", "dev", *options, "--ready-file", READY],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait("the stack is ready", START_WITHIN_S, lambda: ready.exists() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        told = json.loads(ready.read_text())
        pointing = {
            f"CUSTOMER_TIMELINE_{name.upper()}": str(told[name])
            for name in ("api_url", "kafka_bootstrap", "database_url")
        }
        yield reader_environment(pointing)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _run(command: Command, folder: Path, environment: Mapping[str, str]) -> None:
    """Run it until it says what the page shows: the view follows the log within moments, not at once."""
    said = ""

    def is_satisfied() -> bool:
        nonlocal said
        done = subprocess.run(
            ["bash", "-c", command.line], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        said = f"$ {command.line}\n{done.stdout}{done.stderr}(exit code {done.returncode})"
        return done.returncode == 0 and command.is_satisfied_by(done.stdout)

    try:
        _wait("the output that the page shows", ANSWER_WITHIN_S, is_satisfied)
    except AssertionError as exc:
        raise AssertionError(f"{exc}:\n" + "\n".join(command.expected) + f"\nbut the last run said:\n{said}") from exc


@pytest.mark.parametrize(
    ("page", "start", "options"),
    [
        ("first-customer.md", "make dev", ()),
        ("why-at-risk.md", f"customer-timeline dev --data data --ready-file {READY}", ("--data", "data")),
    ],
    ids=["first-customer", "why-at-risk"],
)
def test_the_tutorial_leads_where_it_says(page: str, start: str, options: tuple[str, ...], tmp_path: Path) -> None:
    found = steps(TUTORIALS / page)
    assert len(found) >= 6
    assert f"\n$ {start}\n" in (TUTORIALS / page).read_text()
    with _stack(tmp_path, *options) as environment:
        for step in found:
            if isinstance(step, WriteFile):
                (tmp_path / step.name).write_text(step.text)
            else:
                _run(step, tmp_path, environment)
