"""The op that the fusion pass makes: a chain of element-wise ops and reductions as one kernel."""

from __future__ import annotations

from collections.abc import Mapping

from backends.contract import Body, ProductOp
from pipeline.graph.ir import Fused, Node, Type
from pipeline.ops.table import Op


def _shape(*inputs: Type, fused: Fused) -> tuple[Type, ...]:
    """The types that the replaced nodes had.  With a product its two operands come first, in place of the product itself."""
    assert len(inputs) == len(fused.body.inputs) + (fused.product is not None) and len(fused.types) == len(fused.body.outputs)
    return fused.types


def fused_node(body: Body, types: Mapping[str, Type], *, product: Node | None = None, after: tuple[str, ...] = ()) -> Node:
    """The node of `body`, whose first input `product` makes, if it is given; see `Fused`."""
    inputs = tuple(name for name, _ in body.inputs)
    made = None
    if product is not None:
        inputs, made = (*product.inputs, *inputs[1:]), ProductOp(op=product.op, attributes=product.attributes)
    fused = Fused(body=body, types=tuple(types[name] for name in body.outputs), product=made, after=after)
    return Node("fused", inputs, body.outputs, {"fused": fused})


FUSED: tuple[Op, ...] = (Op(name="fused", shape=_shape, kind="opaque"),)
