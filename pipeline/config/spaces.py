"""Search spaces: values on the scale that suits them, drawn at random, on a grid, or closer about a good one (Bergstra & Bengio 2012)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pipeline import random
from pipeline.records import Family, record, setting

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


Space = Linear | Integer | Log | OneMinusLog | LogRandn
Scale = tuple[Callable[[float], float], Callable[[Array], Array]]  # on which the values are uniform, and back

SPACES: Family[Space, Scale] = Family(
    "space",
    {
        "linear": (Linear, (float, lambda u: u)),
        "integer": (Integer, (float, np.rint)),
        "log": (Log, (math.log10, lambda r: 10.0**r)),
        "one_minus_log": (OneMinusLog, (lambda value: -math.log10(1 - value), lambda r: 1 - 10.0**-r)),
        "log_randn": (LogRandn, (math.log10, lambda r: 10.0**r)),
    },
)


def draw(space: Space, count: int, *, seed: int, path: str) -> Array:
    """The values of trials 0, 1, ... count - 1 for the config path `path` -> float64 [count]."""
    low, high = _ends(space)
    if isinstance(space, LogRandn):
        radius, angle = (random.uniform(seed, random.GENERATOR, f"search/{path}/{part}", 0, count) for part in ("radius", "angle"))
        shares = 1.0 - np.sqrt(-2.0 * np.log(1.0 - radius)) * np.cos(2.0 * np.pi * angle)  # Box & Muller 1958
    else:
        shares = random.uniform(seed, random.GENERATOR, f"search/{path}", 0, count)
    if isinstance(space, Integer):
        return np.floor(low + shares * (high - low + 1))
    return np.asarray(SPACES.rule(space)[1](low + shares * (high - low)))


def grid(space: Space, points: int) -> Array:
    """`points` values from low to high, evenly on the scale of the space -> float64 [points]."""
    return np.asarray(SPACES.rule(space)[1](np.linspace(*_ends(space), points)))


def zoom(space: Space, best: float, *, share: float) -> Space:
    """From coarse to fine: `share` of the range on its own scale, about `best`, moved so that it stays within."""
    to, back = SPACES.rule(space)
    low, high = _ends(space)
    width = share * (high - low)
    start = min(max(to(best) - width / 2, low), high - width)
    ends = back(np.array([start, start + width]))
    if isinstance(space, Integer):
        return replace(space, low=int(ends[0]), high=int(ends[1]))
    return replace(space, low=float(ends[0]), high=float(ends[1]))


def share_of(space: Space, value: float) -> float:
    """Where `value` lies in the range, on its own scale: 0 at low, 1 at high."""
    low, high = _ends(space)
    return (SPACES.rule(space)[0](value) - low) / (high - low)


def _ends(space: Space) -> tuple[float, float]:
    to, _ = SPACES.rule(space)
    return to(space.low), to(space.high)
