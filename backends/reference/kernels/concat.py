"""Tensors put side by side along an axis, and cut apart again, number by number of the axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.contract import Array


def _concat(*parts: Array, axis: int) -> Array:
    """Parts [..., n_i, ...] -> [..., sum of n_i, ...]: the slices of the first part, then those of the second, ..."""
    return np.stack([part.take(place, axis) for part in parts for place in range(part.shape[axis])], axis)


def _split(x: Array, *, sizes: tuple[int, ...], axis: int) -> tuple[Array, ...]:
    """x [..., sum of n_i, ...] -> parts [..., n_i, ...]."""
    places = iter(range(x.shape[axis]))
    return tuple(np.stack([x.take(next(places), axis) for _ in range(n)], axis) for n in sizes)


CONCAT: dict[str, Callable[..., Any]] = {"concat": _concat, "split": _split}
