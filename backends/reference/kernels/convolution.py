"""Windows over images, position by position."""

# N batch, H W image, C channels, Ho Wo output positions, kh kw window
from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from backends.contract import Array

Pair = tuple[int, int]
Padding = tuple[int, int, int, int]


def _places(
    out: Pair, size: Pair, window: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> Iterator[tuple[int, int, int, int, int]]:
    """(row, column, number in the window, image row, image column) of every place of every window that lies in the image, in order."""
    for p in range(out[0]):
        for q in range(out[1]):
            for i in range(window[0]):
                for j in range(window[1]):
                    h = p * stride[0] + i * dilation[0] - padding[0]
                    w = q * stride[1] + j * dilation[1] - padding[2]
                    if 0 <= h < size[0] and 0 <= w < size[1]:
                        yield p, q, i * window[1] + j, h, w


def _positions(size: Pair, window: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Pair:
    tall, wide = size[0] + padding[0] + padding[1], size[1] + padding[2] + padding[3]
    rows = len(range(0, tall - dilation[0] * (window[0] - 1), stride[0]))
    return rows, len(range(0, wide - dilation[1] * (window[1] - 1), stride[1]))


def _patches(x: Array, *, window: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Array:
    """x [N, H, W, C] -> [N, Ho, Wo, kh * kw * C]."""
    n, h, w, c = x.shape
    out = _positions((h, w), window, stride, padding, dilation)
    y = np.zeros((n, *out, window[0] * window[1], c))
    for p, q, k, i, j in _places(out, (h, w), window, stride, padding, dilation):
        y[:, p, q, k] = x[:, i, j]
    return y.reshape(n, *out, -1)


def _fold(y: Array, *, size: Pair, window: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Array:
    """y [N, Ho, Wo, kh * kw * C] -> [N, H, W, C]."""
    n, rows, columns, depth = y.shape
    parts = y.reshape(n, rows, columns, window[0] * window[1], -1)
    x = np.zeros((n, *size, depth // (window[0] * window[1])))
    for p, q, k, i, j in _places((rows, columns), size, window, stride, padding, dilation):
        x[:, i, j] += parts[:, p, q, k]
    return x


def _conv(x: Array, w: Array, *, stride: Pair, padding: Padding, dilation: Pair) -> Array:
    """x [N, H, W, C], w [kh, kw, C, O] -> [N, Ho, Wo, O]."""
    patches = _patches(x, window=(w.shape[0], w.shape[1]), stride=stride, padding=padding, dilation=dilation)
    return np.asarray(patches @ w.reshape(-1, w.shape[3]))


def _conv_data_gradient(g: Array, w: Array, *, size: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Array:
    """g [N, Ho, Wo, O], w [kh, kw, C, O] -> [N, H, W, C]."""
    parts = g @ w.reshape(-1, w.shape[3]).T
    return _fold(parts, size=size, window=(w.shape[0], w.shape[1]), stride=stride, padding=padding, dilation=dilation)


def _conv_weight_gradient(x: Array, g: Array, *, window: Pair, parts: int, stride: Pair, padding: Padding, dilation: Pair) -> Array:
    """x [N, H, W, C], g [N, Ho, Wo, O] -> [parts, kh, kw, C, O]."""
    patches = _patches(x, window=window, stride=stride, padding=padding, dilation=dilation)
    limits = [len(x) * t // parts for t in range(parts + 1)]
    sums = [np.tensordot(patches[a:b], g[a:b], ((0, 1, 2), (0, 1, 2))) for a, b in pairwise(limits)]
    return np.stack(sums).reshape(parts, *window, x.shape[3], g.shape[3])


def _windows(x: Array, window: Pair, stride: Pair, padding: Padding) -> Iterator[tuple[int, int, list[Pair]]]:
    """(row, column, the places of its window in the image) of every output position."""
    size = x.shape[1:3]
    out = _positions(size, window, stride, padding, (1, 1))
    inside: dict[Pair, list[Pair]] = {}
    for p, q, _, i, j in _places(out, size, window, stride, padding, (1, 1)):
        inside.setdefault((p, q), []).append((i, j))
    return ((p, q, places) for (p, q), places in inside.items())


def _max_pool(x: Array, *, window: Pair, stride: Pair, padding: Padding) -> Array:
    """The largest x of each window."""
    y = np.empty((len(x), *_positions(x.shape[1:3], window, stride, padding, (1, 1)), x.shape[3]))
    for p, q, places in _windows(x, window, stride, padding):
        y[:, p, q] = np.max([x[:, i, j] for i, j in places], axis=0)
    return y


def _max_pool_gradient(x: Array, g: Array, *, window: Pair, stride: Pair, padding: Padding) -> Array:
    """g at the first maximum of each window, 0 elsewhere, summed where windows overlap."""
    result = np.zeros_like(x)
    for p, q, places in _windows(x, window, stride, padding):
        first = np.argmax([x[:, i, j] for i, j in places], axis=0)
        for number, (i, j) in enumerate(places):
            result[:, i, j] += np.where(first == number, g[:, p, q], 0.0)
    return result


def _average_pool(x: Array, *, window: Pair, stride: Pair, padding: Padding) -> Array:
    """The mean of the places of each window that lie in the image."""
    y = np.empty((len(x), *_positions(x.shape[1:3], window, stride, padding, (1, 1)), x.shape[3]))
    for p, q, places in _windows(x, window, stride, padding):
        y[:, p, q] = np.mean([x[:, i, j] for i, j in places], axis=0)
    return y


def _average_pool_gradient(g: Array, *, size: Pair, window: Pair, stride: Pair, padding: Padding) -> Array:
    """g / count at every place of each window."""
    result = np.zeros((len(g), *size, g.shape[3]))
    for p, q, places in _windows(result, window, stride, padding):
        for i, j in places:
            result[:, i, j] += g[:, p, q] / len(places)
    return result


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
