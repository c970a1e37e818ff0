"""Who is who after a batch: from locked customers and claimed identifiers to what becomes of each row.

The last step of `identity_store`, under its locks and on its terms: `Decider` asks for more locks by raising `Retry`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from customer_timeline.projections.identity import customer_id_of, limit_of
from customer_timeline.projections.postgres.copy_text import uuid_array
from customer_timeline.projections.postgres.identity_graph import Graph, decide, members_of
from customer_timeline.projections.postgres.identity_work import Known
from customer_timeline.projections.sweeping import Standing

if TYPE_CHECKING:
    from customer_timeline.projections.postgres.identity_store import Attempt


class Locked(NamedTuple):
    """A customer row under this transaction's lock."""

    customer_id: str
    gen: int
    contested: bool
    facts: str
    schedule: str
    rules: str
    standing: Standing
    partial_until_us: int | None


class CustomerPlan(NamedTuple):
    """What becomes of one customer: `combine` these rows' facts and add the batch, or fold `refold` members again
    (then the rows are those that its members come from).
    """

    customer_id: str
    gen: int
    contested: bool
    combine: tuple[Locked, ...]
    refold: tuple[str, ...] | None


# As the constructors, which are a Python frame each time.
as_locked: Final[Callable[[tuple[object, ...]], Locked]] = partial(tuple.__new__, Locked)
as_plan: Final[Callable[[tuple[object, ...]], CustomerPlan]] = partial(tuple.__new__, CustomerPlan)


class IdentityChange(NamedTuple):
    """An announcement: the customer that now is what `former` were."""

    customer_id: str
    former: tuple[str, ...]


@dataclass(slots=True)
class Settlement:
    """The outcome for one batch. `home`: to whose customer each holder's events go."""

    plans: dict[str, CustomerPlan] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    home: dict[str, str] = field(default_factory=dict)
    changes: list[IdentityChange] = field(default_factory=list)


class Retry(Exception):  # noqa: N818 - control flow between these two modules
    """The locked rows are not all that is concerned; `customers` must be locked too."""

    def __init__(self, customers: Iterable[str], stale: Iterable[str] = ()) -> None:
        self.customers = set(customers)
        self.stale = set(stale)


class Groups:
    """Union-find over customers and claimed identifiers; whatever was not added stands alone."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def add(self, node: str) -> None:
        self._parent.setdefault(node, node)

    def join(self, left: str, right: str) -> None:
        if left == right:
            return
        self.add(left)
        self.add(right)
        a, b = self._root(left), self._root(right)
        if a != b:
            self._parent[b] = a

    def all(self) -> list[list[str]]:
        groups: dict[str, list[str]] = {}
        for node in self._parent:
            groups.setdefault(self._root(node), []).append(node)
        return list(groups.values())

    def _root(self, node: str) -> str:
        parent = self._parent
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node


class Decider:
    """From groups of customers and claimed identifiers to plans."""

    def __init__(self, attempt: Attempt, groups: Groups, slow: set[str]) -> None:
        self._a = attempt
        self._groups = groups
        self._slow = slow
        self._settlement = Settlement()
        self._repoint: dict[str, str] = {}

    def run(self) -> Settlement:
        """Plans for every locked customer and claimed identifier; identifiers are repointed."""
        a = self._a
        for identifier_id in a.renamed:
            self._groups.add(a.node_of(identifier_id))
        changing = self._groups.all()
        old = {node for group in changing for node in group if node in a.rows}
        members = a.read_members(old) if old else {}
        by_customer: dict[str, list[str]] = {}
        for identifier_id, known in members.items():
            if identifier_id not in a.claimed:
                by_customer.setdefault(known.customer_id, []).append(identifier_id)
        unions: list[tuple[list[str], dict[str, Known]]] = []
        for group in changing:
            inside = {i: members[i] for node in group for i in by_customer.get(node, ())}
            inside.update({node: a.claimed[node] for node in group if node in a.claimed})
            if len(group) > 1 and (self._contested(group) or self._over_limit(inside)):
                self._slow.update(group)
            unions.append((group, inside))
        slow_nodes = self._resettle() if self._slow else set()
        for group, inside in unions:
            if not slow_nodes.intersection(group):
                self._union(group, inside)
        plans, deleted = self._settlement.plans, self._settlement.deleted
        for customer_id, row in a.rows.items():
            if customer_id not in slow_nodes and customer_id not in deleted and customer_id not in plans:
                plans[customer_id] = as_plan((customer_id, row.gen, row.contested, (row,), None))
        self._write_identifiers()
        return self._settlement

    def _contested(self, group: Iterable[str]) -> bool:
        return any(node in self._a.rows and self._a.rows[node].contested for node in group)

    def _over_limit(self, inside: Mapping[str, Known]) -> bool:
        counts: dict[str, int] = {}
        for known in inside.values():
            limit = limit_of(known.kind, self._a.policy)
            if limit is not None:
                counts[known.kind] = counts.get(known.kind, 0) + 1
                if counts[known.kind] > limit:
                    return True
        return False

    def _union(self, group: Iterable[str], inside: Mapping[str, Known]) -> None:
        """Combine rows into the customer named by the member seen first."""
        a = self._a
        rows = tuple(a.rows[node] for node in group if node in a.rows)
        customer_id = customer_id_of(members_of(inside).values())
        kept = next((row for row in rows if row.customer_id == customer_id), None)
        plan = CustomerPlan(customer_id, kept.gen if kept else new_gen(), any(r.contested for r in rows), rows, None)
        self._place(plan, inside, {row.customer_id for row in rows})

    def _resettle(self) -> set[str]:
        """Decide whole raw components again. Returns the nodes that they took in."""
        a = self._a
        seeds = {node for node in self._slow if node in a.claimed}
        seeds |= a.read_members(node for node in self._slow if node in a.rows).keys()
        overrides = {**a.claimed, **{i: known for i, known in a.known.items() if i in a.renamed or known.shared}}
        graph = self._read_graph(seeds, overrides)
        # A claimed identifier's customer is a guess; it may name a locked row that has nothing to do with this.
        old = {graph.known[i].customer_id for i in graph.inside - a.claimed.keys()}
        missing = old - a.rows.keys()
        if missing:
            raise Retry(missing)
        resolution = decide(graph, a.links, a.policy)
        tainted = a.work.must_refold
        whole: dict[str, set[str]] = {}
        for identifier_id in graph.inside - a.claimed.keys():
            whole.setdefault(graph.known[identifier_id].customer_id, set()).add(identifier_id)
        for customer_id, members in resolution.customers.items():
            inside = {i: graph.known[i] for i in members if i in graph.inside}
            if not inside:
                continue
            contested = not resolution.contested.isdisjoint(members)
            before = {graph.known[i].customer_id for i in members if i not in a.claimed}
            grown = all(whole[one] <= inside.keys() for one in before) and tainted.isdisjoint(inside)
            self._plan_decided(customer_id, inside, before, grown, contested)
        return old | (graph.inside & a.claimed.keys())

    def _read_graph(self, seeds: set[str], overrides: Mapping[str, Known]) -> Graph:
        a = self._a
        graph = a.graphs.read(seeds, a.claimed, a.newly_shared, a.work.withdrawn_pairs | a.work.decided_pairs)
        for identifier_id, known in overrides.items():
            if identifier_id in graph.known:
                graph.known[identifier_id] = known
        return graph

    def _plan_decided(
        self, customer_id: str, inside: Mapping[str, Known], before: set[str], grown: bool, contested: bool
    ) -> None:
        rows = tuple(self._a.rows[one] for one in sorted(before))
        kept = next((row for row in rows if row.customer_id == customer_id), None) if grown else None
        # Other workers remember, under the old gen, that a value now shared still tells who somebody is.
        gen = kept.gen if kept and self._a.newly_shared.isdisjoint(inside) else new_gen()
        refold = None if grown else tuple(sorted(inside))
        self._place(CustomerPlan(customer_id, gen, contested, rows, refold), inside, before)

    def _place(self, plan: CustomerPlan, inside: Mapping[str, Known], before: set[str]) -> None:
        settlement = self._settlement
        settlement.plans[plan.customer_id] = plan
        settlement.deleted |= before
        if before and before != {plan.customer_id}:
            settlement.changes.append(IdentityChange(plan.customer_id, tuple(sorted(before - {plan.customer_id}))))
        for identifier_id, known in inside.items():
            if known.customer_id != plan.customer_id:
                self._repoint[identifier_id] = plan.customer_id
            self._a.known[identifier_id] = known._replace(customer_id=plan.customer_id)

    def _write_identifiers(self) -> None:
        a, settlement = self._a, self._settlement
        settlement.deleted -= settlement.plans.keys()
        if self._repoint:
            a.cursor.execute(
                a.sql["repoint"],
                {"identifier_id": uuid_array(self._repoint), "customer_id": uuid_array(self._repoint.values())},
            )
        settlement.home = {i: a.known[i].customer_id for i in a.work.holders}
        memory = a.memory
        for identifier_id, known in a.known.items():
            gen = settlement.plans[known.customer_id].gen
            memory.identifiers[identifier_id] = known if known.gen == gen else known._replace(gen=gen)
        for pair, evidence in a.work.evidence.items():
            memory.remember_bound(pair, memory.identifiers[pair[0]].gen, min(evidence))


def new_gen() -> int:
    return random.getrandbits(62)
