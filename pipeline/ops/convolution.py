"""Windows over images: unfolding, its adjoint, and pooling.  A convolution is `patches` and a matrix product.

Attributes of all: window (kh, kw), stride (sh, sw), padding (top, bottom, left, right), dilation (dh, dw) of the first two.
"""

# N batch, H W image, C channels, Ho Wo output positions, kh kw window
from __future__ import annotations

from pipeline.graph.builder import Builder
from pipeline.graph.ir import Node, Type
from pipeline.ops.table import Op

Pair = tuple[int, int]
Padding = tuple[int, int, int, int]


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
    Op(name="max_pool", shape=_pool, kind="opaque", gradient=_max_pool_gradient),
    Op(name="max_pool_gradient", shape=_max_pool_back, kind="opaque"),
    Op(name="average_pool", shape=_pool, kind="opaque", gradient=_average_pool_gradient),
    Op(name="average_pool_gradient", shape=_average_pool_back, kind="opaque"),
)
