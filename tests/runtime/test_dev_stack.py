"""`customer-timeline dev` and `demo` as a person runs them: real processes on real servers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from customer_timeline.runtime.personas import HIGHLIGHTS

COMMAND = [sys.executable, "-m", "customer_timeline.runtime.cli.main"]
DEADLINE_S = 240


def _until(condition: Callable[[], Any], what: str, running: subprocess.Popen[bytes] | None = None) -> Any:
    deadline = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        if running is not None and running.poll() is not None:
            pytest.fail(f"ended with {running.returncode} before: {what}")
        if time.monotonic() > deadline:
            pytest.fail(f"not within {DEADLINE_S} s: {what}")
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="ct-dev-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


class Dev:
    """A running `dev` on the module's folder."""

    def __init__(self, folder: Path) -> None:
        self.ready_file = folder / "ready.json"
        self.said = folder / "said.txt"
        with self.said.open("wb") as output:
            self.process = subprocess.Popen(
                [*COMMAND, "dev", "--data", str(folder / "data"), "--ready-file", str(self.ready_file)],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        _until(self.ready_file.exists, "the stack is ready", self.process)
        self.ready = json.loads(self.ready_file.read_text())
        self.children = psutil.Process(self.process.pid).children(recursive=True)

    def environment(self) -> dict[str, str]:
        names = ("api_url", "kafka_bootstrap", "database_url")
        return {**os.environ, **{f"CUSTOMER_TIMELINE_{name.upper()}": self.ready[name] for name in names}}

    def child(self, *words: str) -> psutil.Process | None:
        """The running process whose command line ends with `words`."""
        for process in psutil.Process(self.process.pid).children(recursive=True):
            line = process.cmdline()
            if line[-len(words) :] == list(words) and "guard.py" not in " ".join(line):
                return process
        return None

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(DEADLINE_S)
        _until(lambda: not [child for child in self.children if _runs(child)], "no child is left")
        return code


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 (our own http address)
        return json.loads(answer.read())


def _run(dev: Dev, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words],
        env=dev.environment(),
        input=text,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def _page_viewed(number: int) -> str:
    data = {
        "channel": "web",
        "url": "https://shop.example.com/p/lamp",
        "identifiers": [{"kind": "email", "value": "Ann@Example.com"}],
    }
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"view-{number}",
            "source": "web",
            "type": "page.viewed.v1",
            "time": f"2026-01-0{number}T10:00:00Z",
            "data": data,
        }
    )


def _events_of_ann(dev: Dev) -> int:
    try:
        return int(_get(f"{dev.ready['api_url']}/v1/customers/email:ann@example.com")["activity"]["events"])
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return 0


def test_dev_serves_heals_itself_stops_clean_and_keeps_everything(folder: Path) -> None:
    dev = Dev(folder)
    try:
        assert set(dev.ready) == {"api_url", "kafka_bootstrap", "database_url", "pid"}
        assert dev.ready["pid"] == dev.process.pid
        assert _get(f"{dev.ready['api_url']}/readyz")["status"] == "ready"
        assert "development server" in dev.said.read_text()
        assert _run(dev, "doctor").returncode == 0

        published = _run(dev, "publish", "-", text=_page_viewed(1) + "\n")
        assert published.returncode == 0, published.stderr
        _until(lambda: _events_of_ann(dev) == 1, "the first event can be read", dev.process)

        worker = _until(lambda: dev.child("worker"), "there is a worker")
        worker.kill()
        assert _run(dev, "publish", "-", text=_page_viewed(2) + "\n").returncode == 0
        _until(lambda: _events_of_ann(dev) == 2, "another worker carried on", dev.process)
        assert "worker-1 ended with code 137; starting it again" in dev.said.read_text()
    finally:
        code = dev.stop(signal.SIGTERM)
    assert code == 0
    assert not dev.ready_file.exists()

    again = Dev(folder)
    try:
        # The same addresses, since nobody took them meanwhile, and everything that was there.
        assert {**again.ready, "pid": 0} == {**dev.ready, "pid": 0}
        assert _events_of_ann(again) == 2
    finally:
        again.stop(signal.SIGKILL)


def test_demo_once_prints_the_customers_of_the_stories_and_an_answer_and_exits() -> None:
    done = subprocess.run(
        [*COMMAND, "demo", "--once", "--customers", "20"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("curl -s 'http://127.0.0.1:") == len(HIGHLIGHTS)
    for highlight in HIGHLIGHTS:
        assert f"\n  {highlight.stage} since " in done.stdout[done.stdout.index(highlight.title) :]
    answer, _ = json.JSONDecoder().raw_decode(done.stdout, done.stdout.index("\n{") + 1)
    # personas.shoppers.ann: six purchases, one of them retracted.
    assert answer["purchases"]["count"] == 5
    assert {identifier["kind"] for identifier in answer["identifiers"]} == {"device_id", "email", "member_id"}


def test_interrupting_the_start_leaves_nothing_behind(own_folder: Path) -> None:
    process = subprocess.Popen([*COMMAND, "dev", "--data", str(own_folder)], stderr=subprocess.DEVNULL)
    children = _until(
        lambda: [c for c in psutil.Process(process.pid).children(recursive=True) if "postgres" in c.name()],
        "the first server runs",
        process,
    )
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 0
    _until(lambda: not [child for child in children if _runs(child)], "no child is left")
