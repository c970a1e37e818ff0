"""Arrow, where it is installed: tables in memory (`pa`), what is computed over them (`pc`), Parquet (`pq`)."""

from __future__ import annotations

from customer_timeline.producers.errors import PackageMissing

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
except ImportError as exc:
    raise PackageMissing("Parquet and `sql` need pyarrow", "analytics") from exc

__all__ = ["pa", "pc", "pq"]


def alone() -> None:
    """For a process that shares the processors with others of its kind: without threads of Arrow's own, which would
    only take turns with them, and with the system's memory, which it gives back and takes again with less work."""
    pa.set_cpu_count(1)
    pa.set_memory_pool(pa.system_memory_pool())
