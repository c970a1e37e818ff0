"""The guard: a tiny process between us and a server, which stops the server when we are gone.

Run by `process.GuardedProcess` as a script with nothing but the standard library (`python -I -S guard.py ...`). Java
and Postgres cannot watch a pipe, so this does: it holds the read end of a pipe whose write end only our process has.
However we die, `kill -9` included, the kernel closes the pipe and the guard ends the server in its orderly way. Should
the guard itself be killed, the kernel sends the server the same signal (Linux: PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import argparse
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time

_PR_SET_PDEATHSIG = 1
_LOOK_AGAIN_S = 1.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--alive-fd", type=int, required=True, help="its end of file means: the parent is gone")
    parser.add_argument("--pid-fd", type=int, required=True, help="the server's process id is written here")
    parser.add_argument("--keep-fd", type=int, action="append", default=[], help="inherited by the server (a lock)")
    parser.add_argument("--stop-signal", type=int, required=True)
    parser.add_argument("--grace-s", type=float, required=True, help="from the stop signal to SIGKILL")
    parser.add_argument("--scrap", action="append", default=[], help="folder to delete if the parent died")
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    if arguments.command[:1] == ["--"]:
        arguments.command = arguments.command[1:]
    return arguments


def _start(arguments: argparse.Namespace) -> subprocess.Popen[bytes]:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def die_with_the_guard() -> None:
        # After the change of user, which clears the setting.
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, arguments.stop_signal, 0, 0, 0)

    as_user = {} if arguments.uid is None else {"user": arguments.uid, "group": arguments.gid, "extra_groups": []}
    return subprocess.Popen(
        arguments.command,
        pass_fds=arguments.keep_fd,
        preexec_fn=die_with_the_guard,
        stdin=subprocess.DEVNULL,
        **as_user,
    )


def _watch(server: subprocess.Popen[bytes], alive_fd: int, wake_fd: int, parent: int) -> bool:
    """Return when the server ended, the parent is gone (then True), or we are asked to stop."""
    while server.poll() is None:
        readable, _, _ = select.select([alive_fd, wake_fd], [], [], _LOOK_AGAIN_S)
        if alive_fd in readable or os.getppid() != parent:
            # A fork of the parent may still hold the pipe's other end: the second condition sees through that.
            return True
        if wake_fd in readable and any(number != signal.SIGCHLD for number in os.read(wake_fd, 64)):
            return False
    return False


def _stop(server: subprocess.Popen[bytes], stop_signal: int, grace_s: float) -> None:
    if server.poll() is not None:
        return
    server.send_signal(stop_signal)
    # A stopped process does not hear the signal.
    server.send_signal(signal.SIGCONT)
    deadline = time.monotonic() + grace_s
    while server.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    if server.poll() is None:
        server.kill()
        server.wait()


def main() -> int:
    """Start the server, tell its process id, outlive it. Exit code: the server's own."""
    arguments = _arguments()
    parent = os.getppid()
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    server = _start(arguments)
    for descriptor in arguments.keep_fd:
        # The server holds the lock now, and all that it forks: it is free when the last of them is gone.
        os.close(descriptor)
    os.write(arguments.pid_fd, b"%d\n" % server.pid)
    os.close(arguments.pid_fd)
    orphaned = _watch(server, arguments.alive_fd, wake_read, parent)
    _stop(server, arguments.stop_signal, arguments.grace_s)
    for folder in arguments.scrap if orphaned else []:
        # Nobody else is left to do it.
        shutil.rmtree(folder, ignore_errors=True)
    code = server.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
