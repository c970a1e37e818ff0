"""Signals as exceptions: when they are raised, and when they wait."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from customer_timeline.runtime.interrupts import between_events


def test_ctrl_c_waits_while_an_event_is_handed_over() -> None:
    answers = iter((True, True, False))
    reached: list[str] = []

    def publishing() -> None:
        signal.raise_signal(signal.SIGINT)
        reached.append("handed over")
        threading.Event().wait(30)  # as for room in the buffer
        reached.append("never")

    with between_events(lambda: next(answers)), pytest.raises(KeyboardInterrupt):
        publishing()
    assert reached == ["handed over"]
    assert list(answers) == []


# Runs the command as `python -m` does, and presses Ctrl-C as it looks for a module: in its code, or in a finaliser,
# which swallows what is raised there.
_PRESSED = """
import os, runpy, signal, sys
at, where = sys.argv.pop(1), sys.argv.pop(1)
class Forgotten:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000): pass
class Finder:
    def find_spec(self, name, *_):
        if name == at:
            sys.meta_path.remove(self)
            if where == "finaliser":
                Forgotten()
            else:
                os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
runpy.run_module("customer_timeline.runtime.cli.main", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("where", ["code", "finaliser"])
@pytest.mark.parametrize("module", ["typer", "pydantic", "customer_timeline.runtime.cli.config"])
def test_ctrl_c_while_modules_are_loaded_ends_a_command_as_any_later_one(module: str, where: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PRESSED, module, where, "config", "show"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "customer-timeline: interrupted.\n")


def test_the_module_that_a_command_begins_with_loads_nothing_before_ctrl_c_is_looked_after() -> None:
    loads = "import sys; before = set(sys.modules); import customer_timeline.runtime.cli.main; print(*sorted("
    done = subprocess.run(
        [sys.executable, "-c", f"{loads}set(sys.modules) - before))"], capture_output=True, text=True, check=True
    )
    packages = ("customer_timeline", "customer_timeline.runtime", "customer_timeline.runtime.cli")
    assert set(done.stdout.split()) - {*packages, "customer_timeline.runtime.cli.main"} == set()


def test_ctrl_c_that_is_ignored_where_a_command_starts_stays_so_while_modules_are_loaded() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PRESSED, "typer", "code", "--version"],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
