"""What can go wrong in a replay. Each reads as a sentence: what, where, what to do."""

# ruff: noqa: N818 (named for what is the case, as the codebase names its verdicts)

from __future__ import annotations

from customer_timeline.schemas.errors import CustomerTimelineError


class ReplayBroken(CustomerTimelineError):
    """A process of the replay was ended from outside."""

    def __init__(self) -> None:
        super().__init__(
            "A process of the replay was ended, by somebody or for want of memory. Run the same command again: it goes "
            "on where it stood."
        )


class ReplayTaken(CustomerTimelineError):
    """Another run is writing the same output."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        super().__init__(f"Another replay is working in {folder}. Wait for it, or name another --output.")


class ReplayWithoutRoom(CustomerTimelineError):
    """The disk did not take what a replay wrote."""

    def __init__(self, folder: str, reason: str) -> None:
        self.folder = folder
        super().__init__(
            f"The replay could not write to {folder}: {reason}. Make room, and run the same command again: it goes on "
            "where it stood."
        )


class OtherReplay(CustomerTimelineError):
    """What was begun there asked for something else."""

    exit_code = 2  # of the command line

    def __init__(self, folder: str, differs: str) -> None:
        self.folder = folder
        self.differs = differs
        super().__init__(
            f"An unfinished replay in {folder} asked for something else ({differs}). Repeat its options to go on with "
            "it, or give --from-start to throw it away."
        )


class OutputInTheWay(CustomerTimelineError):
    """What is at the output is not to be overwritten."""

    exit_code = 2  # of the command line

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(
            f"{path} is there already. Remove it, name another --output, or give --from-start to replace it."
        )


class OutputIsNoReplay(CustomerTimelineError):
    """What is at the output was not written by a replay of this kind, so not even --from-start replaces it."""

    exit_code = 2  # of the command line

    def __init__(self, path: str, what: str) -> None:
        self.path = path
        super().__init__(f"{path} is {what}: nothing of it was touched. Name another --output.")


class NoSuchPartition(CustomerTimelineError):
    """The log has no such partition."""

    exit_code = 2  # of the command line

    def __init__(self, partition: int, partitions: int) -> None:
        self.partition = partition
        super().__init__(
            f"Not valid: --partition: the log has the partitions 0 to {partitions - 1}, and no {partition}."
        )


class ProjectionFailed(CustomerTimelineError):
    """Own code raised an error. `where`: its last line that ran."""

    def __init__(self, name: str, part: str, told: str, where: str) -> None:
        self.name = name
        self.part = part
        self.told = told
        self.where = where
        super().__init__(f"--projection {name}: {part} failed{where}: {told}.")

    def __reduce__(self) -> tuple[object, ...]:
        return (ProjectionFailed, (self.name, self.part, self.told, self.where))


class UnusableProjection(CustomerTimelineError):
    """`--projection` names nothing that can be folded."""

    exit_code = 2  # of the command line

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        super().__init__(
            f"--projection {name}: {why}. Expected MODULE:CLASS, or FILE.py:CLASS, of a HistoryProjection."
        )


class NothingToDraw(CustomerTimelineError):
    """An answer has not the shape of a picture."""

    exit_code = 2  # of the command line

    def __init__(self, why: str) -> None:
        super().__init__(
            f"Nothing to draw: {why}. Give a label and its numbers in each row, or two labels and a number."
        )
