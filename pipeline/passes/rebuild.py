"""Rewriting a graph node by node."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.graph.builder import Builder
from pipeline.graph.ir import Graph, Node, rename
from pipeline.ops import SHAPE_RULES

# adds what stands for the node to the builder (the inputs are renamed already) -> the names of its results
Emit = Callable[[Builder, Node], tuple[str, ...]]


def copy(b: Builder, node: Node) -> tuple[str, ...]:
    """The node as it is."""
    return b.add_many(node.op, *node.inputs, names=node.outputs, **node.attributes)


def rebuild(graph: Graph, emit: Emit) -> Graph:
    """`graph` with every node replaced by what `emit` adds for it."""
    b = Builder.continuing(graph, SHAPE_RULES, nodes=False)
    mapping: dict[str, str] = {}
    for node in graph.nodes:
        moved = Node(node.op, rename(node.inputs, mapping), node.outputs, node.attributes)
        mapping.update(zip(node.outputs, emit(b, moved), strict=True))
    b.outputs = {public: mapping.get(value, value) for public, value in graph.outputs.items()}
    b.updates = {state: mapping.get(value, value) for state, value in graph.updates.items()}
    b.guard = mapping.get(graph.guard, graph.guard) if graph.guard else None
    return b.graph()
