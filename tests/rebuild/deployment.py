"""A deployment whose operator rebuilds: the commands as real processes, and the sets by their names."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from api_process import COMMAND
from live_log import applied_offsets, end_offsets
from pipeline import Pipeline
from worker_farm import until

from customer_timeline.projections.digest import ViewDigest
from customer_timeline.projections.postgres.digests import digest_snapshot
from customer_timeline.runtime import wiring
from customer_timeline.runtime.settings import PREFIX, Settings

DEADLINE_S = 60
LIVE, REBUILD, OLD = "customer_timeline", "customer_timeline_rebuild", "customer_timeline_old"


class Operator:
    """Runs `customer-timeline …` in the environment of a deployment."""

    def __init__(self, pipeline: Pipeline, **more: str) -> None:
        self.pipeline = pipeline
        given = {**pipeline.settings(500, "w0"), **more}
        del given["worker_instance_id"]
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(PREFIX)},
            **{f"{PREFIX}{name.upper()}": value for name, value in given.items()},
            "COLUMNS": "200",
        }

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command to its end; what it printed. Fails where it ends with another code."""
        done = subprocess.run(
            [*COMMAND, *words], env=self.environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout if code == 0 else done.stdout + done.stderr

    def ask(self, *words: str) -> Any:
        """Run a command with --json."""
        return json.loads(self.run(*words, "--json"))

    def sets(self) -> Mapping[str, Any]:
        """`rebuild status`, by role."""
        return {one["role"]: one for one in self.ask("rebuild", "status")["sets"]}

    @contextmanager
    def rebuilding(self, log: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        """`rebuild start`, until the block ends."""
        with log.open("ab") as written:
            process = subprocess.Popen(
                [*COMMAND, "rebuild", "start", *options], env=self.environment, stdout=written, stderr=written
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(DEADLINE_S)

    def follows(self, schema: str, what: str) -> None:
        """Wait until a set stands at the end of the log."""
        ends = end_offsets(self.pipeline.bootstrap, self.pipeline.topic)
        until(lambda: self.stands_at(schema, ends), what, DEADLINE_S, every_s=0.1)

    def stands_at(self, schema: str, ends: Mapping[int, int]) -> bool:
        """Whether every partition of a set is applied that far."""
        if not self.pipeline.query("SELECT to_regclass(%s) IS NOT NULL", f"{schema}.projector_offset")[0][0]:
            return False
        applied = applied_offsets(self.pipeline.url, self.pipeline.topic, schema)
        return all(applied.get(part, 0) >= end for part, end in ends.items())

    def filled(self) -> bool:
        """Whether the rebuild has come to the end of the log and has its indexes."""
        if not self.pipeline.query("SELECT to_regclass(%s) IS NOT NULL", f"{REBUILD}.view_set")[0][0]:
            return False
        return self.pipeline.query(f"SELECT filled_at IS NOT NULL FROM {REBUILD}.view_set") == [(True,)]

    def settings(self, schema: str = LIVE) -> Settings:
        """The settings of the deployment, for one of its sets."""
        named: dict[str, Any] = {
            name.removeprefix(PREFIX).lower(): value
            for name, value in self.environment.items()
            if name.startswith(PREFIX)
        }
        return Settings(**{**named, "database_schema": schema})

    def digest(self, schema: str) -> ViewDigest:
        """What a set says."""
        with digest_snapshot(lambda: wiring.connect(self.settings(schema))) as snapshot:
            return snapshot.view()


class Reading:
    """Reads of one customer over HTTP, one after the other in threads, and what failed of them."""

    def __init__(self, address: str, identifier_id: str, threads: int = 4) -> None:
        self._url = f"{address}/v1/customers/{identifier_id}"
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._read) for _ in range(threads)]
        self.read = 0
        self.failed: list[str] = []

    def __enter__(self) -> Reading:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _read(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self._stop.is_set():
                answer = client.get(self._url)
                self.read += 1
                if answer.status_code != 200:
                    self.failed.append(answer.text)
