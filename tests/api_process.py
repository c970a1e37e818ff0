"""The API and the commands as real processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from customer_timeline.runtime.embedded.ports import free_port

COMMAND = (sys.executable, "-m", "customer_timeline.runtime.cli.main")
DEADLINE_S = 60


@contextmanager
def serving(environment: dict[str, str], log: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`customer-timeline api` until the block ends; gives the process and its address."""
    port = free_port()
    with log.open("wb") as written:
        process = subprocess.Popen([*COMMAND, "api", "--port", str(port), *options], env=environment, stderr=written)
    address = f"http://127.0.0.1:{port}"
    try:
        until_answers(process, address, log)
        yield process, address
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def until_answers(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urlopen(f"{address}/livez", timeout=5) as answer:  # noqa: S310 (our own http address)
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.05)  # asking without a pause would take a core from what is waited for
    raise AssertionError(f"the API does not answer: {log.read_text()}")


def command(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], env=environment, capture_output=True, text=True, timeout=DEADLINE_S)
