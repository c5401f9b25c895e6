"""Joins a product with the element-wise kernel that reads it first, so that its values are used before they leave the registers.

Bias, activation and residual after a product forward; the optimizer's update after the gradient of a weight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from backends.contract import Body
from pipeline.graph.ir import Graph, Node

DEEP = 1024  # a longer sum is taken up again from memory, where the product must lie by itself


def join(graph: Graph, ops: frozenset[str]) -> tuple[Graph, tuple[str, ...]]:
    """`graph` with products of `ops` joined with the fused node that reads them first, where that node has no reduction and no draws."""
    root = graph.views
    readers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        if node.op != "reshape":
            for name in dict.fromkeys(root.get(n, n) for n in node.inputs):
                readers.setdefault(name, []).append(node)
    leaving = {root.get(name, name) for name in graph.escaping()}
    replaced = set(graph.updates.values())
    partner: dict[int, Node] = {}  # id of a fused node -> its product
    for node in graph.nodes:
        if node.op in ops and readers.get(node.outputs[0]):
            value = node.outputs[0]
            first, *others = readers[value]
            stored = bool(others) or value in leaving
            updates = bool(replaced.intersection(first.outputs))
            # an update waits for the guard, so it takes along only a product that nothing else waits for
            if (
                id(first) not in partner
                and _fits(graph, node, first)
                and not (stored and updates)
                and (stored or _depth(graph, node) < DEEP)
            ):
                partner[id(first)] = node
    if not partner:
        return graph, ()
    joined = {id(product) for product in partner.values()}
    moved = {product.outputs[0] for product in partner.values()}
    nodes: list[Node] = []
    waiting: dict[str, list[Node]] = {}  # views of a product that is made later now
    for node in graph.nodes:
        below = root.get(node.outputs[0]) if node.op == "reshape" else None
        if id(node) in joined:
            continue
        if below in moved:
            waiting.setdefault(below, []).append(node)
        elif id(node) in partner:
            product = partner[id(node)]
            value = product.outputs[0]
            keep = len(readers[value]) > 1 or value in leaving
            nodes.append(_joined(graph, product, node, keep=keep))
            moved.discard(value)
            nodes += waiting.pop(value, []) if keep else []
        else:
            nodes.append(node)
    return graph.replace(nodes=tuple(nodes)), (f"{len(partner)} products go on in the kernel that reads them",)


def _fits(graph: Graph, product: Node, node: Node) -> bool:
    """Whether `node` is an element-wise kernel on the grid of `product` that can follow it tile by tile."""
    body = node.attributes.get("body")
    if body is None or "product" in node.attributes or body.blocks > 1:
        return False
    shape = graph.types[product.outputs[0]].shape
    level: Mapping[str, str] = dict(body.inputs) | {i.name: i.level for i in body.instructions}
    return (
        math.prod(shape) == body.rows * body.columns
        and (body.rows == 1 or body.columns == shape[-1])
        and shape[-1] > 1
        and level[product.outputs[0]] == "full"
        and all(level[name] == "full" for name in body.outputs)
        and not any("axes" in i.attributes or i.op == "uniform" for i in body.instructions)
        and not (body.rows == 1 < math.prod(shape[:-1]) and any(i.op == "column_index" for i in body.instructions))
    )


def _depth(graph: Graph, product: Node) -> int:
    """Terms of each sum of `product`."""
    a = graph.types[product.inputs[0]].shape
    return (a[0] if product.attributes.get("transpose_a") else a[1]) if product.op == "matmul" else 0


def _joined(graph: Graph, product: Node, node: Node, *, keep: bool) -> Node:
    """The two as one node; its body's first input is the product, which is stored where others read it (`keep`)."""
    body: Body = node.attributes["body"]
    value = product.outputs[0]
    others = tuple(pair for pair in body.inputs if pair[0] != value)
    outputs = (value, *node.outputs) if keep else node.outputs
    body = Body(
        kind=body.kind, rows=body.rows, columns=body.columns, inputs=((value, "full"), *others), instructions=body.instructions,
        outputs=outputs,
    )  # fmt: skip
    types = tuple(graph.types[name] for name in outputs)
    attributes = {"body": body, "types": types, "product": {"op": product.op, **product.attributes}}
    return Node("fused", (*product.inputs, *(name for name, _ in others)), outputs, attributes)
