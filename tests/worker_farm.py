"""Real worker processes in numbers: a process that has imported everything forks them, so that one starts in tens of
milliseconds.

Tests that kill hundreds of workers cannot afford two seconds of imports for each. A forked worker is a process of its
own, with its own connections and its own consumer, made after the fork; `kill -9` and SIGSTOP are the real ones. Run
as a script this module is that process: it reads one JSON request a line and answers with one line. It ends, with all
its workers, when its standard input does.

A request may name a step of the projector's transaction and a number n: the worker then stops or kills itself when it
comes to that step for the n-th time.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

DEADLINE_S = 60


@dataclass(frozen=True)
class Trap:
    """What a worker does to itself: at the `nth` arrival at `step`, the signal (SIGKILL or SIGSTOP)."""

    step: str
    nth: int
    signal: int = signal.SIGKILL


@dataclass
class Worker:
    """A worker process. `output` is the file with what it printed."""

    farm: Farm
    pid: int
    output: Path
    settings: dict[str, str]
    returncode: int | None = None

    def send(self, number: int) -> None:
        """Send a signal; a process that is gone already gets none."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """`kill -9`, and wait until the process is gone."""
        self.send(signal.SIGKILL)
        self.wait()

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while the process lives."""
        if self.returncode is None:
            self.returncode = self.farm.ask(poll=self.pid)
        return self.returncode

    def wait(self, deadline_s: float = DEADLINE_S) -> int:
        """The exit code, once there is one."""
        until(lambda: self.poll() is not None, "the worker has ended", deadline_s)
        return self.returncode or 0

    def is_stopped(self) -> bool:
        """SIGSTOP has taken effect."""
        with contextlib.suppress(OSError):
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] in "tT"
        return False

    def log(self) -> str:
        """Everything the worker printed so far."""
        return self.output.read_text(errors="replace")


@dataclass
class Farm:
    """Starts workers. A context manager: what it started is gone when it closes."""

    folder: Path
    launch: str = ""
    workers: list[Worker] = field(default_factory=list)
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(self.folder / "farm.log").open("a"),
            text=True,
            env={**os.environ, **self.environment},
        )
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            self._process.wait(timeout=DEADLINE_S)

    def ask(self, **request: Any) -> Any:
        """One request, one answer."""
        if self._process is None or self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("The farm is not open.")
        line = ""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"The farm has died: {(self.folder / 'farm.log').read_text()}")
        return json.loads(line)["answer"]

    def start(self, settings: Mapping[str, str], trap: Trap | None = None) -> Worker:
        """A worker with these settings (names without the prefix, lower case)."""
        output = self.folder / f"worker-{len(self.workers)}.log"
        variables = {f"CUSTOMER_TIMELINE_{name.upper()}": value for name, value in settings.items()}
        asked = None if trap is None else [trap.step, trap.nth, int(trap.signal)]
        pid = self.ask(start=variables, output=str(output), trap=asked)
        worker = Worker(self, pid, output, dict(settings))
        self.workers.append(worker)
        return worker

    def stop_all(self) -> None:
        """Kill every worker that still lives."""
        for worker in self.workers:
            worker.send(signal.SIGKILL)
        for worker in self.workers:
            worker.wait()
        self.workers.clear()


def until(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S, every_s: float = 0.02) -> None:
    """Wait for the condition; fail in words when the deadline passes."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"After {deadline_s} s it is still not so that {what}.")
        time.sleep(every_s)


def _serve() -> None:
    """The process that forks: everything is imported, nothing is connected."""
    import customer_timeline.projections.postgres.journal
    import customer_timeline.runtime.cli.app
    import customer_timeline.runtime.cli.main as cli
    import customer_timeline.runtime.worker
    import customer_timeline.streams.app
    import customer_timeline.streams.topic_setup  # noqa: F401

    # What is loaded stays: a child that looked through it for garbage would copy every page of it.
    gc.collect()
    gc.freeze()
    children: set[int] = set()
    for line in _requests():
        request = json.loads(line)
        answer = _reaped(request["poll"], children) if "poll" in request else _fork(cli, request, children)
        sys.stdout.write(json.dumps({"answer": answer}) + "\n")
        sys.stdout.flush()
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in children:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _requests() -> Iterator[str]:
    # Unbuffered by hand: a child must not inherit half a request.
    while line := os.read(0, 1 << 20):
        while not line.endswith(b"\n"):
            line += os.read(0, 1 << 20)
        yield line.decode()


def _reaped(pid: int, children: set[int]) -> int | None:
    if pid not in children:
        return 0
    found, status = os.waitpid(pid, os.WNOHANG)
    if found == 0:
        return None
    children.discard(pid)
    return os.waitstatus_to_exitcode(status)


def _fork(cli: Any, request: dict[str, Any], children: set[int]) -> int:
    pid = os.fork()
    if pid:
        children.add(pid)
        return pid
    code = 70
    try:
        os.setsid()
        with Path(request["output"]).open("ab", buffering=0) as out, Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        faulthandler.register(signal.SIGUSR1)  # a worker that stalls can be asked where it is
        os.environ.update(request["start"])
        if request["trap"] is not None:
            set_trap(Trap(*request["trap"]))
        code = _run(cli)
    finally:
        if sys.exc_info()[0] is not None:
            sys.excepthook(*sys.exc_info())  # the test reads it in the worker's output
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(cli: Any) -> int:
    sys.argv = ["customer-timeline", "worker"]
    try:
        cli.main()
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else 0 if exit_.code is None else 1
    return 0


def set_trap(trap: Trap) -> None:
    """Let the projector of this process report its steps to the trap."""
    from customer_timeline.streams import app

    arrivals = 0

    def observe(step: str) -> None:
        nonlocal arrivals
        if step == trap.step:
            arrivals += 1
            if arrivals == trap.nth:
                os.kill(os.getpid(), trap.signal)
                time.sleep(0.05)  # the signal may reach another thread first; nothing must happen before it works

    create_app = app.create_app
    app.create_app = lambda parts, **kwargs: create_app(replace(parts, observer=observe), **kwargs)


if __name__ == "__main__":
    _serve()
