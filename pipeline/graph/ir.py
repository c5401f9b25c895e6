"""The op graph.  Values have names and types; a node binds names to the results of an op; everything is immutable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from backends.contract import Body, ProductOp


@dataclass(frozen=True, slots=True)
class Type:
    """dtype: float32, float64, int32, uint32 or bool; shape without the trial axis."""

    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        short = {"float32": "f32", "float64": "f64", "int32": "i32", "uint32": "u32", "bool": "bool"}[self.dtype]
        return f"{short}[{','.join(map(str, self.shape))}]"


Kind = Literal["data", "state", "value", "word"]


@dataclass(frozen=True, slots=True)
class Input:
    """A value that comes from outside: `data` of the step's batch, `state` kept between steps, or a scalar of the value or word table."""

    name: str
    type: Type
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Fused:
    """What a fused node does.

    types    of its results
    product  what makes the body's first input, of the node's first two inputs
    after    values that must be there before the node runs, though it does not read them
    """

    body: Body
    types: tuple[Type, ...]
    product: ProductOp | None = None
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """outputs = op(inputs, attributes)."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_view(self) -> bool:
        """Whether its result is its input seen with another shape: no work and no memory."""
        return self.op == "reshape"

    @property
    def fused(self) -> Fused | None:
        """What the node does, where it is a fused one."""
        return self.attributes.get("fused")


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Inputs, nodes in topological order, and what leaves the graph.

    outputs  public name -> value
    updates  state name -> the value that replaces it when the step ends
    guard    a scalar that must be finite before any update is made
    """

    precision: str
    inputs: tuple[Input, ...]
    nodes: tuple[Node, ...]
    types: Mapping[str, Type]
    outputs: Mapping[str, str]
    updates: Mapping[str, str]
    guard: str | None = None

    def replace(self, **changes: Any) -> Graph:
        """A copy with some fields exchanged; types of names no longer bound are dropped."""
        graph = replace(self, **changes)
        bound = {i.name for i in graph.inputs} | graph.places.keys()
        return replace(graph, types={name: t for name, t in graph.types.items() if name in bound})

    def with_inputs(self, names: Mapping[str, str]) -> Graph:
        """A copy that reads, and updates, other inputs: those in `names` are called otherwise."""
        return replace(
            self,
            inputs=tuple(replace(i, name=names.get(i.name, i.name)) for i in self.inputs),
            nodes=tuple(replace(node, inputs=rename(node.inputs, names)) for node in self.nodes),
            types={names.get(name, name): t for name, t in self.types.items()},
            outputs={public: names.get(value, value) for public, value in self.outputs.items()},
            updates={names.get(state, state): value for state, value in self.updates.items()},
        )

    @cached_property
    def places(self) -> Mapping[str, int]:
        """value -> the number of the node that binds it."""
        return {name: number for number, node in enumerate(self.nodes) for name in node.outputs}

    @cached_property
    def producers(self) -> Mapping[str, Node]:
        """value -> the node that binds it."""
        return {name: node for node in self.nodes for name in node.outputs}

    def binding(self, values: Iterable[str]) -> list[Node]:
        """The nodes that bind `values`, in order."""
        return [self.nodes[number] for number in sorted({self.places[value] for value in values})]

    @cached_property
    def views(self) -> Mapping[str, str]:
        """Each view -> the value whose memory it shows, views of views resolved."""
        root: dict[str, str] = {}
        for node in self.nodes:
            if node.is_view:
                root[node.outputs[0]] = root.get(node.inputs[0], node.inputs[0])
        return root

    def resolve(self, name: str) -> str:
        """The value whose memory `name` shows: itself, where it is no view."""
        return self.views.get(name, name)

    def operands(self, node: Node) -> tuple[str, ...]:
        """The inputs of `node`, one of the graph's, views resolved."""
        return self._operands[node.outputs[0]]

    @cached_property
    def _operands(self) -> Mapping[str, tuple[str, ...]]:
        return {node.outputs[0]: rename(node.inputs, self.views) for node in self.nodes}

    @cached_property
    def readers(self) -> Mapping[str, tuple[int, ...]]:
        """Each value that is no view -> the numbers of the nodes that read it, itself or a view of it; to view is not to read."""
        found: dict[str, list[int]] = {name: [] for name in self.types if name not in self.views}
        for number, node in enumerate(self.nodes):
            for name in () if node.is_view else dict.fromkeys(self.operands(node)):
                found[name].append(number)
        return {name: tuple(numbers) for name, numbers in found.items()}

    def ancestors(self, names: Iterable[str]) -> set[str]:
        """`names` and all values that they are made of."""
        reached = set(names)
        for node in reversed(self.nodes):
            if reached.intersection(node.outputs):
                reached.update(node.inputs)
        return reached

    def escaping(self) -> set[str]:
        """Values that leave the graph: outputs, updates and the guard."""
        leaving = set(self.outputs.values()) | set(self.updates.values())
        return leaving | ({self.guard} if self.guard else set())

    @cached_property
    def kept(self) -> frozenset[str]:
        """The values that leave the graph, views resolved: what must be in memory when the step ends."""
        return frozenset(self.resolve(name) for name in self.escaping())


def rename(names: Iterable[str], mapping: Mapping[str, str]) -> tuple[str, ...]:
    """`names` with those in `mapping` exchanged."""
    return tuple(mapping.get(name, name) for name in names)
