"""The op that the fusion pass makes: a chain of element-wise ops and reductions as one kernel."""

from __future__ import annotations

from backends.contract import Body
from pipeline.graph.ir import Type
from pipeline.ops.table import Op


def _shape(*inputs: Type, body: Body, types: tuple[Type, ...]) -> tuple[Type, ...]:
    """The types that the replaced nodes had."""
    assert len(inputs) == len(body.inputs) and len(types) == len(body.outputs)
    return types


FUSED: tuple[Op, ...] = (Op(name="fused", shape=_shape, kind="opaque"),)
