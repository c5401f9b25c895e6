"""Values that the backward half reads are made again there, where that is cheap, instead of kept since the forward half.

The pre-activation, its statistics and the mask of dropout are kept for the backward half anyway; batch norm, activation and dropout applied
to them once more give the layer's output without a sum and without a draw (Chen et al. 2016, "Training deep nets with sublinear memory
cost", at the grain of one layer).
"""

from __future__ import annotations

from dataclasses import replace

from backends.contract import Body
from pipeline.graph.ir import Graph, Node, rename
from pipeline.passes.fuse import CHEAP
from pipeline.plan.order import phases

ALLOWED = CHEAP | {"div", "sqrt"}  # nothing transcendental, no draws, no sums


def recompute(graph: Graph) -> tuple[Graph, tuple[str, ...]]:
    """`graph` with the results of fused kernels that the backward half reads made again just before their first reader there."""
    if graph.guard is None:
        return graph, ()
    work = _Recomputing(graph)
    for node in graph.nodes:
        if "body" in node.attributes:
            for value in node.outputs:
                work.consider(node, value)
    return work.result()


class _Recomputing:
    """again: value -> the kernel that makes it anew, the anchor it waits for, and the readers that are given the new one."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.phase, _ = phases(graph)
        self.root = graph.views
        self.producer = graph.places
        self.loss = self.phase[self.producer[str(graph.guard)]]
        self.leaving = {self.root.get(name, name) for name in graph.escaping()}
        self.readers: dict[str, list[int]] = {}
        for index, node in enumerate(graph.nodes):
            if node.op != "reshape":
                for name in dict.fromkeys(self.root.get(n, n) for n in node.inputs):
                    self.readers.setdefault(name, []).append(index)
        self.states = {i.name for i in graph.inputs if i.kind == "state"}
        self.again: dict[str, tuple[Node, list[int]]] = {}

    def consider(self, node: Node, value: str) -> None:
        """Notes `value` of `node` where it can be made again and need not be kept."""
        late = [index for index in self.readers.get(value, []) if self.phase[index] > self.loss]
        if not late or value in self.leaving or len(late) == len(self.readers[value]):
            return
        first = min(late, key=lambda index: (self.phase[index], index))
        others = [self.root.get(name, name) for name in self.graph.nodes[first].inputs if self.root.get(name, name) != value]
        made = [name for name in others if name in self.producer]
        anchor = max(made, key=lambda name: self.phase[self.producer[name]], default="")
        if not anchor or self.phase[self.producer[anchor]] <= self.loss:
            return
        body = self._body(node, value)
        if body is None or not all(self._kept(name, level, self.phase[first]) for name, level in body.inputs):
            return
        if self._replaced_before(anchor, {name for name, _ in body.inputs}):
            return
        new = replace(body, outputs=(_new(value),))
        attributes = {"body": new, "types": (self.graph.types[value],), "after": (anchor,)}
        self.again[value] = (Node("fused", tuple(name for name, _ in body.inputs), (_new(value),), attributes), late)

    def _body(self, node: Node, value: str) -> Body | None:
        """What makes `value` from the inputs and the other results of its kernel, or None where that is dear."""
        body: Body = node.attributes["body"]
        level = dict(body.inputs) | {i.name: i.level for i in body.instructions}
        made = {i.name: i for i in body.instructions}
        product = body.inputs[0][0] if "product" in node.attributes and body.inputs[0][0] not in node.outputs else ""
        inputs: dict[str, None] = {}
        chain = {value}
        waiting = [value]
        while waiting:
            name = waiting.pop()
            if name == product:
                return None
            if name not in made or (name != value and name in node.outputs):
                inputs[name] = None
                continue
            if made[name].op not in ALLOWED or "axes" in made[name].attributes:
                return None
            chain.add(name)
            waiting += [o for o in made[name].operands if o not in chain]
        if level[value] != "full" or value not in made or body.blocks > 1:
            return None
        names = {value: _new(value)} | {name: f"{name}@again.{value}" for name in chain - {value}}
        instructions = tuple(
            replace(i, name=names[i.name], operands=rename(i.operands, names)) for i in body.instructions if i.name in chain
        )
        return replace(body, inputs=tuple((name, level[name]) for name in inputs), instructions=instructions)

    def _kept(self, name: str, level: str, until: int) -> bool:
        """Whether an input is there at phase `until` anyway."""
        if level != "full" or name not in self.producer:
            return True
        return name not in self.again and (name in self.leaving or max(self.phase[i] for i in self.readers[name]) >= until)

    def _replaced_before(self, anchor: str, names: set[str]) -> bool:
        """Whether what leads to `anchor` replaces a state among `names`."""
        replaced = {value for state, value in self.graph.updates.items() if state in names & self.states}
        waiting, seen = [anchor], {anchor}
        while waiting and replaced:
            node = self.graph.nodes[self.producer[waiting.pop()]]
            if replaced.intersection(node.outputs):
                return True
            fresh = [name for name in node.inputs if name in self.producer and name not in seen]
            seen.update(fresh)
            waiting += fresh
        return False

    def result(self) -> tuple[Graph, tuple[str, ...]]:
        """The graph with the new kernels before their first readers."""
        if not self.again:
            return self.graph, ()
        nodes: list[Node] = []
        types = dict(self.graph.types)
        present: set[str] = set()
        for index, node in enumerate(self.graph.nodes):
            names: dict[str, str] = {}
            for name in node.inputs if node.op != "reshape" else ():
                value = self.root.get(name, name)
                if value in self.again and index in self.again[value][1]:
                    names[name] = _new(name)
                    for new, make in ((_new(value), self.again[value][0]), (_new(name), self._view(name, value))):
                        if new not in present:
                            present.add(new)
                            nodes.append(make)
                            types[new] = self.graph.types[value if new == _new(value) else name]
            nodes.append(self._renamed(node, names) if names else node)
        return self.graph.replace(nodes=tuple(nodes), types=types), (
            f"{len(self.again)} values are made again for the backward half: {', '.join(self.again)}",
        )

    def _view(self, name: str, value: str) -> Node:
        view = self.graph.nodes[self.producer[name]]
        return replace(view, inputs=(_new(value),), outputs=(_new(name),)) if name != value else view

    def _renamed(self, node: Node, names: dict[str, str]) -> Node:
        attributes = dict(node.attributes)
        if "body" in attributes:
            body: Body = attributes["body"]
            attributes["body"] = replace(
                body,
                inputs=tuple((names.get(name, name), level) for name, level in body.inputs),
                instructions=tuple(replace(i, operands=rename(i.operands, names)) for i in body.instructions),
            )
        return replace(node, inputs=rename(node.inputs, names), attributes=attributes)


def _new(name: str) -> str:
    return f"{name}@again"
