"""Convolution."""

# N batch, H W image, I O channels in and out, Ho Wo output positions, kh kw window
from __future__ import annotations

from typing import Literal

from pipeline.graph.builder import Builder
from pipeline.layers.graph import LayerNode, Parameter
from pipeline.layers.groups import check_groups, convolve_groups
from pipeline.layers.kind import LayerKind, Shape
from pipeline.layers.maxout import pieces
from pipeline.layers.weighted import Weighted
from pipeline.layers.windows import image, slide
from pipeline.records import record, setting


@record
class Conv(Weighted):
    """y[n, p, q] = sum over i, j of x[n, p s + i d - top, q s + j d - left] W[i, j] + b: x [N, H, W, I] -> y [N, Ho, Wo, O].

    W [kh, kw, I, O] is `NAME.weight`, b [O] is `NAME.bias`; O is `channels`, times the pieces with maxout.  With `groups` g, W is
    [kh, kw, I / g, O] and output channel o of `channels` O sees the input channels of its group, number g o // O; g = I is depthwise.
    kernel, stride and dilation are one number or [rows, columns]; padding is same, valid, a number or [rows, columns].
    """

    channels: int = setting(least=1)
    kernel: int | tuple[int, ...] = setting(3, least=1)
    stride: int | tuple[int, ...] = setting(1, least=1)
    padding: Literal["same", "valid"] | int | tuple[int, ...] = setting("same", least=0)
    dilation: int | tuple[int, ...] = setting(1, least=1)
    groups: int = setting(1, least=1)


def _shape(record: Conv, shapes: tuple[Shape, ...]) -> Shape:
    check_groups(record.groups, image(shapes[0])[2], record.channels)
    return (
        *slide(shapes[0], record.kernel, record.stride, record.padding, record.dilation).out,
        record.channels * pieces(record.activation),
    )


def _parameters(record: Conv, name: str, shapes: tuple[Shape, ...]) -> tuple[Parameter, ...]:
    """The weight [kh, kw, I / g, O] and the bias [O], which starts at 0; an output sums over the channels of one group."""
    kh, kw = slide(shapes[0], record.kernel, record.stride, record.padding, record.dilation).window
    channels, made = image(shapes[0])[2] // record.groups, record.channels * pieces(record.activation)
    weight = Parameter(
        name=f"{name}.weight",
        shape=(kh, kw, channels, made),
        initial=record.start,
        fan_in=kh * kw * channels,
        fan_out=kh * kw * record.channels // record.groups,
        regularization=record.regularization,
    )
    return weight, Parameter(name=f"{name}.bias", shape=(made,), initial=0.0)


def _lower(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
    record = node.record
    assert isinstance(record, Conv)
    weight, *bias = (b.input(p.name, p.shape, "state") for p in node.parameters)
    w = slide(b.shape(inputs[0])[1:], record.kernel, record.stride, record.padding, record.dilation)
    if record.groups > 1:
        y = convolve_groups(b, inputs[0], weight, w, groups=record.groups, blocks=record.groups * pieces(record.activation))
    else:
        y = b.add("conv", inputs[0], weight, **w.conv)
    return b.add("add", y, bias[0], name="conv_bias") if bias else y


CONV = LayerKind(prefix="conv", shape=_shape, parameters=_parameters, lower=_lower)
