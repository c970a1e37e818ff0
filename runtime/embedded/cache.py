"""Where downloaded and unpacked things are kept between runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_dir() -> Path:
    """`CUSTOMER_TIMELINE_CACHE_DIR`, else `customer-timeline` in the user's cache folder; created if missing."""
    given = os.environ.get("CUSTOMER_TIMELINE_CACHE_DIR")
    if given:
        folder = Path(given)
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Caches" / "customer-timeline"
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "customer-timeline"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
