"""What the figures were measured on: cores, memory and versions. Nothing that names the machine or its folders."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version

import psutil

_LIBRARIES = (
    "faust-streaming",
    "aiokafka",
    "confluent-kafka",
    "psycopg2-binary",
    "pydantic",
    "orjson",
    "granian",
    "fastapi",
)


def machine(postgres: Mapping[str, str]) -> dict[str, object]:
    """Facts for the head of a report; `postgres` holds the server's settings."""
    return {
        "cores": psutil.cpu_count(logical=True),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "processor": _processor(),
        "system": platform.system(),
        "python": platform.python_version(),
        "postgres": dict(postgres),
        "libraries": {name: version(name) for name in _LIBRARIES},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except FileNotFoundError:
        pass  # not Linux: the architecture has to do
    return platform.machine()
