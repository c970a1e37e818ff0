"""Child processes that never outlive us. Used for the embedded servers and for the workers of the development stack."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGTERM, Signals
from typing import NamedTuple

from customer_timeline.schemas.errors import CustomerTimelineError

PATIENCE_S = 20.0
_GUARD = Path(__file__).with_name("guard.py")


class ServerError(CustomerTimelineError):
    """An embedded server did not start, or is not what we need."""


class FolderInUse(ServerError):  # noqa: N818 - says what is the case
    """Another server is running on the data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"Another server is running on {folder}. Stop it, or choose another folder.")


class User(NamedTuple):
    """The system user that a child runs as; needed where we are root and the server refuses to be."""

    uid: int
    gid: int


class FolderLock:
    """An exclusive lock on a data folder, held by the server itself: it is free exactly when the server is gone."""

    def __init__(self, folder: Path) -> None:
        """Wait up to PATIENCE_S for a server whose parent was killed to finish. Raises FolderInUse."""
        self.descriptor = os.open(folder / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(self.descriptor)
                    raise FolderInUse(folder) from None
                time.sleep(0.05)

    def release(self) -> None:
        """Let go of our handle; the server, if it runs, keeps its own."""
        os.close(self.descriptor)

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class GuardedProcess:
    """A child that is stopped in its orderly way when this process ends, however it ends (see `guard`)."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        stop_signal: Signals = SIGTERM,
        grace_s: float = 30.0,
        lock: FolderLock | None = None,
        user: User | None = None,
        scrap: Sequence[Path] = (),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Start `command`; what it prints is appended to `log`. Raises ServerError where it cannot be run at all.

        `scrap`: folders that are worth nothing without us; deleted when we die without having stopped the child.
        """
        self.command = tuple(command)
        self.log = log
        self._stop_signal = stop_signal
        self._grace_s = grace_s
        alive_read, self._alive = os.pipe()
        pid_read, pid_write = os.pipe()
        descriptors = [alive_read, pid_write] + ([lock.descriptor] if lock else [])
        arguments = [sys.executable, "-I", "-S", str(_GUARD), "--alive-fd", str(alive_read), "--pid-fd", str(pid_write)]
        arguments += ["--stop-signal", str(int(stop_signal)), "--grace-s", str(grace_s)]
        arguments += ["--keep-fd", str(lock.descriptor)] if lock else []
        arguments += ["--uid", str(user.uid), "--gid", str(user.gid)] if user else []
        arguments += [word for folder in scrap for word in ("--scrap", str(folder))]
        with log.open("ab") as output:
            self._guard = subprocess.Popen(
                [*arguments, "--", *command],
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Its own session: Ctrl-C at the terminal reaches us alone, and we stop the servers in their order.
                start_new_session=True,
                env=env,
                cwd=cwd,
            )
        os.close(alive_read)
        os.close(pid_write)
        with os.fdopen(pid_read, "rb") as reader:
            line = reader.readline()
        if not line:
            self._close()
            raise ServerError(f"{command[0]} could not be started: {log_tail(log)}")
        self.pid = int(line)

    @property
    def running(self) -> bool:
        """Whether the child still runs."""
        return self._guard.poll() is None

    @property
    def returncode(self) -> int | None:
        """The child's exit code, 128 + the signal's number where one ended it; None while it runs."""
        return self._guard.poll()

    def signal(self, number: Signals) -> None:
        """Send the child a signal; one that is gone is no error."""
        if self.running:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def ask_to_stop(self) -> None:
        """Begin to stop the child in its orderly way, without waiting: `stop` waits."""
        self.signal(self._stop_signal)

    def stop(self, number: Signals | None = None) -> None:
        """Stop the child in its orderly way and wait until it is gone; it is killed after its grace."""
        self.signal(number or self._stop_signal)
        self.signal(SIGCONT)
        try:
            self._guard.wait(self._grace_s)
        except subprocess.TimeoutExpired:
            self.signal(SIGKILL)
        self._close()

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        self.signal(SIGKILL)
        self._close()

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for the child to end by itself; its exit code, None after `timeout_s`."""
        try:
            return self._guard.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def _close(self) -> None:
        # In this order: a pipe that is closed while the child lives means to the guard that we died.
        self._guard.wait()
        if self._alive >= 0:
            os.close(self._alive)
            self._alive = -1


def log_tail(log: Path, lines: int = 12) -> str:
    """The end of a log, for an error message."""
    if not log.exists():
        return "(nothing was printed)"
    text = log.read_text(errors="replace").strip().splitlines()[-lines:]
    return " | ".join(text) or "(nothing was printed)"
