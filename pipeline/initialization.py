"""Initial weights: (shape, fans, random words) -> host array.

Drawn on the host from the counter-based generator, so every backend starts from the same bits.
fan_in is the number of inputs that one output sums over, fan_out the number of outputs that one input feeds.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipeline import random
from pipeline.records import record, setting


@record
class Zeros:
    """Every weight 0: all units of a layer stay equal (Rumelhart, Hinton & Williams 1986)."""


@record
class Normal:
    """w ~ N(0, std^2)."""

    std: float = setting(0.01, least=0)


@record
class Xavier:
    """Variance 2 / (fan_in + fan_out): normal, or uniform on +-sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16)."""

    distribution: Literal["normal", "uniform"] = setting("normal")


@record
class He:
    """Variance 2 / fan_in: normal, or uniform on +-sqrt(6 / fan_in) (He, Zhang, Ren & Sun 2015, eq. 10)."""

    distribution: Literal["normal", "uniform"] = setting("normal")


INITIALIZATIONS: dict[str, type] = {"zeros": Zeros, "normal": Normal, "xavier": Xavier, "he": He}


def draw(initialization: object, shape: tuple[int, ...], *, fan_in: int, fan_out: int, seed: int, name: str) -> npt.NDArray[np.float64]:
    """Initial values of the tensor `name` -> float64 `shape`.  They depend on seed, name and shape alone: no other layer shifts them."""
    std, distribution = _spread(initialization, fan_in, fan_out)
    count = math.prod(shape)
    if std == 0:
        return np.zeros(shape)
    if distribution == "normal":
        return (std * random.normal(seed, random.INIT, name, 0, count)).reshape(shape)
    limit = math.sqrt(3.0) * std  # the variance of uniform on +-limit is limit^2 / 3
    return (limit * (2.0 * random.uniform(seed, random.INIT, name, 0, count) - 1.0)).reshape(shape)


def _spread(initialization: Any, fan_in: int, fan_out: int) -> tuple[float, str]:
    """The standard deviation of the weights and their distribution."""
    match initialization:
        case Zeros():
            return 0.0, "normal"
        case Normal():
            return initialization.std, "normal"
        case Xavier():
            return math.sqrt(2.0 / (fan_in + fan_out)), initialization.distribution
        case He():
            return math.sqrt(2.0 / fan_in), initialization.distribution
    raise AssertionError(f"no rule for {initialization}")
