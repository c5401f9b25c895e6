"""Search spaces: values on the scale that suits them, drawn at random, on a grid, or closer about a good one (Bergstra & Bengio 2012).

Every space is the image of the shares [0, 1): `at(space, share)` is the value there and `share_of` the way back, so that a random
draw, a Sobol point, a model's proposal and a grid are shares first, and a scale is written once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from statistics import NormalDist
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from pipeline import random
from pipeline.errors import ConfigError
from pipeline.records import Family, plain, record, setting

Array = npt.NDArray[np.float64]
Value = float | int | str


@record
class Linear:
    """Uniform on [low, high]; with a step only low, low + step, ... up to high, equally likely."""

    low: float = setting()
    high: float = setting()
    step: float | None = setting(None, above=0)


@record
class Integer:
    """The whole numbers from low to high, or every `step`-th of them, equally likely."""

    low: int = setting()
    high: int = setting()
    step: int = setting(1, least=1)


@record
class Log:
    """10^r, r uniform on [log10 low, log10 high]: each decade as likely as any other."""

    low: float = setting(above=0)
    high: float = setting(above=0)


@record
class LogInteger:
    """Whole numbers of the log scale: 10^r rounded, r uniform on [log10(low - 1/2), log10(high + 1/2)]."""

    low: int = setting(least=1)
    high: int = setting(least=1)


@record
class OneMinus:
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


@record
class Choice:
    """One of several values, equally likely; each is what stands behind the = of an override."""

    values: tuple[Any, ...] = setting()


Space = Linear | Integer | Log | LogInteger | OneMinus | LogRandn | Choice
Range = Linear | Integer | Log | LogInteger | OneMinus | LogRandn
SpaceT = TypeVar("SpaceT", bound=Space)
Scale = tuple[Callable[[float], float], Callable[[Array], Array]]  # on which the values are uniform, and back

_LOG: Scale = (math.log10, lambda r: 10.0**r)
SPACES: Family[Space, Scale] = Family(
    "space",
    {
        "linear": (Linear, (float, lambda u: u)),
        "integer": (Integer, (float, np.rint)),
        "log": (Log, _LOG),
        "log_integer": (LogInteger, _LOG),
        "one_minus": (OneMinus, (lambda value: -math.log10(1 - value), lambda r: 1 - 10.0**-r)),
        "log_randn": (LogRandn, _LOG),
        "choice": (Choice, None),
    },
)


def check(space: Space, at: str) -> None:
    """Raises ConfigError for a space without a value or with one value only."""
    if isinstance(space, Choice):
        if not space.values:
            raise ConfigError(at=f"{at}.values", got=[], rule="must hold a value", hint="give two or more")
    elif space.low >= space.high:
        raise ConfigError(at=f"{at}.high", got=space.high, rule=f"must be above {at}.low, which is {space.low}")


def count(space: Space) -> int | None:
    """How many values the space has; None for a continuous one."""
    match space:
        case Choice():
            return len(space.values)
        case Integer():
            return (space.high - space.low) // space.step + 1
        case LogInteger():
            return space.high - space.low + 1
        case Linear(step=float() as step):
            return math.floor((space.high - space.low) / step + 1e-9) + 1
    return None


def at(space: Space, share: float) -> Value:
    """The value at a share in [0, 1) of the space; numbers with six digits, enough to run one again by hand."""
    if isinstance(space, Choice):
        return str(_plain(space.values[min(int(share * len(space.values)), len(space.values) - 1)]))
    value = float(_values(space, np.array([share]))[0])
    return int(value) if isinstance(space, Integer | LogInteger) else float(f"{value:.6g}")


def share_of(space: Space, value: Value) -> float:
    """Where `value` lies in the space: 0 at low, 1 at high; of spaces that can be counted the middle of the value's part."""
    if isinstance(space, Choice):
        return ([str(_plain(each)) for each in space.values].index(str(value)) + 0.5) / len(space.values)
    low, high = _ends(space)
    if isinstance(space, LogRandn):
        return (math.log10(float(value)) - low) / (high - low)
    if isinstance(space, Integer) or (isinstance(space, Linear) and space.step is not None):
        return (round((float(value) - space.low) / (space.step or 1)) + 0.5) / (count(space) or 1)
    return (SPACES.rule(space)[0](float(value)) - low) / (high - low)


def draw(space: Range, count: int, *, seed: int, path: str) -> Array:
    """The values of trials 0, 1, ... count - 1 for the config path `path` -> float64 [count]."""
    return _values(space, shares(count, seed=seed, path=path))


def shares(count: int, *, seed: int, path: str, first: int = 0) -> Array:
    """Uniform shares of trials first, first + 1, ... for the config path `path` -> float64 [count].  More trials change no earlier one."""
    drawn: Array = random.uniform(seed, random.GENERATOR, f"search/{path}", 0, first + count)[first:]
    return drawn


def grid(space: Space, points: int) -> list[Value]:
    """`points` values from low to high, evenly on the scale of the space; all of one that has no more."""
    whole = count(space)
    if isinstance(space, Choice) or (whole is not None and whole <= points):
        return [at(space, (k + 0.5) / (whole or 1)) for k in range(whole or 0)]
    to, back = SPACES.rule(space)
    ends = np.clip(back(np.linspace(to(space.low), to(space.high), points)), space.low, space.high)
    if whole is None:
        return [float(f"{value:.6g}") for value in ends]
    return list(dict.fromkeys(at(space, min(share_of(space, float(value)), 1 - 1e-9)) for value in ends))


def zoom(space: SpaceT, best: Value, *, share: float) -> SpaceT:
    """From coarse to fine: `share` of the range on its own scale, about `best`, moved so that it stays within."""
    if isinstance(space, Choice):
        return space
    to, back = SPACES.rule(space)
    low, high = to(space.low), to(space.high)
    width = share * (high - low)
    start = min(max(to(float(best)) - width / 2, low), high - width)
    ends = np.clip(back(np.array([start, start + width])), space.low, space.high)
    first, last = float(ends[0]), float(ends[1])
    if isinstance(space, Integer) or (isinstance(space, Linear) and space.step is not None):
        step = space.step or 1
        first = space.low + step * round((first - space.low) / step)
        last = max(space.low + step * round((last - space.low) / step), first)
    if isinstance(space, Integer | LogInteger):
        return cast(SpaceT, replace(space, low=round(first), high=round(last)))
    return cast(SpaceT, replace(space, low=first, high=last))


def said(space: Space) -> str:
    """As one writes it: log(0.0001, 1)."""
    entries = plain(space).get("values") or [value for value in plain(space).values() if value is not None]
    return f"{SPACES.kind_of(space)}({', '.join(str(_plain(entry)) for entry in entries)})"


def _values(space: Range, shares: Array) -> Array:
    """The values at shares [n] -> float64 [n]."""
    low, high = _ends(space)
    if isinstance(space, LogRandn):
        normal = NormalDist().inv_cdf
        z = np.array([normal(max(share, 2.0**-25)) for share in shares])
        return np.asarray(10.0 ** ((low - high) * z + high))
    whole = count(space)
    if isinstance(space, LogInteger):
        return np.asarray(np.clip(np.rint(10.0 ** (low + shares * (high - low))), space.low, space.high))
    if whole is not None:
        assert isinstance(space, Integer | Linear)
        return np.asarray(space.low + np.minimum(np.floor(shares * whole), whole - 1) * (space.step or 1))
    return np.asarray(SPACES.rule(space)[1](low + shares * (high - low)))


def _ends(space: Range) -> tuple[float, float]:
    to, _ = SPACES.rule(space)
    if isinstance(space, LogInteger):
        return to(space.low - 0.5), to(space.high + 0.5)
    return to(space.low), to(space.high)


def _plain(value: Any) -> Any:
    return {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else value
