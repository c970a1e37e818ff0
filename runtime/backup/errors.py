"""What a backup or a restore refuses, in words that say how to go on. None holds anything of a record."""

from __future__ import annotations

from pathlib import Path

from customer_timeline.schemas.errors import CustomerTimelineError


class BackupError(CustomerTimelineError):
    """A backup could not be made, read or restored."""


class BackupDamaged(BackupError):  # noqa: N818 - named for what is the case
    """A file of the backup is missing or is not what was written. `file` is within the folder of the backup."""

    def __init__(self, folder: Path, file: str, problem: str) -> None:
        self.folder = folder
        self.file = file
        self.problem = problem
        super().__init__(
            f"The backup in {folder} is damaged: {file} {problem}. Nothing of it was used; take another copy of that "
            "file, or make the backup anew in an empty folder."
        )


class BackupRefused(BackupError):  # noqa: N818
    """What was asked for would lose, double or mix up records."""


class AnotherRunError(BackupError):
    """Somebody else works on the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"Another process is using the backup in {folder}. Wait until it has ended.")
