"""Folds literals, shares equal nodes and drops nodes that nothing reads."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

import numpy as np

from pipeline.graph.builder import Builder
from pipeline.graph.ir import Graph, Node
from pipeline.ops import OPS
from pipeline.passes.rebuild import copy, rebuild

_FOLDS: dict[str, Callable[..., float]] = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "neg": operator.neg}


def fold(graph: Graph) -> tuple[Graph, tuple[str, ...]]:
    """Values that hold one literal everywhere become that literal; x * 1 and x + 0 become x."""
    literal: dict[str, float] = {}
    folded = 0

    def emit(b: Builder, node: Node) -> tuple[str, ...]:
        nonlocal folded
        value = _literal(node, literal)
        shape = b.types[node.inputs[0]].shape if node.inputs else ()
        if value is not None:
            (result,) = (b.constant(value),) if graph.types[node.outputs[0]].shape == () else copy(b, node)
            literal[result] = value
            folded += node.op != "constant"
            return (result,)
        if OPS[node.op].kind == "elementwise":
            node = _scalar_operands(b, node, literal)
            same = _identity(node, literal)
            if same is not None and b.types[same] == graph.types[node.outputs[0]]:
                folded += 1
                return (same,)
            if node.op == "spread" and shape == node.attributes["shape"]:
                return node.inputs
        return copy(b, node)

    result = rebuild(graph, emit)
    return result, (f"{folded} literals folded",) if folded else ()


def share(graph: Graph) -> tuple[Graph, tuple[str, ...]]:
    """Common subexpressions: nodes with the same op, inputs and attributes become one."""
    known: dict[str, tuple[str, ...]] = {}
    shared: list[str] = []
    updates, replacing = set(graph.updates.values()), set[str]()  # a value that replaces a state is made for that state alone

    def emit(b: Builder, node: Node) -> tuple[str, ...]:
        key = repr((node.op, node.inputs, sorted(node.attributes.items())))
        own = node.outputs[0] in updates
        if own and key in replacing:
            return copy(b, node)
        if own:
            replacing.add(key)
        if key in known:
            shared.append(node.outputs[0])
        else:
            known[key] = copy(b, node)
        return known[key]

    result = rebuild(graph, emit)
    return result, (f"{len(shared)} repeated computations shared: {_some(shared)}",) if shared else ()


def prune(graph: Graph) -> tuple[Graph, tuple[str, ...]]:
    """Dead nodes: those from which nothing that leaves the graph is reached."""
    needed = graph.ancestors(graph.escaping())
    kept = tuple(node for node in graph.nodes if needed.intersection(node.outputs))
    dead = [node.outputs[0] for node in reversed(graph.nodes) if not needed.intersection(node.outputs)]
    names = [name for name in dead if not name.startswith("constant")]
    result = graph.replace(nodes=kept)
    counts = {"dead node": len(names), "unread literal": len(dead) - len(names)}
    said = " and ".join(f"{count} {what}{'s' if count > 1 else ''}" for what, count in counts.items() if count)
    return result, (f"{said} removed{': ' if names else ''}{_some(names)}",) if dead else ()


def _literal(node: Node, literal: dict[str, float]) -> float | None:
    if node.op == "constant":
        return float(node.attributes["value"])
    values = [literal.get(name) for name in node.inputs]
    if not values or any(value is None for value in values):
        return None
    if node.op == "spread" or node.is_view:
        return values[0]
    result = _FOLDS[node.op](*values) if node.op in _FOLDS else None
    return result if result is not None and math.isfinite(result) else None


def _scalar_operands(b: Builder, node: Node, literal: dict[str, float]) -> Node:
    """Operands that are one literal everywhere become scalars where broadcasting gives the same result."""
    inputs = list(node.inputs)
    if len(inputs) < 2:
        return node
    for index, name in enumerate(inputs):
        if name not in literal or b.shape(name) == ():
            continue
        rest = [b.shape(other) for place, other in enumerate(inputs) if place != index]
        if np.broadcast_shapes(*rest) == np.broadcast_shapes(*rest, b.shape(name)):
            inputs[index] = b.constant(literal[name])
    return Node(node.op, tuple(inputs), node.outputs, node.attributes)


def _identity(node: Node, literal: dict[str, float]) -> str | None:
    values = [literal.get(name) for name in node.inputs]
    neutral = {"mul": 1.0, "add": 0.0}.get(node.op)
    if neutral is not None:
        for this, other in ((0, 1), (1, 0)):
            if values[this] == neutral:
                return node.inputs[other]
    if values and (node.op, values[-1]) in (("sub", 0.0), ("div", 1.0)):
        return node.inputs[0]
    return None


def _some(names: list[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
