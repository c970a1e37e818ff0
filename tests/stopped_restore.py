"""`customer-timeline restore`, stopped at a step that is named: `python stopped_restore.py STEP NTH SIGNAL FOLDER`.

At the `nth` chunk of records (`append`) half of it is in the topic when the signal comes; at `finish` all records are,
and the topics do not have their own settings yet.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from itertools import count

from customer_timeline.runtime.backup.kafka_topics import Topics
from customer_timeline.runtime.backup.writers import ConfluentRecordWriter
from customer_timeline.runtime.cli import main
from customer_timeline.streams.log_reader import LogRecord


def _stop_at(step: str, nth: int, signal: int) -> None:
    arrivals = count(1)
    append_all = ConfluentRecordWriter.append

    def append(self: ConfluentRecordWriter, records: Sequence[tuple[LogRecord, int]]) -> None:
        if next(arrivals) == nth:
            append_all(self, records[: len(records) // 2])
            os.kill(os.getpid(), signal)
        append_all(self, records)

    def finish_restore(self: Topics, configs: Mapping[str, Mapping[str, str]]) -> None:
        os.kill(os.getpid(), signal)

    if step == "append":
        ConfluentRecordWriter.append = append  # type: ignore[method-assign]
    else:
        Topics.finish_restore = finish_restore  # type: ignore[method-assign]


if __name__ == "__main__":
    _stop_at(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    sys.argv = ["customer-timeline", "restore", sys.argv[4]]
    main.main()
