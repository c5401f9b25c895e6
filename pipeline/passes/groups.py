"""Which nodes run in one kernel: a group is a set of nodes on one grid (see domain.py), grown greedily along the graph."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from backends.contract import Level
from pipeline.graph.ir import Graph, Node
from pipeline.ops import OPS
from pipeline.passes.domain import Domain, elementwise_domain, levels, reduction_domain, refined

RANDOM_BLOCK = 64  # neighbouring elements that one round of Philox gives; rows that split such a block would compute it several times


@dataclass(eq=False)
class Group:
    """Nodes of one kernel; `domain` is None for a node that is no candidate for fusion.

    needs   the groups that it reads from
    avoids  states that a kernel before this one has replaced, so no value may be computed again from them
    """

    domain: Domain | None
    nodes: list[Node] = field(default_factory=list)
    needs: set[Group] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    avoids: set[str] = field(default_factory=set)


def grow(graph: Graph, alone: Collection[str] = ()) -> list[Group]:
    """The groups of `graph`, each after those that it needs.  Views belong to none, nor do literals, which are part of each reader.

    alone: values whose nodes are groups of their own.
    """
    growing = _Growing(graph, alone)
    escaping = graph.escaping()
    for node in graph.nodes:
        if not node.is_view and (node.op != "constant" or node.outputs[0] in escaping):
            growing.place(node)
    return _ordered(growing.groups)


class _Growing:
    """The state of the greedy walk over the nodes.

    before_guard  what the guard waits for
    for_updates   what nothing but an update is made of
    """

    def __init__(self, graph: Graph, alone: Collection[str]) -> None:
        self.graph, self.alone = graph, alone
        self.home: dict[str, Group] = {}
        self.groups: list[Group] = []
        guard = {graph.guard} if graph.guard else set[str]()
        self.before_guard = graph.ancestors(guard)
        self.for_updates = graph.producers.keys() - graph.ancestors(guard | set(graph.outputs.values()))

    def place(self, node: Node) -> None:
        """Gives `node` a group of its own, then merges into it every producer that may run in the same kernel."""
        producers = dict.fromkeys(self.home[name] for name in self.graph.operands(node) if name in self.home)
        group = Group(self._own_domain(node), [node], set(producers), set(node.outputs))
        self.groups.append(group)
        self.home.update(dict.fromkeys(node.outputs, group))
        # the youngest first: it is the nearest to this node, and an older one may then join both
        for producer in sorted(producers, key=self.groups.index, reverse=True):
            common = self._common(producer, group)
            if common and not _around(producer, group):
                self._merge(producer, group, common)

    def _own_domain(self, node: Node) -> Domain | None:
        types = self.graph.types
        match OPS[node.op].kind:
            case "elementwise":
                return elementwise_domain(types[node.outputs[0]].shape, [types[i].shape for i in node.inputs])
            case "reduction":
                return reduction_domain(types[node.inputs[0]].shape, node.attributes["axes"])
        return None

    def _merge(self, old: Group, group: Group, domain: Domain) -> None:
        group.domain = domain
        group.nodes = old.nodes + group.nodes
        group.needs = (group.needs | old.needs) - {old, group}
        group.values |= old.values
        self.home.update(dict.fromkeys(old.values, group))
        self.groups.remove(old)
        for other in self.groups:
            if old in other.needs:
                other.needs = (other.needs - {old}) | {group}

    def _common(self, producer: Group, group: Group) -> Domain | None:
        """The grid on which both run as one kernel, or None."""
        if producer.domain is None or group.domain is None or self._guarded_apart(producer, group):
            return None
        if not (producer.values | group.values).isdisjoint(self.alone):
            return None
        nodes = self.graph.binding(producer.values | group.values)
        # where no grid refines both, one of the two may still hold all values
        for grid in dict.fromkeys((refined(producer.domain, group.domain), producer.domain, group.domain)):
            if grid and self._fits(grid, nodes):
                return grid
        return None

    def _guarded_apart(self, one: Group, other: Group) -> bool:
        """An update waits for the guard, so it may not run in a kernel that the guard waits for."""

        def apart(early: Group, late: Group) -> bool:
            return not early.values.isdisjoint(self.before_guard) and not late.values.isdisjoint(self.for_updates)

        return apart(one, other) or apart(other, one)

    def _fits(self, grid: Domain, nodes: Sequence[Node]) -> bool:
        """Whether `nodes` run as one kernel on `grid`: each value lies on it, reductions run one way, one pass by all threads is enough."""
        if grid.rows > 1 and grid.columns % RANDOM_BLOCK and any(OPS[node.op].random for node in nodes):
            return False
        known = levels(grid, nodes, self.graph)
        if known is None:
            return False
        reductions = [node for node in nodes if OPS[node.op].kind == "reduction"]
        return all(self._reduces_along(grid, node, known) for node in reductions) and self._one_pass(nodes, reductions, known)

    def _reduces_along(self, grid: Domain, reduction: Node, known: dict[str, Level]) -> bool:
        own = self._own_domain(reduction)
        return own is not None and own.reduces == grid.reduces and known[self.graph.operands(reduction)[0]] == "full"

    def _one_pass(self, nodes: Sequence[Node], reductions: Sequence[Node], known: dict[str, Level]) -> bool:
        """No full-size value waits for a sum over the whole grid: that would need a second pass by all threads."""
        waiting = {node.outputs[0] for node in reductions if known[node.outputs[0]] == "scalar"}
        for node in nodes if waiting else ():
            if waiting.intersection(self.graph.operands(node)):
                waiting.update(node.outputs)
        return all(known[name] == "scalar" for name in waiting)


def _around(producer: Group, group: Group) -> bool:
    """Whether `group` needs `producer` by another way too, which a merge would close to a circle."""
    waiting = [g for g in group.needs if g is not producer]
    seen: set[Group] = set()
    while waiting:
        current = waiting.pop()
        if current is producer:
            return True
        if current not in seen:
            seen.add(current)
            waiting.extend(current.needs)
    return False


def _ordered(groups: list[Group]) -> list[Group]:
    """Each group after those that it needs, else in the order in which they were made."""
    order: list[Group] = []
    done: set[Group] = set()
    for first in groups:
        waiting = [first]
        while waiting:
            group = waiting[-1]
            missing = next((g for g in groups if g in group.needs and g not in done), None)
            if missing is not None:
                waiting.append(missing)
                continue
            waiting.pop()
            if group not in done:
                done.add(group)
                order.append(group)
    return order
