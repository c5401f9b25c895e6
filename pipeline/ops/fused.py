"""The op that the fusion pass makes: a chain of element-wise ops and reductions as one kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.contract import Body
from pipeline.graph.ir import Type
from pipeline.ops.table import Op


def _shape(
    *inputs: Type, body: Body, types: tuple[Type, ...], product: Mapping[str, Any] | None = None, after: tuple[str, ...] = ()
) -> tuple[Type, ...]:
    """The types that the replaced nodes had.  With a product its two operands come first, in place of the product itself.

    after: values that must be there before this node runs, though it does not read them.
    """
    assert len(inputs) == len(body.inputs) + (product is not None) and len(types) == len(body.outputs)
    return types


FUSED: tuple[Op, ...] = (Op(name="fused", shape=_shape, kind="opaque"),)
