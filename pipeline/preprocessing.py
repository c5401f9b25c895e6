"""Preprocessing: statistics of the training part, per feature, applied to every part and stored with the model.

Each step maps x to (x - shift) / scale; steps follow one another.
"""

# N rows, F features
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipeline.records import record, setting

Array = npt.NDArray[Any]
Statistics = tuple[Array, Array]  # shift and scale, each [*input_shape]


@record
class Preprocessing:
    """steps, in order.

    center        x - mean
    standardize   (x - mean) / standard deviation
    minmax        (x - min) / (max - min)
    scale         x / the largest absolute value of all features (255 for images)

    A feature that is constant in the training part becomes 0 there (and is not blown up elsewhere: its divisor is 1).
    """

    steps: tuple[Literal["center", "standardize", "minmax", "scale"], ...] = setting(("standardize",))


def _center(x: Array) -> Statistics:
    mean = x.mean(axis=0, dtype=np.float64)
    return mean, np.ones_like(mean)


def _standardize(x: Array) -> Statistics:
    """LeCun et al. 1998, section 4.3.  The divisor is the standard deviation (the course notes divide by the variance, which is wrong)."""
    mean = x.mean(axis=0, dtype=np.float64)
    # E[(x - mean)^2] in blocks of rows: the whole float64 difference would take twice the memory of x
    squares = sum(np.square(part - mean).sum(axis=0) for part in np.array_split(x, max(1, len(x) // 4096)))
    return mean, np.sqrt(squares / len(x))


def _minmax(x: Array) -> Statistics:
    low, high = x.min(axis=0).astype(np.float64), x.max(axis=0).astype(np.float64)
    return low, high - low


def _scale(x: Array) -> Statistics:
    shape = x.shape[1:]
    return np.zeros(shape), np.full(shape, float(np.abs(x).max()))


STEPS: dict[str, Callable[[Array], Statistics]] = {"center": _center, "standardize": _standardize, "minmax": _minmax, "scale": _scale}
# a spread below this share of the feature's size is rounding, not signal
FLOOR = 1e-6


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """Steps with the statistics of the training part."""

    steps: tuple[str, ...]
    statistics: tuple[Statistics, ...]

    def apply(self, x: Array, precision: str = "float32") -> Array:
        """x [N, ...] -> the same shape in `precision`; computed in float32 unless `precision` is float64."""
        result = np.array(x, precision)
        for shift, scale in self.statistics:
            result -= shift.astype(precision)
            result /= scale.astype(precision)
        return result

    def arrays(self) -> dict[str, Array]:
        """The statistics by name, float64."""
        return {
            f"preprocessing.{n}.{part}": a
            for n, pair in enumerate(self.statistics)
            for part, a in zip(("shift", "scale"), pair, strict=True)
        }

    @classmethod
    def restore(cls, arrays: Mapping[str, Array], steps: tuple[str, ...]) -> Fitted:
        """What `arrays` gave."""
        pairs = ((arrays[f"preprocessing.{n}.shift"], arrays[f"preprocessing.{n}.scale"]) for n in range(len(steps)))
        return cls(steps=tuple(steps), statistics=tuple(pairs))


def fit(config: Preprocessing, x: Array) -> Fitted:
    """Measures every step on the training part `x` [N, ...], each after the steps before it."""
    statistics: list[Statistics] = []
    for number, name in enumerate(config.steps):
        if number:
            x = Fitted(steps=config.steps[number - 1 : number], statistics=tuple(statistics[-1:])).apply(x)
        shift, scale = STEPS[name](x)
        constant = scale <= FLOOR * np.maximum(np.abs(shift), np.finfo(np.float32).tiny)
        statistics.append((shift, np.where(constant, 1.0, scale)))
    return Fitted(steps=tuple(config.steps), statistics=tuple(statistics))
