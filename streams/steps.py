"""The named steps of a batch, in order. Metrics time them; crash tests stop a worker between two of them.

Seldom there is one more, `looked_back`, before `identified`: histories read because the first record of something was
replaced.
"""

from __future__ import annotations

from typing import Final

STEPS: Final = (
    "polled",  # records fetched
    "decoded",  # events validated, grouped, rows prepared
    "begun",  # transaction open
    "inserted",  # timeline written: which events are new
    "claimed",  # new identifiers inserted
    "locked",  # customers concerned locked and checked
    "identified",  # links, owners, customers decided
    "folded",  # facts added up
    "written",  # customers, dead letters, outbox written
    "fenced",  # offsets moved, epoch checked
    "committed",  # durable
)
