"""The op graph.  Values have names and types; a node binds names to the results of an op; everything is immutable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal


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


@dataclass(frozen=True, slots=True)
class Node:
    """outputs = op(inputs, attributes)."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


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
        """Each view (a reshape) -> the value whose memory it shows, views of views resolved."""
        root: dict[str, str] = {}
        for node in self.nodes:
            if node.op == "reshape":
                root[node.outputs[0]] = root.get(node.inputs[0], node.inputs[0])
        return root

    def escaping(self) -> set[str]:
        """Values that leave the graph: outputs, updates and the guard."""
        leaving = set(self.outputs.values()) | set(self.updates.values())
        return leaving | ({self.guard} if self.guard else set())


def rename(names: Iterable[str], mapping: Mapping[str, str]) -> tuple[str, ...]:
    """`names` with those in `mapping` exchanged."""
    return tuple(mapping.get(name, name) for name in names)
