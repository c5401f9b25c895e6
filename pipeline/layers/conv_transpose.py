"""Transposed convolution: the adjoint of a convolution, not its inverse (Zeiler et al. 2010; Dumoulin & Visin 2016, section 4)."""

# N batch, H W image, I O channels in and out, Ho Wo output image, kh kw window
from __future__ import annotations

from typing import Literal

from pipeline.errors import ConfigError
from pipeline.graph.builder import Builder
from pipeline.layers.graph import LayerNode, Parameter
from pipeline.layers.groups import check_groups
from pipeline.layers.kind import LayerKind, Shape
from pipeline.layers.maxout import pieces
from pipeline.layers.weighted import Weighted
from pipeline.layers.windows import Window, given_padding, image, pair, slide
from pipeline.ops.concat import split
from pipeline.records import record, setting


@record
class ConvTranspose(Weighted):
    """x [N, H, W, I] -> y [N, Ho, Wo, O]: <conv(y'), x> = <y', y> for the convolution of the same kernel, stride and padding.

    Ho = (H - 1) s - 2 padding + d (kh - 1) + 1 + output_padding, or H s with padding=same.  W [kh, kw, O, I] is `NAME.weight`, that of
    the convolution; b [O] is `NAME.bias`.  With `groups` g, W is [kh, kw, O / g, I] and each group of input channels makes its own group of
    output channels.
    """

    channels: int = setting(least=1)
    kernel: int | tuple[int, ...] = setting(3, least=1)
    stride: int | tuple[int, ...] = setting(1, least=1)
    padding: Literal["same", "valid"] | int | tuple[int, ...] = setting("same", least=0)
    output_padding: int | tuple[int, ...] = setting(0, least=0)
    dilation: int | tuple[int, ...] = setting(1, least=1)
    groups: int = setting(1, least=1)


def _output(record: ConvTranspose, shape: Shape) -> tuple[Shape, Window]:
    """The output [Ho, Wo, O] and the window of the convolution that goes from it to the input.  Raises ConfigError."""
    h, w, _ = image(shape)
    channels = record.channels * pieces(record.activation)
    k, s, d = pair("kernel", record.kernel), pair("stride", record.stride), pair("dilation", record.dilation)
    extra = pair("output_padding", record.output_padding)
    check_groups(record.groups, image(shape)[2], record.channels)
    if record.groups > 1 and pieces(record.activation) > 1:
        raise ConfigError(
            at="groups", got=record.groups, rule="maxout chooses among all channels", hint="use groups=1 or another activation"
        )
    if any(e >= n for e, n in zip(extra, s, strict=True)):
        raise ConfigError(at="output_padding", got=record.output_padding, rule="must be below the stride", hint="use a larger stride")
    if record.padding == "same":
        if any(extra):
            raise ConfigError(at="output_padding", got=record.output_padding, rule="same has none", hint="give padding as a number")
        out: Shape = (h * s[0], w * s[1], channels)
    else:
        p = given_padding(record.padding)
        sides = [(n - 1) * s[a] - p[2 * a] - p[2 * a + 1] + d[a] * (k[a] - 1) + 1 + extra[a] for a, n in enumerate((h, w))]
        if min(sides) < 1:
            raise ConfigError(at="padding", got=record.padding, rule="leaves nothing of the output", hint="use a smaller one")
        out = (sides[0], sides[1], channels)
    window = slide(out, record.kernel, record.stride, record.padding, record.dilation)
    assert window.out == (h, w)
    return out, window


def _shape(record: ConvTranspose, shapes: tuple[Shape, ...]) -> Shape:
    return _output(record, shapes[0])[0]


def _parameters(record: ConvTranspose, name: str, shapes: tuple[Shape, ...]) -> tuple[Parameter, ...]:
    """The weight [kh, kw, O, I] and the bias [O], which starts at 0; one output sums over kh kw / (sh sw) places on average."""
    (kh, kw), (sh, sw) = pair("kernel", record.kernel), pair("stride", record.stride)
    channels, made = image(shapes[0])[2], record.channels * pieces(record.activation)
    weight = Parameter(
        name=f"{name}.weight",
        shape=(kh, kw, made // record.groups, channels),
        initial=record.start,
        fan_in=max(1, kh * kw * channels // (record.groups * sh * sw)),
        fan_out=kh * kw * record.channels // record.groups,
        regularization=record.regularization,
        outputs=-2,
    )
    return weight, Parameter(name=f"{name}.bias", shape=(made,), initial=0.0)


def _lower(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
    record = node.record
    assert isinstance(record, ConvTranspose)
    weight, *bias = (b.input(p.name, p.shape, "state") for p in node.parameters)
    out, window = _output(record, b.shape(inputs[0])[1:])
    size = (out[0], out[1])
    if record.groups > 1:
        sizes = (b.shape(inputs[0])[3] // record.groups,) * record.groups
        parts = zip(split(b, inputs[0], sizes, 3, "group"), split(b, weight, sizes, 3, "group_weight"), strict=True)
        made = [b.add("conv_data_gradient", x, w, size=size, **window.conv, name="group_conv_transpose") for x, w in parts]
        y = b.add("concat", *made, axis=3, name="conv_transpose")
    else:
        y = b.add("conv_data_gradient", inputs[0], weight, size=size, **window.conv, name="conv_transpose")
    return b.add("add", y, bias[0], name="conv_bias") if bias else y


CONV_TRANSPOSE = LayerKind(prefix="conv_transpose", shape=_shape, parameters=_parameters, lower=_lower)
