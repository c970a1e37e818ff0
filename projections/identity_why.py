"""Why two identifiers are one customer, or what keeps them apart. Pure functions of the raw component."""

from __future__ import annotations

import heapq
from collections import defaultdict
from typing import NamedTuple

from customer_timeline.projections.component import ComponentDecision
from customer_timeline.projections.identity import unordered
from customer_timeline.projections.identity_view import Resolved, Tie


class Why(NamedTuple):
    """The answer about `a` and `b`.

    `chain` leads from the one to the other. Of one customer it is the shortest of the ties that join; of two it is the
    one with the fewest refused ties, then the shortest, and those that are refused say what keeps the two apart. Empty:
    nothing that is known leads from the one to the other. `vetoes`: the decisions that part the two customers.
    """

    a: str
    b: str
    together: bool
    chain: tuple[Tie, ...]
    vetoes: tuple[ComponentDecision, ...]


def why(resolved: Resolved, a: str, b: str) -> Why:
    """Why the two are one customer, or not. Both must be in the component, inside or at its ends."""
    customers = unordered((resolved.customer_of[a], resolved.customer_of[b]))
    together = customers[0] == customers[1]
    vetoes = () if together else tuple(resolved.vetoes().get(customers, ()))
    return Why(a, b, together, _chain(resolved.ties(), a, b), vetoes)


def _chain(ties: list[Tie], start: str, goal: str) -> tuple[Tie, ...]:
    """The chain with the fewest refused ties, then the fewest at all, then the least ids: Dijkstra's algorithm."""
    around: defaultdict[str, list[tuple[str, Tie]]] = defaultdict(list)
    for tie in ties:
        around[tie.pair[0]].append((tie.pair[1], tie))
        around[tie.pair[1]].append((tie.pair[0], tie))
    came: dict[str, tuple[str, Tie] | None] = {}
    waiting: list[tuple[int, int, str, str, int]] = [(0, 0, start, "", -1)]
    while waiting:
        refused, length, here, before, place = heapq.heappop(waiting)
        if here in came:
            continue
        came[here] = (before, around[before][place][1]) if place >= 0 else None
        if here == goal:
            return _walked_back(came, goal)
        for number, (there, tie) in enumerate(around[here]):
            if there not in came:
                heapq.heappush(waiting, (refused + (tie.refused is not None), length + 1, there, here, number))
    return ()


def _walked_back(came: dict[str, tuple[str, Tie] | None], goal: str) -> tuple[Tie, ...]:
    chain = []
    step = came[goal]
    while step is not None:
        chain.append(step[1])
        step = came[step[0]]
    return tuple(reversed(chain))
