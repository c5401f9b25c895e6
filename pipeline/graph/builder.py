"""The only way to make nodes: a Builder looks the op up in its table and asks its shape rule for the types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.graph.ir import Graph, Input, Kind, Node, Type

ShapeRule = Callable[..., tuple[Type, ...]]


class Builder:
    """Collects inputs and nodes.  `scope` prefixes the names of the values made while it is set."""

    def __init__(self, precision: str, shape_rules: Mapping[str, ShapeRule]) -> None:
        self.precision = precision
        self.scope = ""
        self.inputs: list[Input] = []
        self.nodes: list[Node] = []
        self.types: dict[str, Type] = {}
        self.outputs: dict[str, str] = {}
        self.updates: dict[str, str] = {}
        self.guard: str | None = None
        self._shape_rules = shape_rules
        self._constants: dict[float, str] = {}
        self._views: dict[tuple[str, tuple[int, ...]], str] = {}

    @classmethod
    def continuing(cls, graph: Graph, shape_rules: Mapping[str, ShapeRule], *, nodes: bool = True) -> Builder:
        """A builder that already holds `graph` (its inputs only, when `nodes` is false)."""
        builder = cls(graph.precision, shape_rules)
        builder.inputs = list(graph.inputs)
        builder.types = {i.name: i.type for i in graph.inputs}
        builder.outputs, builder.updates, builder.guard = dict(graph.outputs), dict(graph.updates), graph.guard
        if nodes:
            builder.nodes, builder.types = list(graph.nodes), dict(graph.types)
        return builder

    def input(self, name: str, shape: tuple[int, ...], kind: Kind, dtype: str | None = None) -> str:
        """Declares an input (once: a second call with the same name returns it)."""
        if name not in self.types:
            self.inputs.append(Input(name, Type(dtype or self.precision, shape), kind))
            self.types[name] = self.inputs[-1].type
        return name

    def value(self, name: str) -> str:
        """A scalar of the value table."""
        return self.input(name, (), "value")

    def add(self, op: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """Adds a node with one result and returns its name."""
        (result,) = self.add_many(op, *inputs, names=(name or op,), **attributes)
        return result

    def add_many(self, op: str, *inputs: str, names: tuple[str, ...], **attributes: Any) -> tuple[str, ...]:
        """Adds a node with several results, called after `names`."""
        types = self._shape_rules[op](*(self.types[i] for i in inputs), **attributes)
        assert len(types) == len(names), f"{op} has {len(types)} results, {len(names)} names given"
        results = tuple(self._fresh(name) for name in names)
        for result, result_type in zip(results, types, strict=True):
            self.types[result] = result_type
        self.nodes.append(Node(op, inputs, results, attributes))
        return results

    def constant(self, value: float) -> str:
        """A literal scalar of the program's precision."""
        if value not in self._constants:
            self._constants[value] = self.add("constant", name="constant", value=float(value), dtype=self.precision)
        return self._constants[value]

    def reshape(self, value: str, shape: tuple[int, ...]) -> str:
        """`value` seen with another shape; costs nothing."""
        if self.types[value].shape == shape:
            return value
        key = (value, shape)
        if key not in self._views:
            self._views[key] = self.add("reshape", value, name=value.rsplit("/", 1)[-1].split("~")[0] + "~view", shape=shape)
        return self._views[key]

    def shape(self, value: str) -> tuple[int, ...]:
        """The shape of `value`."""
        return self.types[value].shape

    def graph(self) -> Graph:
        """The finished graph."""
        return Graph(
            precision=self.precision,
            inputs=tuple(self.inputs),
            nodes=tuple(self.nodes),
            types=dict(self.types),
            outputs=dict(self.outputs),
            updates=dict(self.updates),
            guard=self.guard,
        )

    def _fresh(self, name: str) -> str:
        wanted = f"{self.scope}/{name}" if self.scope else name
        fresh, number = wanted, 2
        while fresh in self.types:
            fresh, number = f"{wanted}~{number}", number + 1
        return fresh
