"""Statistics of the training rows, gathered chunk by chunk."""

# N rows, F... shape of one row, C channels
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipeline.errors import ConfigError

Array = npt.NDArray[Any]
Arrays = dict[str, Array]
Chunks = Callable[[], Iterator[Array]]  # each call goes over the training rows once: float64 [n, F...], which may be overwritten
Axes = Literal["feature", "channel", "global"]

# A feature whose values differ by less than this share of their size differs by rounding alone; it counts as constant.
ROUNDING = 4 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Moments:
    """Statistics over the rows, float64 [F...], [C] or []; `constant` where all rows hold the same value."""

    mean: Array
    deviation: Array
    least: Array
    most: Array

    @property
    def constant(self) -> Array:
        """Which features hold one value only, bool [F...]."""
        return np.asarray(self.most - self.least <= ROUNDING * np.maximum(np.abs(self.least), np.abs(self.most)))


def moments(chunks: Chunks, axes: Axes = "feature") -> Moments:
    """Mean, standard deviation (divisor N), minimum and maximum, in two passes so that a large mean costs no digits.

    axes   feature: of each place of a row; channel: of each channel over all places of an image; global: of all values together
    Raises ConfigError for channels of rows that have none.
    """
    count, total, least, most = 0, np.float64(0), np.float64(np.inf), np.float64(-np.inf)
    for chunk in chunks():
        x = _seen(chunk, axes)
        count += len(x)
        total = total + x.sum(axis=0)
        least, most = np.minimum(least, x.min(axis=0)), np.maximum(most, x.max(axis=0))
    mean = np.where(most == least, least, total / count)  # a constant feature has its value as mean, not a rounded sum
    squares = np.float64(0)
    for chunk in chunks():
        x = _seen(chunk, axes)
        x -= mean
        squares = squares + np.einsum("n...,n...->...", x, x)
    return Moments(mean=mean, deviation=np.asarray(np.sqrt(squares / count)), least=np.asarray(least), most=np.asarray(most))


def _seen(x: Array, axes: Axes) -> Array:
    """x [n, F...] as rows of what shares one statistic: [n, F...], [n', C] or [n']."""
    if axes == "feature":
        return x
    if axes == "global":
        return x.reshape(-1)
    if x.ndim < 3:
        rule = f"a row of the data has shape {list(x.shape[1:])}, which has no channels"
        raise ConfigError(at="preprocessing.axes", got=axes, rule=rule, hint="use feature or global")
    return x.reshape(-1, x.shape[-1])
