"""Dense layer: y = x W + b."""

# N batch, I inputs, O units
from __future__ import annotations

import math

from pipeline.graph.builder import Builder
from pipeline.layers.graph import LayerNode, Parameter
from pipeline.layers.kind import LayerKind, Shape
from pipeline.layers.maxout import pieces
from pipeline.layers.weighted import Weighted
from pipeline.records import record, setting


@record
class Dense(Weighted):
    """y = x W + b, x [N, I] -> y [N, O]; W [I, O] is `NAME.weight`, b [O] is `NAME.bias`.

    O is `units`, times the pieces with maxout.  An input of more than two axes is flattened to [N, I] first.
    """

    units: int = setting(least=1)


def _shape(record: Dense, shapes: tuple[Shape, ...]) -> Shape:
    return (record.units * pieces(record.activation),)


def _parameters(record: Dense, name: str, shapes: tuple[Shape, ...]) -> tuple[Parameter, ...]:
    """The weight [I, O] and the bias [O], which starts at 0."""
    inputs, (units,) = math.prod(shapes[0]), _shape(record, shapes)
    weight = Parameter(
        name=f"{name}.weight",
        shape=(inputs, units),
        initial=record.start,
        fan_in=inputs,
        fan_out=record.units,
        regularization=record.regularization,
    )
    return weight, Parameter(name=f"{name}.bias", shape=(units,), initial=0.0)


def _lower(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
    rows, *rest = b.shape(inputs[0])
    weight, *bias = (b.input(p.name, p.shape, "state") for p in node.parameters)
    y = b.add("matmul", b.reshape(inputs[0], (rows, math.prod(rest))), weight)
    return b.add("add", y, bias[0], name="dense") if bias else y


DENSE = LayerKind(prefix="fc", shape=_shape, parameters=_parameters, lower=_lower)
