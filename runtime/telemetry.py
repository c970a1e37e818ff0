"""Logs: one JSON object a line on stderr, from our own code and from every library alike.

`log.info("batch_applied", extra={"events": 5000})` through `logging`, or structlog's keyword arguments: both end here.
A log line never carries personal data, so the message of an exception that is not ours is left out: drivers and
validators quote rows and values in theirs. Its type and where it was raised are kept.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import structlog

from customer_timeline.schemas.errors import CustomerTimelineError

Line = MutableMapping[str, Any]
# Our errors never quote personal values (see `schemas.errors`), nor does the operating system.
_SPEAKABLE = (CustomerTimelineError, OSError, KeyboardInterrupt)
_OURS = "customer_timeline"


def configure_logging(
    level: Literal["debug", "info", "warning", "error"] = "info",
    format_: Literal["json", "console"] = "json",
    *,
    stream: TextIO | None = None,
) -> None:
    """Set up logging for this process; a second call replaces the first.

    `level` is that of our own loggers; libraries log from warnings on, because below that some write keys and values.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _exception_without_values,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(default=str)
        if format_ == "json"
        else structlog.dev.ConsoleRenderer(colors=(stream or sys.stderr).isatty())
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(_OURS).setLevel(level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _exception_without_values(logger: Any, method: str, line: Line) -> Line:
    given = line.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        line["error"] = describe_exception(error)
    return line


def describe_exception(error: BaseException) -> dict[str, Any]:
    """An exception as fields of a log line: type, where, and what it says only where that cannot be personal."""
    frames = traceback.extract_tb(error.__traceback__)
    told: dict[str, Any] = {
        "type": type(error).__name__,
        "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-12:]],
    }
    if isinstance(error, _SPEAKABLE):
        told["message"] = str(error)
    sqlstate = getattr(error, "pgcode", None)
    if sqlstate:
        told["sqlstate"] = sqlstate
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        told["cause"] = describe_exception(cause)
    return told
