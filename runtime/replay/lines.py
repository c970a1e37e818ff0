"""A record of the log as one line: an event as it was published, or the record with its place."""

from __future__ import annotations

import base64

import orjson

from customer_timeline.schemas.decoded import from_micros
from customer_timeline.streams.log_reader import LogRecord


def one_line(value: bytes) -> bytes:
    """The record's bytes as a line. Line breaks of valid JSON stand between its parts only, so a space does as well."""
    if b"\n" in value or b"\r" in value:
        value = value.replace(b"\n", b" ").replace(b"\r", b" ")
    return value + b"\n"


def wrapped(record: LogRecord) -> bytes:
    """A record with its place as one line of JSON: `value` is the JSON itself, `value_base64` what is none."""
    head = {
        "partition": record.partition,
        "offset": record.offset,
        "appended_at": from_micros(record.timestamp * 1000).isoformat().replace("+00:00", "Z"),
        "key": _text(record.key),
        "headers": [[name, _text(content)] for name, content in record.headers],
    }
    if record.value is None:
        return orjson.dumps({**head, "value": None}) + b"\n"
    try:
        orjson.loads(record.value)
    except orjson.JSONDecodeError:
        return orjson.dumps({**head, "value_base64": base64.b64encode(record.value).decode()}) + b"\n"
    return one_line(orjson.dumps(head)[:-1] + b',"value":' + record.value + b"}")


def _text(content: bytes | None) -> object:
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}
