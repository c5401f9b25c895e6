"""Fuses element-wise chains and reductions into single kernels.

A node is merged with the groups that it reads from when every value fits the common grid, no path leaves the group and comes back, and no
full-size value waits for a reduction to one scalar (groups.py).  Cheap values that another group needs are computed again there rather
than stored, when all they need is stored anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backends.contract import Body, Instruction
from pipeline.graph.ir import Graph, Node
from pipeline.ops import OPS
from pipeline.ops.fused import fused_node
from pipeline.passes.domain import levels
from pipeline.passes.groups import Group, grow
from pipeline.plan.order import circle

RECOMPUTE_LIMIT = 8  # nodes recomputed for one value

Kernels = dict[Group, list[Node]]


def fuse(graph: Graph) -> tuple[Graph, tuple[str, ...]]:
    """`graph` with its element-wise chains and reductions as `fused` nodes.

    A state is replaced where it lies, so a kernel that replaces one waits for all that read it.  Kernels may not wait for each other in a
    circle: what one of them computes again from the state is stored after all, and where it reads the state itself, the update becomes a
    kernel of its own.
    """
    alone: set[str] = set()
    order = grow(graph, alone)
    while True:
        kernels = _kernels(graph, order)
        late = _read_too_late(graph, kernels)
        for group, state in late:
            group.avoids.add(state)
        if late:
            continue
        result = graph.replace(nodes=tuple(_nodes(graph, order, kernels)))
        ring = circle(result)
        if not ring:
            break
        again = _computed_again(graph, result, kernels, ring)
        if again is not None:
            group, state = again
            group.avoids.add(state)
            continue
        update = next(value for value in _written(result, ring) if value not in alone)
        alone.add(update)
        order = grow(graph, alone)
    bodies = [node.fused.body for node in result.nodes if node.fused]
    inside = sum(len(body.instructions) for body in bodies)
    return result, (f"{inside} element-wise ops and reductions run in {len(bodies)} kernels",)


def _nodes(graph: Graph, order: list[Group], kernels: Kernels) -> list[Node]:
    """The kernels, and the views that are still read by name, each after what it shows."""
    views = _views(graph, order)
    nodes = [view for i in graph.inputs for view in views.get(i.name, [])]
    for made in kernels.values():
        made = [node for node in made if node.outputs]  # all that a group makes may be cheaper to make again where it is read
        nodes += made
        nodes += [view for node in made for name in node.outputs for view in views.get(name, [])]
    return nodes


def _written(fused: Graph, ring: Sequence[int]) -> list[str]:
    """The updates that kernels of the ring make and whose state another of the ring reads."""
    found = []
    for state, value in fused.updates.items():
        number = fused.places.get(fused.resolve(value))
        if number in ring and any(reader in ring and reader != number for reader in fused.readers[state]):
            found.append(value)
    return found


def _computed_again(graph: Graph, fused: Graph, kernels: Kernels, ring: Sequence[int]) -> tuple[Group, str] | None:
    """A group of the ring that reads a state which another replaces, only to compute a value again, and that state."""
    home = {name: group for group in kernels for name in group.values}
    states = {state for state, value in graph.updates.items() if value in _written(fused, ring)}
    for number in ring:
        node = fused.nodes[number]
        group = home[node.outputs[0]]
        own = {name for member in group.nodes for name in graph.operands(member)}
        for name in map(fused.resolve, node.inputs):
            if name in states - own - group.avoids:
                return group, name
    return None


def _views(graph: Graph, order: list[Group]) -> dict[str, list[Node]]:
    """value -> the views of it that are still read by name: they leave the graph, or a kernel of its own reads them."""
    read = graph.escaping() | {name for group in order if group.domain is None for node in group.nodes for name in node.inputs}
    views: dict[str, list[Node]] = {}
    for view, root in graph.views.items():
        if view in read:
            views.setdefault(root, []).append(Node("reshape", (root,), (view,), graph.producers[view].attributes))
    return views


def _kernels(graph: Graph, order: list[Group]) -> Kernels:
    """The nodes of each group as they run, producers first."""
    stored = _stored(graph, order)
    return {group: group.nodes if group.domain is None else [_fused_node(graph, group, stored)] for group in order}


def _stored(graph: Graph, order: list[Group]) -> set[str]:
    """The values (views resolved) that must lie in memory."""
    stored = {i.name for i in graph.inputs} | graph.kept
    for group in order:
        if group.domain is None:  # a kernel of its own reads from memory and writes to it
            stored |= group.values.union(*(graph.operands(node) for node in group.nodes))
    for group in order:  # producers come first, so what a producer stores is known when its readers are looked at
        for name in _from_others(graph, group):
            if name in stored:
                continue
            chain = _recomputation(graph, group, name, stored)
            if chain is None:
                stored.add(name)
            else:  # then what it is made of must be there
                made = {n.outputs[0] for n in chain} | group.values
                stored.update(i for n in chain for i in graph.operands(n) if i not in made)
    return stored


def _from_others(graph: Graph, group: Group) -> Iterator[str]:
    """What a fused group reads of other groups and of inputs; literals are part of each kernel."""
    for node in group.nodes if group.domain else ():
        yield from (name for name in graph.operands(node) if name not in group.values and not _literal(graph, name))


def _literal(graph: Graph, name: str) -> bool:
    return name in graph.producers and graph.producers[name].op == "constant"


def _recomputation(graph: Graph, group: Group, name: str, stored: set[str]) -> list[Node] | None:
    """The nodes that make `name` anew inside `group` from stored values and the group's own, in order, or None when that is not cheap."""
    assert group.domain
    chain = set[str]()
    waiting = [name]
    while waiting:
        value = graph.resolve(waiting.pop())
        level = group.domain.level(graph.types[value].shape)
        if level is None or value in group.avoids:
            return None
        small = value != name and level != "full"  # one number a row or column is cheap to store
        if value in stored or value in group.values or value in chain or small:
            continue
        node = graph.producers[value]
        if OPS[node.op].cost != "cheap" or level != "full" or len(chain) == RECOMPUTE_LIMIT:
            return None
        chain.add(value)
        waiting.extend(node.inputs)
    return graph.binding(chain)


def _read_too_late(graph: Graph, kernels: Kernels) -> list[tuple[Group, str]]:
    """Groups that compute a value again from a state which a group that they wait for has replaced by then, and that state."""
    home = {name: group for group in kernels for name in group.values}
    reads = {g: {graph.resolve(name) for node in nodes for name in node.inputs} for g, nodes in kernels.items()}
    before: dict[Group, set[Group]] = {}  # a group -> all that it waits for; producers come first
    for group in kernels:
        direct = {home[name] for name in reads[group] if name in home} - {group}
        before[group] = direct.union(*(before[g] for g in direct))
    replacing = {state: graph.resolve(value) for state, value in graph.updates.items()}
    writers = {state: home[value] for state, value in replacing.items() if value in home}
    late = [(g, state) for state, writer in writers.items() for g in kernels if state in reads[g] and writer in before[g]]
    return [(g, state) for g, state in late if state not in g.avoids]


def _fused_node(graph: Graph, group: Group, stored: set[str]) -> Node:
    """The kernel of `group`: its own nodes, before them what it computes again, before all the literals that they read."""
    assert group.domain
    domain, producers = group.domain, graph.producers
    made = set(group.values)
    for name in _from_others(graph, group):
        if name not in stored:
            made.update(extra.outputs[0] for extra in _recomputation(graph, group, name, stored) or ())
    members = graph.binding(made)
    read = [name for name in dict.fromkeys(name for node in members for name in graph.operands(node)) if name not in made]
    members = [producers[name] for name in read if _literal(graph, name)] + members
    known = levels(domain, members, graph)
    assert known is not None
    instructions = (
        Instruction(
            name=node.outputs[0],
            op=node.op,
            operands=graph.operands(node),
            dtype=graph.types[node.outputs[0]].dtype,
            level=known[node.outputs[0]],
            attributes=node.attributes,
        )
        for node in members
    )
    body = Body(
        kind=domain.reduces or ("flat" if domain.rows == 1 else "row" if "row" in known.values() else "column"),
        rows=domain.rows,
        columns=domain.columns,
        inputs=tuple((name, known[name]) for name in read if not _literal(graph, name)),
        instructions=tuple(instructions),
        outputs=tuple(node.outputs[0] for node in group.nodes if node.outputs[0] in stored),
    )
    return fused_node(body, graph.types)
