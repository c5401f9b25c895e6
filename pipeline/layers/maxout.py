"""Maxout: the largest of several linear pieces (Goodfellow et al. 2013), as an activation and as a layer."""

# N batch, C channels, k pieces
from __future__ import annotations

from pipeline.errors import ConfigError
from pipeline.graph.builder import Builder
from pipeline.layers.graph import LayerNode
from pipeline.layers.kind import LayerKind, Shape
from pipeline.layers.part import Activation, OneInput
from pipeline.ops.concat import split
from pipeline.records import record, setting


@record
class Maxout(Activation):
    """h[n, c] = max over p of (x W + b)[n, p C + c]: the layer before makes `pieces` times its units, and C of them remain.

    The gradient goes to the largest piece, to the first where several are equal.  fan_out of the weight counts units, not pieces, for
    a unit sends its gradient back through one piece alone.
    """

    pieces: int = setting(2, least=2)


@record
class MaxoutLayer(OneInput):
    """y[n, ..., c] = max over p of x[n, ..., p C / k + c]: x [N, ..., C] -> y [N, ..., C / k], k = pieces; gradient as in `Maxout`."""

    pieces: int = setting(2, least=2)


def pieces(activation: Activation | None) -> int:
    """How many times its units a layer with this activation makes."""
    return activation.pieces if isinstance(activation, Maxout) else 1


def _shape(record: Maxout | MaxoutLayer, shapes: tuple[Shape, ...]) -> Shape:
    *rest, channels = shapes[0]
    if channels % record.pieces:
        at = "pieces" if isinstance(record, MaxoutLayer) else "activation.pieces"
        rule = f"must divide the {channels} channels of its input"
        raise ConfigError(at=at, got=record.pieces, rule=rule, hint="change one of the two")
    return (*rest, channels // record.pieces)


def _lower(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
    assert isinstance(node.record, Maxout | MaxoutLayer)
    shape, k = b.shape(inputs[0]), node.record.pieces
    *earlier, largest = split(b, inputs[0], (shape[-1] // k,) * k, len(shape) - 1, name="piece")
    # `maximum` sends the gradient of equal operands to its second one: from the last piece to the first, the first of equals has it
    for piece in reversed(earlier):
        largest = b.add("maximum", largest, piece, name="maxout")
    return largest


MAXOUT = LayerKind(prefix="maxout", shape=_shape, lower=_lower)
MAXOUT_LAYER = LayerKind(prefix="maxout_layer", shape=_shape, lower=_lower)
