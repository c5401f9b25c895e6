"""Values that the backward half reads are made again there, where that is cheap, instead of kept since the forward half.

The pre-activation, its statistics and the mask of dropout are kept for the backward half anyway; batch norm, activation and dropout applied
to them once more give the layer's output without a sum and without a draw (Chen et al. 2016, "Training deep nets with sublinear memory
cost", at the grain of one layer).
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from dataclasses import replace

from backends.contract import Body
from pipeline.graph.ir import Fused, Graph, Node, rename
from pipeline.ops import OPS
from pipeline.ops.fused import fused_node
from pipeline.plan.order import circle, phases


def recompute(graph: Graph) -> tuple[Graph, tuple[str, ...]]:
    """`graph` with the results of fused kernels that the backward half reads made again just before their first reader there."""
    if graph.guard is None:
        return graph, ()
    work = _Recomputing(graph)
    for node in graph.nodes:
        if node.fused:
            for value in node.outputs:
                work.consider(node.fused, value)
    made, reasons = work.result()
    # what is made again may read a state that its kernel would wait to see replaced; then all is kept
    return (graph, ()) if circle(made) else (made, reasons)


class _Recomputing:
    """again: value -> the kernel that makes it anew, and the numbers of the readers that are given the new one."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.phase, _ = phases(graph)
        self.loss = self._made_in(str(graph.guard))
        self.states = {i.name for i in graph.inputs if i.kind == "state"}
        self.again: dict[str, tuple[Node, list[int]]] = {}

    def consider(self, fused: Fused, value: str) -> None:
        """Notes `value`, which `fused` makes, where it can be made again and need not be kept."""
        readers = self.graph.readers[value]
        late = [index for index in readers if self.phase[index] > self.loss]
        if not late or value in self.graph.kept or len(late) == len(readers):
            return
        first = min(late, key=lambda index: (self.phase[index], index))
        anchor = self._anchor(first, value)
        body = _body(fused, value) if anchor else None
        if body is None or not all(self._there(name, level, self.phase[first]) for name, level in body.inputs):
            return
        if not self._replaced_before(anchor, [name for name, _ in body.inputs]):
            types = {_new(value): self.graph.types[value]}
            self.again[value] = (fused_node(body, types, after=(anchor,)), late)

    def _made_in(self, name: str) -> int:
        """The phase of the node that binds `name`."""
        return self.phase[self.graph.places[name]]

    def _anchor(self, reader: int, value: str) -> str:
        """What the new kernel waits for, so that it does not run at once: of all that `reader` reads beside `value` what is made last,
        or nothing where that is made in the forward half."""
        others = [name for name in self.graph.operands(self.graph.nodes[reader]) if name != value and name in self.graph.places]
        anchor = max(others, key=self._made_in, default="")
        return anchor if anchor and self._made_in(anchor) > self.loss else ""

    def _there(self, name: str, level: str, until: int) -> bool:
        """Whether an input is there at phase `until` anyway."""
        if level != "full" or name not in self.graph.places:
            return True
        return name not in self.again and (name in self.graph.kept or max(self.phase[i] for i in self.graph.readers[name]) >= until)

    def _replaced_before(self, anchor: str, names: Collection[str]) -> bool:
        """Whether what leads to `anchor` replaces a state among `names`."""
        leading = self.graph.ancestors([anchor])
        replacing = (value for state, value in self.graph.updates.items() if state in names)
        return any(not leading.isdisjoint(self.graph.producers[value].outputs) for value in replacing)

    def result(self) -> tuple[Graph, tuple[str, ...]]:
        """The graph with the new kernels before their first readers."""
        if not self.again:
            return self.graph, ()
        nodes: list[Node] = []
        types = dict(self.graph.types)
        for index, node in enumerate(self.graph.nodes):
            names: dict[str, str] = {}
            for name, value in zip(node.inputs, self.graph.operands(node), strict=True):
                if node.is_view or value not in self.again or index not in self.again[value][1]:
                    continue
                names[name] = _new(name)
                for old, make in ((value, self.again[value][0]), (name, self._view(name, value))):
                    if _new(old) not in types:
                        nodes.append(make)
                        types[_new(old)] = self.graph.types[old]
            nodes.append(_reading(node, names) if names else node)
        return self.graph.replace(nodes=tuple(nodes), types=types), (
            f"{len(self.again)} values are made again for the backward half: {', '.join(self.again)}",
        )

    def _view(self, name: str, value: str) -> Node:
        """The view `name` of `value`, if it is one, of the new value."""
        return replace(self.graph.producers[name], inputs=(_new(value),), outputs=(_new(name),))


def _body(fused: Fused, value: str) -> Body | None:
    """What makes `value` from the inputs and the other results of its kernel, or None where that is dear: nothing transcendental, no
    draws, no sums."""
    body = fused.body
    if body.levels[value] != "full" or value not in body.made or body.blocks > 1:
        return None
    given = set(body.outputs) - {value}
    chain = body.chain([value], given)
    read = _read(body, value, given)
    product = body.inputs[0][0] if fused.product else None
    in_no_memory = product in read and product not in given
    if in_no_memory or any(OPS[i.op].cost not in ("cheap", "slow") for i in chain):
        return None
    inner = {i.name: f"{i.name}@again.{value}" for i in chain}
    inputs = tuple((name, body.levels[name]) for name in read)
    return replace(body, inputs=inputs, instructions=chain, outputs=(value,)).renamed(inner | {value: _new(value)})


def _read(body: Body, value: str, given: Container[str]) -> list[str]:
    """The inputs and the `given` values that `value` is made of, the last operands first."""
    read: dict[str, None] = {}
    waiting, seen = [value], {value}
    while waiting:
        name = waiting.pop()
        if name in given or name not in body.made:
            read[name] = None
        else:
            seen.add(name)
            waiting += [o for o in body.made[name].operands if o not in seen]
    return list(read)


def _reading(node: Node, names: Mapping[str, str]) -> Node:
    """`node` with other inputs."""
    attributes = {"fused": replace(node.fused, body=node.fused.body.renamed(names))} if node.fused else node.attributes
    return replace(node, inputs=rename(node.inputs, names), attributes=attributes)


def _new(name: str) -> str:
    return f"{name}@again"
