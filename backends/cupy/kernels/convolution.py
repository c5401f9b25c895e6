"""Windows over images: one strided slice of the image for each place of the window.

A window of k places costs k kernels, whatever the size of the image.
"""

# N batch, H W image, C channels, Ho Wo output positions, kh kw window
from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

Pair = tuple[int, int]
Padding = tuple[int, int, int, int]


def _positions(size: Pair, window: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Pair:
    tall, wide = size[0] + padding[0] + padding[1], size[1] + padding[2] + padding[3]
    return (tall - dilation[0] * (window[0] - 1) - 1) // stride[0] + 1, (wide - dilation[1] * (window[1] - 1) - 1) // stride[1] + 1


def _slices(out: Pair, window: Pair, stride: Pair, dilation: Pair) -> Iterator[tuple[Any, ...]]:
    """For each place of the window: the index that takes it from a padded image, for all positions at once."""
    for i in range(window[0]):
        for j in range(window[1]):
            top, left = i * dilation[0], j * dilation[1]
            rows = slice(top, top + (out[0] - 1) * stride[0] + 1, stride[0])
            yield slice(None), rows, slice(left, left + (out[1] - 1) * stride[1] + 1, stride[1])


def _padded(xp: Any, x: Any, padding: Padding, value: float = 0.0) -> Any:
    n, h, w, c = x.shape
    top, bottom, left, right = padding
    wide = xp.full((n, h + top + bottom, w + left + right, c), value, x.dtype)
    wide[:, top : top + h, left : left + w] = x
    return wide


def _inside(wide: Any, size: Pair, padding: Padding) -> Any:
    return wide[:, padding[0] : padding[0] + size[0], padding[2] : padding[2] + size[1]]


def _empty_image(xp: Any, g: Any, size: Pair, channels: int, padding: Padding) -> Any:
    return xp.zeros((len(g), size[0] + padding[0] + padding[1], size[1] + padding[2] + padding[3], channels), g.dtype)


def _patches(xp: Any, x: Any, *, window: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Any:
    """x [N, H, W, C] -> [N, Ho, Wo, kh * kw * C]."""
    out = _positions(x.shape[1:3], window, stride, padding, dilation)
    wide = _padded(xp, x, padding)
    return xp.concatenate([wide[index] for index in _slices(out, window, stride, dilation)], axis=3)


def _fold(xp: Any, y: Any, *, size: Pair, window: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Any:
    """y [N, Ho, Wo, kh * kw * C] -> [N, H, W, C]."""
    channels = y.shape[3] // (window[0] * window[1])
    wide = _empty_image(xp, y, size, channels, padding)
    for k, index in enumerate(_slices(y.shape[1:3], window, stride, dilation)):
        wide[index] += y[..., k * channels : (k + 1) * channels]
    return _inside(wide, size, padding)


def _conv(xp: Any, x: Any, w: Any, *, stride: Pair, padding: Padding, dilation: Pair) -> Any:
    """x [N, H, W, C], w [kh, kw, C, O] -> [N, Ho, Wo, O]."""
    patches = _patches(xp, x, window=w.shape[:2], stride=stride, padding=padding, dilation=dilation)
    return patches @ w.reshape(-1, w.shape[3])


def _conv_data_gradient(xp: Any, g: Any, w: Any, *, size: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Any:
    """g [N, Ho, Wo, O], w [kh, kw, C, O] -> [N, H, W, C]."""
    parts = g @ w.reshape(-1, w.shape[3]).T
    return _fold(xp, parts, size=size, window=w.shape[:2], stride=stride, padding=padding, dilation=dilation)


def _conv_weight_gradient(xp: Any, x: Any, g: Any, *, window: Pair, parts: int, stride: Pair, padding: Padding, dilation: Pair) -> Any:
    """x [N, H, W, C], g [N, Ho, Wo, O] -> [parts, kh, kw, C, O]."""
    patches = _patches(xp, x, window=window, stride=stride, padding=padding, dilation=dilation)
    limits = [len(x) * t // parts for t in range(parts + 1)]
    rows, columns = patches.shape[3], g.shape[3]
    sums = [patches[a:b].reshape(-1, rows).T @ g[a:b].reshape(-1, columns) for a, b in pairwise(limits)]
    return xp.stack(sums).reshape(parts, *window, x.shape[3], columns)


def _max_pool(xp: Any, x: Any, *, window: Pair, stride: Pair, padding: Padding) -> Any:
    """The largest x of each window."""
    out = _positions(x.shape[1:3], window, stride, padding, (1, 1))
    first, *rest = (_padded(xp, x, padding, -xp.inf)[index] for index in _slices(out, window, stride, (1, 1)))
    for part in rest:
        first = xp.maximum(first, part)
    return first


def _max_pool_gradient(xp: Any, x: Any, g: Any, *, window: Pair, stride: Pair, padding: Padding) -> Any:
    """g at the first maximum of each window."""
    size = x.shape[1:3]
    image, wide = _padded(xp, x, padding, -xp.inf), _empty_image(xp, g, size, x.shape[3], padding)
    y, free = _max_pool(xp, x, window=window, stride=stride, padding=padding), xp.ones(g.shape, bool)
    for index in _slices(g.shape[1:3], window, stride, (1, 1)):
        hit = free & (image[index] == y)
        wide[index] += xp.where(hit, g, xp.zeros_like(g))
        free = free & ~hit
    return _inside(wide, size, padding)


def _counts(xp: Any, size: Pair, dtype: Any, window: Pair, stride: Pair, padding: Padding) -> Any:
    """Places of each window in the image -> [1, Ho, Wo, 1]."""
    out = _positions(size, window, stride, padding, (1, 1))
    wide = _padded(xp, xp.ones((1, *size, 1), dtype), padding)
    return sum(wide[index] for index in _slices(out, window, stride, (1, 1)))


def _average_pool(xp: Any, x: Any, *, window: Pair, stride: Pair, padding: Padding) -> Any:
    """The mean of the places of each window that lie in the image."""
    out = _positions(x.shape[1:3], window, stride, padding, (1, 1))
    wide = _padded(xp, x, padding)
    total = sum(wide[index] for index in _slices(out, window, stride, (1, 1)))
    return total / _counts(xp, x.shape[1:3], x.dtype, window, stride, padding)


def _average_pool_gradient(xp: Any, g: Any, *, size: Pair, window: Pair, stride: Pair, padding: Padding) -> Any:
    """g / count at every place of each window."""
    wide = _empty_image(xp, g, size, g.shape[3], padding)
    share = g / _counts(xp, size, g.dtype, window, stride, padding)
    for index in _slices(g.shape[1:3], window, stride, (1, 1)):
        wide[index] += share
    return _inside(wide, size, padding)


CONVOLUTION: dict[str, Callable[..., Any]] = {
    "patches": _patches,
    "fold": _fold,
    "conv": _conv,
    "conv_data_gradient": _conv_data_gradient,
    "conv_weight_gradient": _conv_weight_gradient,
    "max_pool": _max_pool,
    "max_pool_gradient": _max_pool_gradient,
    "average_pool": _average_pool,
    "average_pool_gradient": _average_pool_gradient,
}
