"""Reductions over axes, and their opposite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.contract import Array


def _sum(x: Array, start: Array | None = None, *, axes: tuple[int, ...], times: int = 1) -> Array:
    """x summed over `axes`, and `start`."""
    total = np.asarray(np.sum(x, axis=axes))
    return total if start is None else start + total


def _max(x: Array, *, axes: tuple[int, ...]) -> Array:
    """The largest x over `axes`."""
    return np.asarray(np.max(x, axis=axes))


def _spread(x: Array, *, shape: tuple[int, ...]) -> Array:
    """x broadcast to `shape`."""
    return np.broadcast_to(x, shape).copy()


REDUCE: dict[str, Callable[..., Any]] = {"sum": _sum, "max": _max, "spread": _spread}
