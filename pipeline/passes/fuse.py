"""Fuses element-wise chains and reductions into single kernels.

A group is a set of nodes on one grid (see domain.py).  A node is merged with the groups that it reads from when every value fits the
common grid, no path leaves the group and comes back, and no full-size value waits for a reduction to one scalar.  Cheap values that
another group needs are computed again there rather than stored, when all they need is stored anyway.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from backends.contract import Body, Instruction, Level
from pipeline.graph.ir import Graph, Node
from pipeline.ops import OPS
from pipeline.passes.domain import Domain, elementwise_domain, levels, reduction_domain, refined

CHEAP = frozenset(
    {
        "add",
        "sub",
        "mul",
        "neg",
        "maximum",
        "where",
        "greater",
        "less",
        "equal",
        "cast",
        "spread",
        "abs",
        "reshape",
        "column_index",
        "constant",
    }
)
RANDOM_BLOCK = 64  # neighbouring elements that one round of Philox gives; rows that split such a block would compute it several times
RECOMPUTE_LIMIT = 8  # nodes recomputed for one value


@dataclass(eq=False)
class Group:
    """Nodes of one kernel; `domain` is None for a node that is no candidate for fusion.

    avoids  states that a kernel before this one has replaced, so no value may be computed again from them
    """

    domain: Domain | None
    nodes: list[Node] = field(default_factory=list)
    needs: set[Group] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    avoids: set[str] = field(default_factory=set)


def fuse(graph: Graph) -> tuple[Graph, tuple[str, ...]]:
    """`graph` with its element-wise chains and reductions as `fused` nodes."""
    groups = _grow(graph)
    order = _topological(groups)
    kernels = _kernels(graph, order)
    while late := _read_too_late(graph, kernels):
        for group, state in late:
            group.avoids.add(state)
        kernels = _kernels(graph, order)
    nodes: list[Node] = []
    types = dict(graph.types)
    root = graph.views
    read = graph.escaping() | {name for group in order if group.domain is None for node in group.nodes for name in node.inputs}
    views: dict[str, list[Node]] = {}
    for node in graph.nodes:
        if node.op == "reshape" and node.outputs[0] in read:
            views.setdefault(root[node.outputs[0]], []).append(Node("reshape", (root[node.outputs[0]],), node.outputs, node.attributes))
    nodes += [view for i in graph.inputs for view in views.get(i.name, [])]
    for made in kernels.values():
        made = [node for node in made if node.outputs]  # all that a group makes may be cheaper to make again where it is read
        nodes += made
        nodes += [view for node in made for name in node.outputs for view in views.get(name, [])]
    fused = [n for n in nodes if n.op == "fused"]
    inside = sum(len(n.attributes["body"].instructions) for n in fused)
    return graph.replace(nodes=tuple(nodes), types=types), (f"{inside} element-wise ops and reductions run in {len(fused)} kernels",)


class _Growing:
    """The state of the greedy pass over the nodes."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.root = graph.views
        self.home: dict[str, Group] = {}
        self.groups: list[Group] = []
        self.for_updates = _only_for_updates(graph)
        self.before_guard = _ancestors(graph, [graph.guard] if graph.guard else [])

    def place(self, node: Node, domain: Domain | None) -> None:
        """Gives `node` a group of its own, then merges into it every producer that may run in the same kernel."""
        producers = dict.fromkeys(self.home[name] for name in self._inputs(node) if name in self.home)
        group = Group(domain, [node], set(producers), set(node.outputs))
        self.groups.append(group)
        self.home.update(dict.fromkeys(node.outputs, group))
        for producer in sorted(producers, key=self.groups.index, reverse=True):
            common = self._common(producer, group)
            if common and not self._around(producer, group):
                self._merge(producer, group, common)

    def _inputs(self, node: Node) -> list[str]:
        return [self.root.get(name, name) for name in node.inputs]

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
        if producer.domain is None or group.domain is None:
            return None
        # an update waits for the guard, so it may not run in a kernel that the guard waits for
        if producer.values & self.before_guard and group.values & self.for_updates:
            return None
        if group.values & self.before_guard and producer.values & self.for_updates:
            return None
        nodes = self.graph.binding(producer.values | group.values)
        reductions = [node for node in nodes if OPS[node.op].kind == "reduction"]
        random = any(node.op == "uniform" for node in nodes)
        for common in dict.fromkeys((refined(producer.domain, group.domain), producer.domain, group.domain)):
            if common is None or (random and common.rows > 1 and common.columns % RANDOM_BLOCK):
                continue
            known = levels(common, nodes, self.root, self.graph.types)
            if known and all(self._reduces_alike(node, common, known) for node in reductions) and self._one_pass(nodes, reductions, known):
                return common
        return None

    def _reduces_alike(self, reduction: Node, common: Domain, known: dict[str, Level]) -> bool:
        own = reduction_domain(self.graph.types[reduction.inputs[0]].shape, reduction.attributes["axes"])
        return own is not None and own.reduces == common.reduces and known[self._inputs(reduction)[0]] == "full"

    def _one_pass(self, nodes: list[Node], reductions: list[Node], known: dict[str, Level]) -> bool:
        """No full-size value waits for a sum over the whole grid: that would need a second pass by all threads."""
        waiting = {node.outputs[0] for node in reductions if known[node.outputs[0]] == "scalar"}
        for node in nodes if waiting else ():
            if waiting.intersection(self._inputs(node)):
                waiting.update(node.outputs)
        return all(known[name] == "scalar" for name in waiting)

    def _around(self, producer: Group, group: Group) -> bool:
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


def _grow(graph: Graph) -> list[Group]:
    growing = _Growing(graph)
    escaping = graph.escaping()
    for node in graph.nodes:
        kind = OPS[node.op].kind
        if node.op == "reshape" or (node.op == "constant" and node.outputs[0] not in escaping):
            continue
        domain: Domain | None = None
        if kind == "elementwise":
            domain = elementwise_domain(graph.types[node.outputs[0]].shape, [graph.types[i].shape for i in node.inputs])
        elif kind == "reduction":
            domain = reduction_domain(graph.types[node.inputs[0]].shape, node.attributes["axes"])
        growing.place(node, domain)
    return growing.groups


def _topological(groups: list[Group]) -> list[Group]:
    order: list[Group] = []
    done: set[Group] = set()
    for first in groups:
        waiting = [first]
        while waiting:
            group = waiting[-1]
            missing = [g for g in groups if g in group.needs and g not in done]
            if group in done or not missing:
                waiting.pop()
                if group not in done:
                    done.add(group)
                    order.append(group)
            else:
                waiting.append(missing[0])
    return order


def _stored(graph: Graph, order: list[Group]) -> set[str]:
    """The values (views resolved) that must lie in memory."""
    root = graph.views
    home = {name: group for group in order for name in group.values}
    stored = {i.name for i in graph.inputs} | {root.get(name, name) for name in graph.escaping()}
    for group in order:
        if group.domain is None:
            stored |= group.values | {root.get(name, name) for node in group.nodes for name in node.inputs}
    for group in order:  # producers come first, so what a producer stores is known when its readers are looked at
        for node in group.nodes:
            for name in (root.get(n, n) for n in node.inputs):
                if group.domain is None or home.get(name) is group or name in stored or graph.producers[name].op == "constant":
                    continue
                chain = _recomputation(graph, group, name, stored)
                made = {n.outputs[0] for n in chain or ()}
                stored.update(
                    [name]
                    if chain is None
                    else (root.get(i, i) for n in chain for i in n.inputs if root.get(i, i) not in made | group.values)
                )
    return stored


def _kernels(graph: Graph, order: list[Group]) -> dict[Group, list[Node]]:
    """The nodes of each group as they run, producers first."""
    stored = _stored(graph, order)
    return {group: group.nodes if group.domain is None else [_fused_node(graph, group, stored)] for group in order}


def _read_too_late(graph: Graph, kernels: dict[Group, list[Node]]) -> list[tuple[Group, str]]:
    """Groups that compute a value again from a state which a group that they wait for has replaced by then, and that state."""
    root = graph.views
    home = {name: group for group in kernels for name in group.values}
    reads = {g: {root.get(name, name) for node in nodes for name in node.inputs} for g, nodes in kernels.items()}
    before: dict[Group, set[Group]] = {}  # a group -> all that it waits for; producers come first
    for group in kernels:
        direct = {home[name] for name in reads[group] if name in home} - {group}
        before[group] = direct.union(*(before[g] for g in direct))
    writers = {state: home[root.get(value, value)] for state, value in graph.updates.items() if root.get(value, value) in home}
    late = [(g, state) for state, writer in writers.items() for g in kernels if state in reads[g] and writer in before[g]]
    return [(g, state) for g, state in late if state not in g.avoids]


def _recomputation(graph: Graph, group: Group, name: str, stored: set[str]) -> list[Node] | None:
    """The nodes that make `name` anew inside `group` from stored values and the group's own, in order, or None when that is not cheap."""
    assert group.domain
    root, chain = graph.views, set[str]()
    waiting = [name]
    while waiting:
        value = root.get(waiting[-1], waiting.pop())
        node = graph.producers.get(value)
        level = group.domain.level(graph.types[value].shape)
        if level is None:
            return None
        if value in group.avoids:
            return None
        small = value != name and level in ("column", "row", "scalar")  # one number a column is cheap to store
        if value in stored or value in group.values or value in chain or small:
            continue
        if node is None or node.op not in CHEAP or level != "full" or len(chain) == RECOMPUTE_LIMIT:
            return None
        chain.add(value)
        waiting.extend(node.inputs)
    return graph.binding(chain)


def _fused_node(graph: Graph, group: Group, stored: set[str]) -> Node:
    assert group.domain
    root, producers, domain = graph.views, graph.producers, group.domain
    own = dict.fromkeys(node.outputs[0] for node in group.nodes)
    made = set(own)
    for node in group.nodes:
        for name in (root.get(n, n) for n in node.inputs):
            if name not in own and name not in stored and producers[name].op != "constant":
                made.update(extra.outputs[0] for extra in _recomputation(graph, group, name, stored) or ())
    members = graph.binding(made)
    read = dict.fromkeys(root.get(name, name) for node in members for name in node.inputs)
    literals = [name for name in read if name not in made and name in producers and producers[name].op == "constant"]
    members = [producers[name] for name in literals] + members
    inputs = [name for name in read if name not in made and name not in literals]
    results = tuple(name for name in own if name in stored)
    known = levels(domain, members, root, graph.types)
    assert known is not None
    kind = domain.reduces or ("flat" if domain.rows == 1 else "row" if "row" in known.values() else "column")
    body = Body(
        kind=kind,
        rows=domain.rows,
        columns=domain.columns,
        inputs=tuple((name, known[name]) for name in inputs),
        instructions=tuple(
            Instruction(
                name=node.outputs[0],
                op=node.op,
                operands=tuple(root.get(n, n) for n in node.inputs),
                dtype=graph.types[node.outputs[0]].dtype,
                level=known[node.outputs[0]],
                attributes=node.attributes,
            )
            for node in members
        ),
        outputs=results,
    )
    types = tuple(graph.types[name] for name in results)
    return Node("fused", tuple(inputs), results, {"body": body, "types": types})


def _ancestors(graph: Graph, names: list[str]) -> set[str]:
    reached = set(names)
    for node in reversed(graph.nodes):
        if reached.intersection(node.outputs):
            reached.update(node.inputs)
    return reached


def _only_for_updates(graph: Graph) -> set[str]:
    """Values from which nothing but an update is reached."""
    others = set(graph.outputs.values()) | ({graph.guard} if graph.guard else set())
    needed = _ancestors(graph, sorted(others))
    return {name for node in graph.nodes for name in node.outputs if name not in needed}
