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
