"""Windows over images: convolution with its two gradients, pooling, and im2col with col2im (for depthwise convolution).

Attributes: stride (sh, sw), padding (top, bottom, left, right), but for pooling dilation (dh, dw), but for convolution window (kh, kw).
"""

# N batch, H W image, C channels, Ho Wo output positions, kh kw window
from __future__ import annotations

import math
from typing import Any

from pipeline.graph.builder import Builder
from pipeline.graph.ir import Node, Type
from pipeline.ops.table import Op

Pair = tuple[int, int]
Padding = tuple[int, int, int, int]
MOST_PARTS = 16  # of a weight gradient
MOST_PARTIAL = 1 << 21  # numbers that all its parts together may hold


def _pair(sizes: tuple[int, ...]) -> Pair:
    """Two of the four sizes of an image or a weight."""
    first, second = sizes
    return first, second


def positions(size: Pair, window: Pair, stride: Pair, padding: Padding, dilation: Pair = (1, 1)) -> Pair:
    """Ho = (H + top + bottom - dh (kh - 1) - 1) // sh + 1, and Wo alike (Dumoulin & Visin 2016, relationship 15)."""
    around = (padding[0] + padding[1], padding[2] + padding[3])
    h, w = ((n + a - d * (k - 1) - 1) // s + 1 for n, a, k, s, d in zip(size, around, window, stride, dilation, strict=True))
    return h, w


def _patches(x: Type, *, window: Pair, stride: Pair, padding: Padding, dilation: Pair) -> tuple[Type, ...]:
    """x [N, H, W, C] -> [N, Ho, Wo, kh * kw * C]; outside the image lie zeros."""
    n, h, w, c = x.shape
    ho, wo = positions((h, w), window, stride, padding, dilation)
    assert ho > 0 and wo > 0, f"patches of {x}: a window of {window} has no place"
    return (Type(x.dtype, (n, ho, wo, window[0] * window[1] * c)),)


def _fold(y: Type, *, size: Pair, window: Pair, stride: Pair, padding: Padding, dilation: Pair) -> tuple[Type, ...]:
    """y [N, Ho, Wo, kh * kw * C] -> [N, H, W, C]: every patch added where `patches` took it from."""
    n, ho, wo, depth = y.shape
    assert positions(size, window, stride, padding, dilation) == (ho, wo), f"fold of {y} to {size}"
    return (Type(y.dtype, (n, *size, depth // (window[0] * window[1]))),)


def _patches_gradient(b: Builder, node: Node, grads: tuple[str | None, ...]) -> tuple[str | None, ...]:
    """The adjoint of a linear map."""
    assert grads[0] is not None
    return (b.add("fold", grads[0], size=b.shape(node.inputs[0])[1:3], **node.attributes),)


def _fold_gradient(b: Builder, node: Node, grads: tuple[str | None, ...]) -> tuple[str | None, ...]:
    assert grads[0] is not None
    return (b.add("patches", grads[0], **{k: v for k, v in node.attributes.items() if k != "size"}),)


def _conv(x: Type, w: Type, *, stride: Pair, padding: Padding, dilation: Pair) -> tuple[Type, ...]:
    """x [N, H, W, C], w [kh, kw, C, O] -> y [N, Ho, Wo, O].

    y[n, p, q] = sum over i, j of x[n, p sh + i dh - top, q sw + j dw - left] w[i, j] with zeros outside the image.
    """
    n, h, width, c = x.shape
    assert c == w.shape[2] and x.dtype == w.dtype, f"convolution of {x} with {w}"
    ho, wo = positions((h, width), _pair(w.shape[:2]), stride, padding, dilation)
    assert ho > 0 and wo > 0, f"convolution of {x}: a window of {w.shape[:2]} has no place"
    return (Type(x.dtype, (n, ho, wo, w.shape[3])),)


def _conv_data(g: Type, w: Type, *, size: Pair, stride: Pair, padding: Padding, dilation: Pair) -> tuple[Type, ...]:
    """g [N, Ho, Wo, O], w [kh, kw, C, O] -> [N, H, W, C] with (H, W) = size: the adjoint of `conv` as a map of its image."""
    assert g.shape[3] == w.shape[3] and g.dtype == w.dtype, f"data gradient of {g} with {w}"
    assert positions(size, _pair(w.shape[:2]), stride, padding, dilation) == g.shape[1:3], f"data gradient of {g} to {size}"
    return (Type(g.dtype, (g.shape[0], *size, w.shape[2])),)


def _conv_weight(x: Type, g: Type, *, window: Pair, parts: int, stride: Pair, padding: Padding, dilation: Pair) -> tuple[Type, ...]:
    """x [N, H, W, C], g [N, Ho, Wo, O] -> [parts, kh, kw, C, O], whose sum over the parts is the adjoint of `conv` as a map of its weight.

    Part t covers the images N t // parts <= n < N (t + 1) // parts: threads take parts, and short sums round less than one long one.
    """
    assert x.shape[0] == g.shape[0] >= parts and x.dtype == g.dtype, f"weight gradient of {x} and {g}"
    assert positions(_pair(x.shape[1:3]), window, stride, padding, dilation) == g.shape[1:3], f"weight gradient of {x} and {g}"
    return (Type(x.dtype, (parts, *window, x.shape[3], g.shape[3])),)


def parts_of(images: int, count: int) -> int:
    """The parts of a weight gradient of `count` numbers."""
    return max(1, min(images, MOST_PARTS, MOST_PARTIAL // count))


def weight_gradient(b: Builder, x: str, g: str, window: Pair, **attributes: Any) -> str:
    """The gradient [kh, kw, C, O] of the weight."""
    shape = (*window, b.shape(x)[3], b.shape(g)[3])
    count = math.prod(shape)
    parts = parts_of(b.shape(x)[0], count)
    partial = b.reshape(b.add("conv_weight_gradient", x, g, window=window, parts=parts, **attributes), (parts, count))
    return b.reshape(b.add("sum", partial, axes=(0,), name="conv_weight_sum"), shape)


def _conv_gradient(b: Builder, node: Node, grads: tuple[str | None, ...]) -> tuple[str | None, ...]:
    (g,), (x, w), a = grads, node.inputs, node.attributes
    assert g is not None
    image = b.add("conv_data_gradient", g, w, size=b.shape(x)[1:3], **a)
    return image, weight_gradient(b, x, g, _pair(b.shape(w)[:2]), **a)


def _conv_data_gradient(b: Builder, node: Node, grads: tuple[str | None, ...]) -> tuple[str | None, ...]:
    """The adjoint of a linear map, so the convolution itself; image and gradient change places in the weight's."""
    (image,), (g, w) = grads, node.inputs
    assert image is not None
    a = {k: v for k, v in node.attributes.items() if k != "size"}
    return b.add("conv", image, w, **a), weight_gradient(b, image, g, _pair(b.shape(w)[:2]), **a)


def _pool(x: Type, *, window: Pair, stride: Pair, padding: Padding) -> tuple[Type, ...]:
    """x [N, H, W, C] -> [N, Ho, Wo, C]; what lies outside the image takes no part."""
    n, h, w, c = x.shape
    assert max(padding[:2]) < window[0] and max(padding[2:]) < window[1], "a window would lie outside the image"
    ho, wo = positions((h, w), window, stride, padding)
    assert ho > 0 and wo > 0, f"pooling of {x}: a window of {window} has no place"
    return (Type(x.dtype, (n, ho, wo, c)),)


def _max_pool_back(x: Type, g: Type, *, window: Pair, stride: Pair, padding: Padding) -> tuple[Type, ...]:
    """x [N, H, W, C] and the gradient g [N, Ho, Wo, C] of its pool -> the gradient of x: g goes to the first maximum of a window."""
    assert g == _pool(x, window=window, stride=stride, padding=padding)[0]
    return (x,)


def _average_pool_back(g: Type, *, size: Pair, window: Pair, stride: Pair, padding: Padding) -> tuple[Type, ...]:
    """The gradient of the pool [N, Ho, Wo, C] -> the gradient of its input [N, H, W, C]: g / count to every place of a window."""
    assert positions(size, window, stride, padding) == g.shape[1:3]
    return (Type(g.dtype, (g.shape[0], *size, g.shape[3])),)


def _max_pool_gradient(b: Builder, node: Node, grads: tuple[str | None, ...]) -> tuple[str | None, ...]:
    assert grads[0] is not None
    return (b.add("max_pool_gradient", node.inputs[0], grads[0], **node.attributes),)


def _average_pool_gradient(b: Builder, node: Node, grads: tuple[str | None, ...]) -> tuple[str | None, ...]:
    assert grads[0] is not None
    return (b.add("average_pool_gradient", grads[0], size=b.shape(node.inputs[0])[1:3], **node.attributes),)


CONVOLUTION: tuple[Op, ...] = (
    Op(name="patches", shape=_patches, kind="opaque", gradient=_patches_gradient),
    Op(name="fold", shape=_fold, kind="opaque", gradient=_fold_gradient),
    Op(name="conv", shape=_conv, kind="opaque", gradient=_conv_gradient),
    Op(name="conv_data_gradient", shape=_conv_data, kind="opaque", gradient=_conv_data_gradient),
    Op(name="conv_weight_gradient", shape=_conv_weight, kind="opaque"),
    Op(name="max_pool", shape=_pool, kind="opaque", gradient=_max_pool_gradient),
    Op(name="max_pool_gradient", shape=_max_pool_back, kind="opaque"),
    Op(name="average_pool", shape=_pool, kind="opaque", gradient=_average_pool_gradient),
    Op(name="average_pool_gradient", shape=_average_pool_back, kind="opaque"),
)
