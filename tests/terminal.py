"""A command as somebody runs it at a terminal: standard error is one, standard output is read by a program."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

DEADLINE_S = 60


@dataclass
class Terminal:
    """A running command and what it has shown so far, with all that moves the cursor in between."""

    process: subprocess.Popen[bytes]
    _master: int
    shown: str = ""

    def until(self, text: str) -> None:
        """Return once the terminal shows the text."""
        deadline = time.monotonic() + DEADLINE_S
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown[-2000:]
            assert self._read(), f"it ended without {text!r}:\n{self.shown}"

    def interrupt(self) -> tuple[int, str]:
        """Ctrl-C; the exit code, and what it wrote to standard output."""
        self.process.send_signal(signal.SIGINT)
        return self.ended()

    def ended(self) -> tuple[int, str]:
        """The exit code, and what it wrote to standard output."""
        deadline = time.monotonic() + DEADLINE_S
        while self._read():
            assert time.monotonic() < deadline, self.shown[-2000:]
        assert self.process.stdout is not None
        out = self.process.stdout.read().decode()
        return self.process.wait(DEADLINE_S), out

    def _read(self) -> bool:
        """Read what there is; False once the other side has closed it."""
        ready, _, _ = select.select([self._master], [], [], 1.0)
        if not ready:
            return True
        try:
            found = os.read(self._master, 4096)
        except OSError:  # what Linux says of a terminal that nobody has open any more
            return False
        self.shown += found.decode(errors="replace")
        return bool(found)


@contextmanager
def at_a_terminal(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Terminal]:
    """Run the command; it is killed at the end of the block, where it still runs."""
    master, slave = pty.openpty()
    try:
        process = subprocess.Popen(
            command,
            env={**environment, "TERM": "xterm", "COLUMNS": "120"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=slave,
        )
    finally:
        os.close(slave)
    try:
        with process:
            try:
                yield Terminal(process, master)
            finally:
                process.kill()
    finally:
        os.close(master)


@contextmanager
def silent_kafka() -> Iterator[str]:
    """The address of somebody who takes connections and never says a word."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"
