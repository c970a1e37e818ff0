"""What every process of a replay needs, made once: the process that they are forked from loads this module (`crew`).

The one module that makes something as it is loaded: there is no other moment before the forks.
"""

from __future__ import annotations

import gc

from customer_timeline.runtime import wiring
from customer_timeline.runtime.replay import crew
from customer_timeline.schemas.envelope import event_adapter

__all__ = ["crew", "wiring"]

event_adapter()  # a fifth of a second, and the largest part of what a codec takes up
gc.freeze()  # collections of the forks need not look at it, and so leave it shared
