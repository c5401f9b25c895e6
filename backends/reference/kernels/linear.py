"""Matrix products, a row of the result at a time."""

# M rows, K summed, N columns
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.contract import Array


def _matmul(a: Array, c: Array, start: Array | None = None, *, transpose_a: bool = False, transpose_b: bool = False) -> Array:
    """a [M, K] (or [K, M] when transposed) times c [K, N] (or [N, K]) -> [M, N]: y[m] = sum over k of a[m, k] c[k], and start."""
    left = a.T if transpose_a else a
    right = c.T if transpose_b else c
    y = np.empty((left.shape[0], right.shape[1]), np.float64)
    for m, row in enumerate(left):
        y[m] = row @ right
    return y if start is None else start + y


LINEAR: dict[str, Callable[..., Any]] = {"matmul": _matmul}
