"""Element-wise ops, with numpy broadcasting."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from backends.contract import Array
from backends.reference.arena import DTYPES


def _sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)); for x < 0 as exp(x) / (1 + exp(x)), whose exponential cannot overflow."""
    y = np.empty_like(x)
    positive = x >= 0
    y[positive] = 1.0 / (1.0 + np.exp(-x[positive]))
    y[~positive] = np.exp(x[~positive]) / (1.0 + np.exp(x[~positive]))
    y[np.isnan(x)] = np.nan
    return y


def _cast(x: Array, *, dtype: str) -> Array:
    return x.astype(DTYPES[dtype])


ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "add": lambda x, z: x + z,
    "sub": lambda x, z: x - z,
    "mul": lambda x, z: x * z,
    "div": lambda x, z: x / z,
    "neg": lambda x: -x,
    "maximum": np.maximum,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "erf": np.vectorize(math.erf, otypes=[np.float64]),
    "abs": np.abs,
    "where": np.where,
    "greater": lambda x, z: x > z,
    "less": lambda x, z: x < z,
    "equal": lambda x, z: x == z,
    "cast": _cast,
}
