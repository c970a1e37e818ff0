"""Where the processes of a replay are forked from: a process that has nothing but the modules loaded.

Light itself, so that the command line can call `prepare` before it loads anything else.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from importlib.util import find_spec
from multiprocessing import forkserver, resource_tracker
from typing import Final

START: Final = "forkserver"

_LOADED: Final = "customer_timeline.runtime.replay.loaded"
_COLUMNS: Final = "customer_timeline.runtime.replay.gathering"


def prepare(*, columns: bool) -> None:
    """Begin to load what the processes of a `Crew` need, in the background; `columns` where they make columns.

    Calling it is no more than quicker, and its failures are those of the crew.
    """
    # Arrow's own way with memory keeps what is free: each process would seem to grow with the log.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    context = multiprocessing.get_context(START)
    # Where pyarrow is missing, the command says so in its own time.
    columns = columns and find_spec("pyarrow") is not None
    context.set_forkserver_preload([_LOADED, *([_COLUMNS] if columns else [])])
    # Ctrl-C reaches the whole group. While it loads that process would answer with a traceback. The tracker guards
    # itself, and lets signals through again afterwards.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
