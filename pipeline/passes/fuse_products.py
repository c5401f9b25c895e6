"""Joins a product with the element-wise kernel that reads it first, so that its values are used before they leave the registers.

Bias, activation and residual after a product forward; the optimizer's update after the gradient of a weight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from backends.contract import Body, Target
from pipeline.graph.ir import Graph, Node
from pipeline.ops.fused import fused_node
from pipeline.plan.order import circle

DEEP = 1024  # a longer sum is taken up again from memory, where the product must lie by itself


def join(graph: Graph, target: Target) -> tuple[Graph, tuple[str, ...]]:
    """`graph` with the products that `target` joins in the fused node that reads them first, where it has no reduction and no draws."""
    partner: dict[int, Node] = {}  # number of a fused node -> its product
    for node in graph.nodes:
        if node.op in target.joins:
            first = next(iter(graph.readers[node.outputs[0]]), None)
            if first is not None and first not in partner and _may_follow(graph, node, graph.nodes[first]):
                partner[first] = node
    while partner:
        joined = graph.replace(nodes=tuple(_nodes(graph, partner)))
        ring = circle(joined)
        if not ring:
            return joined, (f"{len(partner)} products go on in the kernel that reads them",)
        # a product reads a state that its end would wait to see replaced: it runs by itself
        outputs = {name for number in ring for name in joined.nodes[number].outputs}
        del partner[next(number for number in partner if not outputs.isdisjoint(graph.nodes[number].outputs))]
    return graph, ()


def _nodes(graph: Graph, partner: Mapping[int, Node]) -> list[Node]:
    """The nodes with the products of `partner` in the fused nodes that they belong to."""
    moved = {product.outputs[0] for product in partner.values()}  # products that are made later now
    nodes: list[Node] = []
    waiting: dict[str, list[Node]] = {}  # their views, which come later too
    for number, node in enumerate(graph.nodes):
        root = graph.resolve(node.outputs[0])
        if node.fused and number in partner:
            product = partner[number]
            (value,) = product.outputs
            nodes.append(_joined(graph, product, node.fused.body))
            moved.discard(value)
            nodes += waiting.pop(value, []) if _stored(graph, value) else []
        elif root not in moved:
            nodes.append(node)
        elif node.is_view:
            waiting.setdefault(root, []).append(node)
    return nodes


def _stored(graph: Graph, product: str) -> bool:
    """Whether `product` is needed in memory too: others read it, or it leaves the graph."""
    return len(graph.readers[product]) > 1 or product in graph.kept


def _may_follow(graph: Graph, product: Node, node: Node) -> bool:
    """Whether `node`, the first reader of `product`, can be its end."""
    stored = _stored(graph, product.outputs[0])
    # an update waits for the guard, so it takes along only a product that nothing else waits for
    if stored and not set(graph.updates.values()).isdisjoint(node.outputs):
        return False
    return (stored or _depth(graph, product) < DEEP) and _fits(graph, product, node)


def _fits(graph: Graph, product: Node, node: Node) -> bool:
    """Whether `node` is an element-wise kernel on the grid of `product` that can follow it tile by tile."""
    if node.fused is None or node.fused.product is not None or node.fused.body.blocks > 1:
        return False
    body = node.fused.body
    shape = graph.types[product.outputs[0]].shape
    if body.rows == 1 < math.prod(shape[:-1]) and any(i.op == "column_index" for i in body.instructions):
        return False  # on a grid of one row a column's number is another
    return (
        math.prod(shape) == body.rows * body.columns
        and (body.rows == 1 or body.columns == shape[-1])
        and shape[-1] > 1
        and body.levels[product.outputs[0]] == "full"
        and all(body.levels[name] == "full" for name in body.outputs)
        and not any(i.reduces or i.draws for i in body.instructions)
    )


def _depth(graph: Graph, product: Node) -> int:
    """Terms of each sum of `product`."""
    a = graph.types[product.inputs[0]].shape
    return (a[0] if product.attributes.get("transpose_a") else a[1]) if product.op == "matmul" else 0


def _joined(graph: Graph, product: Node, body: Body) -> Node:
    """The two as one node; its body's first input is the product, which is an output too where it is needed in memory."""
    (value,) = product.outputs
    others = tuple(pair for pair in body.inputs if pair[0] != value)
    outputs = (value, *body.outputs) if _stored(graph, value) else body.outputs
    return fused_node(replace(body, inputs=((value, "full"), *others), outputs=outputs), graph.types, product=product)
