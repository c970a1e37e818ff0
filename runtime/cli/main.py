"""The command `customer-timeline`, up to the moment in which its modules are loaded; from then on it is `app`'s.

To load them takes half a second, in which Ctrl-C is as likely as later. So nothing stands at the top of this module
but what every Python has loaded already; `from __future__` is not among it.
"""

import os
import sys

_INTERRUPTED = 130  # as `interrupts.EXIT_CODE`, whose module is among those to be loaded


def main() -> None:
    """Run the command line; a foreseen error is one line on stderr and an exit code."""
    try:
        import signal

        # Where Ctrl-C is somebody else's (`nohup`, a shell's background) it stays so.
        ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if ours:
            signal.signal(signal.SIGINT, _end)
        _begin_early(sys.argv[1:])
        from customer_timeline.runtime.cli import app

        command = app.build_app(sys.argv[1:])
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    except KeyboardInterrupt:
        _end()
    app.run(command)


def _begin_early(words: list[str]) -> None:
    """The processes of a replay load longer than this one, so they begin first; a wrong guess costs time only."""
    if words[:1] == ["replay"] and "--help" not in words:
        from customer_timeline.runtime.replay.forking import prepare

        prepare(columns=any(word.endswith(("parquet", "duckdb")) for word in words))


def _end(*_: object) -> None:
    """End the process at once: nothing is open yet.

    An exception would not do while modules are loaded: in a finaliser, or where a package tries whether another one
    is there, it would be printed or swallowed, and the command would go on.
    """
    try:
        os.write(2, b"customer-timeline: interrupted.\n")
    finally:
        os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
