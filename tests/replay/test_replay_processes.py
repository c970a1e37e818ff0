"""Where a replay's processes come from."""

from __future__ import annotations

import subprocess
import sys

_PRESSED = """
import multiprocessing, os, signal, time
from customer_timeline.runtime.replay.forking import START, prepare
prepare(columns=True)
signal.signal(signal.SIGINT, signal.SIG_IGN)
for _ in range(30):
    time.sleep(0.02)
    os.killpg(0, signal.SIGINT)  # as a terminal does
process = multiprocessing.get_context(START).Process(target=os.getpid)
process.start()
process.join()
print(process.exitcode)
"""


def test_ctrl_c_while_modules_are_loaded_for_the_processes_says_nothing_and_ends_none_of_them() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PRESSED],
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
