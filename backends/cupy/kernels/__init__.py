"""The kernels by op, over an array namespace: (xp, tensors, attributes) -> a new tensor.

Composites have none: they reach this backend written out in simpler ops.
"""

# M rows, K summed, N columns
from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from backends.cupy.kernels.augment import AUGMENT
from backends.cupy.kernels.convolution import CONVOLUTION
from backends.cupy.kernels.group_norm import GROUP_NORM
from backends.cupy.kernels.philox import uniform

Kernel = Callable[..., Any]


def _sigmoid(xp: Any, x: Any) -> Any:
    """1 / (1 + exp(-x)) over exp(-|x|), which cannot overflow."""
    power = xp.exp(-xp.abs(x))
    return xp.where(x < 0, power, xp.ones_like(power)) / (1 + power)


def _erf(xp: Any, x: Any) -> Any:
    """Array namespaces have none: SciPy's, and the one of the same name that CuPy brings."""
    return importlib.import_module("cupyx.scipy.special" if xp.__name__ == "cupy" else "scipy.special").erf(x)


def _matmul(xp: Any, a: Any, c: Any, *, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    """a [M, K] (or [K, M] when transposed) times c [K, N] (or [N, K]) -> [M, N]."""
    return xp.matmul(a.T if transpose_a else a, c.T if transpose_b else c)


def _split(xp: Any, x: Any, *, sizes: tuple[int, ...], axis: int) -> tuple[Any, ...]:
    """x [..., sum of sizes, ...] -> its parts, as copies: an output may lie on the bytes of x."""
    starts = [sum(sizes[:n]) for n in range(1, len(sizes))]
    return tuple(part.copy() for part in xp.split(x, starts, axis=axis))


def _uniform(xp: Any, seed: Any, step_low: Any, step_high: Any, *, shape: tuple[int, ...], stream: int, path: int, dtype: str) -> Any:
    """Uniform on [0, 1) with 24 bits."""
    return uniform(xp, seed, stream, path, step_low, step_high, math.prod(shape)).astype(dtype).reshape(shape)


KERNELS: dict[str, Kernel] = {
    "add": lambda xp, x, z: x + z,
    "sub": lambda xp, x, z: x - z,
    "mul": lambda xp, x, z: x * z,
    "div": lambda xp, x, z: x / z,
    "neg": lambda xp, x: -x,
    "maximum": lambda xp, x, z: xp.maximum(x, z),
    "exp": lambda xp, x: xp.exp(x),
    "expm1": lambda xp, x: xp.expm1(x),
    "log": lambda xp, x: xp.log(x),
    "log1p": lambda xp, x: xp.log1p(x),
    "sqrt": lambda xp, x: xp.sqrt(x),
    "tanh": lambda xp, x: xp.tanh(x),
    "sigmoid": _sigmoid,
    "erf": _erf,
    "abs": lambda xp, x: xp.abs(x),
    "where": lambda xp, condition, yes, no: xp.where(condition, yes, no),
    "greater": lambda xp, x, z: x > z,
    "less": lambda xp, x, z: x < z,
    "equal": lambda xp, x, z: x == z,
    "cast": lambda xp, x, dtype: x.astype(np.dtype(dtype)),
    "constant": lambda xp, value, dtype: xp.asarray(value, np.dtype(dtype)),
    "column_index": lambda xp, columns: xp.arange(columns, dtype=np.int32),
    "uniform": _uniform,
    "sum": lambda xp, x, axes: xp.sum(x, axis=axes),
    "max": lambda xp, x, axes: xp.max(x, axis=axes),
    "spread": lambda xp, x, shape: xp.broadcast_to(x, shape).copy(),
    "matmul": _matmul,
    "concat": lambda xp, *parts, axis: xp.concatenate(parts, axis=axis),
    "split": _split,
    **CONVOLUTION,
    **GROUP_NORM,
    **AUGMENT,
}
