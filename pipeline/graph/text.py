"""Graphs as text, one node a line, and the digest of a structure."""

from __future__ import annotations

import hashlib
from typing import Any

from pipeline.graph.ir import Fused, Graph, Node


def print_graph(graph: Graph) -> str:
    """One line for each input, node, output and update."""
    lines = [f"{i.kind:<6} {i.name}: {i.type}" for i in graph.inputs]
    for node in graph.nodes:
        results = ", ".join(f"{name}: {graph.types[name]}" for name in node.outputs)
        lines.append(f"{results} = {node.op}({', '.join(node.inputs)}{_attributes(node)})")
    lines += [f"output {public} = {value}" for public, value in graph.outputs.items()]
    lines += [f"update {state} <- {value}" for state, value in graph.updates.items()]
    if graph.guard:
        lines.append(f"guard  {graph.guard}")
    return "\n".join(lines)


def digest(graph: Graph) -> str:
    """The sha256 of the structure: names of values do not count, the order of nodes does -> 16 hex digits."""
    number = {name: str(index) for index, name in enumerate(graph.types)}
    parts = [graph.precision]
    parts += [f"{i.kind} {i.name} {i.type}" for i in graph.inputs]
    for node in graph.nodes:
        inputs, results = (",".join(number[name] for name in names) for names in (node.inputs, node.outputs))
        parts.append(f"{results}={node.op}({inputs}{_attributes(node)})")
    parts += [f"{public}>{number[value]}" for public, value in graph.outputs.items()]
    parts += [f"{state}<{number[value]}" for state, value in graph.updates.items()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _attributes(node: Node) -> str:
    written = node.attributes if node.fused is None else _parts(node.fused)
    return "".join(f"; {key}={written[key]!r}" for key in sorted(written))


def _parts(fused: Fused) -> dict[str, Any]:
    """What a fused node says of itself."""
    parts: dict[str, Any] = {"body": fused.body, "types": fused.types}
    if fused.product:
        parts["product"] = {"op": fused.product.op, **fused.product.attributes}
    return parts | ({"after": fused.after} if fused.after else {})
