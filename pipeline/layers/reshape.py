"""Views: the same numbers with another shape."""

# N batch
from __future__ import annotations

import math

from pipeline.errors import ConfigError
from pipeline.graph.builder import Builder
from pipeline.layers.graph import LayerNode
from pipeline.layers.kind import LayerKind, Shape
from pipeline.layers.part import OneInput
from pipeline.records import record, setting


@record
class Flatten(OneInput):
    """x [N, ...] -> [N, count], the last axis running fastest.  A dense layer flattens its input itself."""


@record
class Reshape(OneInput):
    """x [N, ...] -> [N, *shape], of equal count, the last axis running fastest."""

    shape: tuple[int, ...] = setting(least=1)


def _reshaped(record: Reshape, shapes: tuple[Shape, ...]) -> Shape:
    if math.prod(record.shape) != math.prod(shapes[0]):
        rule = f"its input {list(shapes[0])} has {math.prod(shapes[0])} numbers a row"
        raise ConfigError(at="shape", got=list(record.shape), rule=rule, hint="give a shape with as many")
    return record.shape


def _lower(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
    return b.reshape(inputs[0], (b.shape(inputs[0])[0], *node.shape))


FLATTEN = LayerKind(prefix="flatten", shape=lambda record, shapes: (math.prod(shapes[0]),), lower=_lower)
RESHAPE = LayerKind(prefix="reshape", shape=_reshaped, lower=_lower)
