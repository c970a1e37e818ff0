"""How far an import is, in a small file beside the table: so the same command goes on where it was stopped.

The file says of how many rows every event is in the log for good. It counts only for the same table, the same mapping
and the same log, and disappears when the import is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Final

from customer_timeline.schemas.errors import CustomerTimelineError

FORMAT: Final = 1


def fingerprint(table: Path, mapping: str, log: str) -> str:
    """A text that changes with the table (its size and time), with the mapping, and with the log that it goes to."""
    found = table.stat()
    said = json.dumps([FORMAT, found.st_size, found.st_mtime_ns, mapping, log])
    return hashlib.sha256(said.encode()).hexdigest()


class StateUnusable(CustomerTimelineError):  # noqa: N818 - named for what is the case
    """How far the import is cannot be kept at `path`; `reason` is the operating system's."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"How far the import is cannot be kept in {path}: {reason}. --state names another file.")


class ImportState:
    """The file at `path`, as far as it is about what `fingerprint` stands for. Raises StateUnusable."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path = path
        self._fingerprint = fingerprint

    def rows(self) -> int:
        """Of how many rows everything is published; 0 where the file is missing, or about something else."""
        try:
            found = json.loads(self.path.read_bytes())
        except (FileNotFoundError, ValueError):
            return 0
        except OSError as exc:
            raise StateUnusable(self.path, exc.strerror or str(exc)) from exc
        if not isinstance(found, dict) or found.get("fingerprint") != self._fingerprint:
            return 0
        rows = found.get("rows")
        return rows if isinstance(rows, int) and rows > 0 else 0

    def save(self, rows: int) -> None:
        """Write it anew: whoever is killed meanwhile leaves the old file or the new one, never half of one."""
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            beside.write_text(json.dumps({"fingerprint": self._fingerprint, "rows": rows}))
            beside.replace(self.path)
        except OSError as exc:
            raise StateUnusable(self.path, exc.strerror or str(exc)) from exc

    def remove(self) -> None:
        """The import is complete."""
        self.path.unlink(missing_ok=True)
