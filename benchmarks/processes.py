"""Runs contenders as processes of their own and measures them: CPU time, peak memory, and the CPU time of Postgres."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil
import psycopg2

_STOP_S = 20


class ContenderError(Exception):
    """A measured process ended before its work was done."""


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds since the process started, and its peak resident memory in bytes."""

    cpu_s: float
    peak_bytes: int


class MeasuredProcess:
    """A child process with its output in a file; as a context manager it ends with SIGTERM, after 20 s with SIGKILL."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], *, reports: bool = False) -> None:
        self._log: IO[bytes] = tempfile.NamedTemporaryFile(prefix="bench-", suffix=".log")  # noqa: SIM115 - closed in stop
        self.command = command
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            cwd=Path(__file__).resolve().parent.parent,
            stdout=subprocess.PIPE if reports else self._log,  # a pipe that nobody reads fills, and stops the process
            stderr=self._log,
        )

    def __enter__(self) -> MeasuredProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def usage(self) -> Usage:
        """What the process and its children have used by now; raises ContenderError if it has ended."""
        self.check()
        try:
            family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
            times = [process.cpu_times() for process in family]
        except psutil.NoSuchProcess as exc:
            raise ContenderError(self.failure()) from exc
        return Usage(sum(t.user + t.system for t in times), sum(_peak(process.pid) for process in family))

    def check(self) -> None:
        """Raise ContenderError if the process has ended."""
        if self.process.poll() is not None:
            raise ContenderError(self.failure())

    def failure(self) -> str:
        """The end of what the process said, for the error message."""
        tail = Path(self._log.name).read_bytes()[-3_000:].decode(errors="replace")
        return f"{' '.join(self.command)} ended with status {self.process.returncode}. The end of its output:\n{tail}"

    def stop(self) -> None:
        """End the process; may be called twice."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log.close()


def _peak(pid: int) -> int:
    # The kernel keeps the high-water mark itself; elsewhere the present size has to do.
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return int(psutil.Process(pid).memory_info().rss)
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


class PostgresCpu:
    """CPU seconds of a Postgres server on this machine: postmaster, its children, and the children that have ended."""

    def __init__(self, url: str) -> None:
        with closing(psycopg2.connect(url)) as connection:
            backend = psutil.Process(connection.info.backend_pid)
            parent = backend.parent()
        if parent is None:
            raise ContenderError("The Postgres server must run on this machine: its CPU time is part of the result.")
        self._postmaster = parent

    def seconds(self) -> float:
        """CPU time until now."""
        own = self._postmaster.cpu_times()
        total = own.user + own.system + own.children_user + own.children_system
        for child in self._postmaster.children(recursive=True):
            try:
                times = child.cpu_times()
            except psutil.NoSuchProcess:
                continue  # it has just ended: the postmaster counts it from now on
            total += times.user + times.system
        return float(total)
