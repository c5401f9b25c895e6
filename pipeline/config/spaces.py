"""Search spaces: values on the scale that suits them, drawn at random, on a grid, or closer about a good one (Bergstra & Bengio 2012)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import random
from pipeline.records import record, setting

Array = npt.NDArray[np.float64]


@record
class Linear:
    """Uniform on [low, high]."""

    low: float = setting()
    high: float = setting()


@record
class Integer:
    """The whole numbers from low to high, equally likely."""

    low: int = setting()
    high: int = setting()


@record
class Log:
    """10^r, r uniform on [log10 low, log10 high]: each decade as likely as any other."""

    low: float = setting(above=0)
    high: float = setting(above=0)


@record
class OneMinusLog:
    """1 - 10^r, r uniform on [log10(1 - high), log10(1 - low)]: for what acts by its distance from 1, as the betas of averages do."""

    low: float = setting(below=1)
    high: float = setting(below=1)


@record
class LogRandn:
    """ERROR of the notes, to show it: r = (log10 low - log10 high) * randn() + log10 high, where rand() is meant.

    Half the values lie above `high`, and 34.1 % within the range.
    """

    low: float = setting(above=0)
    high: float = setting(above=0)


SPACES: dict[str, type] = {"linear": Linear, "integer": Integer, "log": Log, "one_minus_log": OneMinusLog, "log_randn": LogRandn}
# kind -> the scale on which its values are uniform, and back
_SCALES: dict[type, tuple[Callable[[float], float], Callable[[Array], Array]]] = {
    Linear: (float, lambda u: u),
    Integer: (float, np.rint),
    Log: (math.log10, lambda r: 10.0**r),
    OneMinusLog: (lambda value: -math.log10(1 - value), lambda r: 1 - 10.0**-r),
    LogRandn: (math.log10, lambda r: 10.0**r),
}


def draw(space: Any, count: int, *, seed: int, path: str) -> Array:
    """The values of trials 0, 1, ... count - 1 for the config path `path` -> float64 [count]."""
    low, high = _ends(space)
    if isinstance(space, LogRandn):
        radius, angle = (random.uniform(seed, random.GENERATOR, f"search/{path}/{part}", 0, count) for part in ("radius", "angle"))
        shares = 1.0 - np.sqrt(-2.0 * np.log(1.0 - radius)) * np.cos(2.0 * np.pi * angle)  # Box & Muller 1958
    else:
        shares = random.uniform(seed, random.GENERATOR, f"search/{path}", 0, count)
    if isinstance(space, Integer):
        return np.floor(low + shares * (high - low + 1))
    return np.asarray(_SCALES[type(space)][1](low + shares * (high - low)))


def grid(space: Any, points: int) -> Array:
    """`points` values from low to high, evenly on the scale of the space -> float64 [points]."""
    return np.asarray(_SCALES[type(space)][1](np.linspace(*_ends(space), points)))


def zoom(space: Any, best: float, *, share: float) -> Any:
    """From coarse to fine: `share` of the range on its own scale, about `best`, moved so that it stays within."""
    to, back = _SCALES[type(space)]
    low, high = _ends(space)
    width = share * (high - low)
    start = min(max(to(best) - width / 2, low), high - width)
    ends = back(np.array([start, start + width]))
    cast = int if isinstance(space, Integer) else float
    return replace(space, low=cast(ends[0]), high=cast(ends[1]))


def share_of(space: Any, value: float) -> float:
    """Where `value` lies in the range, on its own scale: 0 at low, 1 at high."""
    low, high = _ends(space)
    return (_SCALES[type(space)][0](value) - low) / (high - low)


def _ends(space: Any) -> tuple[float, float]:
    to, _ = _SCALES[type(space)]
    return to(space.low), to(space.high)
