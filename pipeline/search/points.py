"""The points of a search, from its seed and their number alone: a search that goes on has the same, and more trials change no earlier one.

`ask` gives the points that follow those told of, as many as do not wait for each other; none where the search is over.
"""

# P parameters that vary by themselves, n points
from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from pipeline.errors import ConfigError
from pipeline.search.models import cma_es, tpe
from pipeline.search.parameters import Parameter, Point, axes, point_of
from pipeline.search.settings import AT, Search
from pipeline.search.spaces import Array, Choice, Value, at, grid, shares, zoom
from pipeline.search.told import Told, best

Parameters = tuple[Parameter, ...]
Method = Callable[[Search, Parameters, int, int, Sequence[Told]], list[Point]]  # the points from number `first` on, `count` of them


def ask(search: Search, parameters: Parameters, told: Sequence[Told]) -> list[Point]:
    """The points after those told of that do not wait for each other.  Raises ConfigError."""
    first = len(told)
    _, end = _part(search, parameters, first, told)
    if end <= first:
        return []
    narrowed = _narrowed(search, parameters, first, told)
    return METHODS[search.method](search, narrowed, first, end - first, told)


def start(search: Search, parameters: Parameters) -> str:
    """How many points of a model come before it has anything to learn from, and where from, in words; empty for other methods."""
    drawn = {"tpe": "quasi-random (sobol)", "cma_es": "drawn at random about the middle"}.get(search.method)
    if drawn is None or search.trials is None:
        return ""
    first = min(search.trials, _batch(search, parameters))
    if first < search.trials:
        return f", the first {first} {drawn}, the others from what these show"
    return f", all {drawn}: the first {_batch(search, parameters)} come before there is anything to learn from"


def _part(search: Search, parameters: Parameters, first: int, told: Sequence[Told]) -> tuple[int, int]:
    """First and end of the stage or batch that point `first` belongs to; an end that is not above it where the search is over."""
    if search.method in ("grid", "ablate"):
        return first, 0 if first else len(METHODS[search.method](search, parameters, 0, 0, told))
    assert search.trials is not None
    if first >= search.trials:
        return first, first
    if search.method in ("tpe", "cma_es"):
        return first, min(search.trials, first + _batch(search, parameters) - first % _batch(search, parameters))
    ends = [search.trials * (stage + 1) // search.stages for stage in range(search.stages)]
    stage = next(number for number, end in enumerate(ends) if first < end)
    return ([0, *ends][stage], ends[stage])


def _batch(search: Search, parameters: Parameters) -> int:
    """How many points at a time: 16 with tpe; with cma_es, which learns from one generation to the next, 4 + 3 ln P (Hansen 2016)."""
    if search.batch is not None:
        return search.batch
    return 16 if search.method == "tpe" else 4 + int(3 * math.log(len(axes(parameters))))


def _narrowed(search: Search, parameters: Parameters, first: int, told: Sequence[Told]) -> Parameters:
    """The spaces of the stage that point `first` belongs to, each stage decided by the points before its own first one."""
    done = 0
    while search.stages > 1:
        begin, end = _part(search, parameters, done, told)
        if first < end or end <= begin:
            break
        done = end
        found = best(told[:done])
        if found is None:
            rule = f"a stage is drawn about the best of the {done} trials before, and none of them finished"
            raise ConfigError(at=f"{AT}.stages", got=search.stages, rule=rule, hint="widen the space, or lower its upper ends")
        parameters = tuple(
            replace(each, space=zoom(each.space, found.point[each.path], share=search.zoom)) if each.path in found.point else each
            for each in parameters
        )
    return parameters


def _random(search: Search, parameters: Parameters, first: int, count: int, told: Sequence[Told]) -> list[Point]:
    """Each parameter by itself, by its path: another parameter changes no value of this one."""
    drawn = {name: shares(count, seed=search.seed, path=name, first=first) for name in axes(parameters)}
    return _points(parameters, drawn, count)


def _sobol(search: Search, parameters: Parameters, first: int, count: int, told: Sequence[Told]) -> list[Point]:
    """Sobol's sequence, scrambled by Owen (1998): points that leave no large hole, best where their number is a power of 2."""
    from scipy.stats import qmc  # noqa: PLC0415  # only this method needs it

    names = list(axes(parameters))
    sequence = qmc.Sobol(len(names), scramble=True, rng=np.random.default_rng(search.seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a number is no power of 2: more points are still points
        if first:
            sequence.fast_forward(first)
        rows = sequence.random(count)  # [n, P]
    return _points(parameters, dict(zip(names, rows.T, strict=True)), count)


def _points(parameters: Parameters, drawn: Mapping[str, Array], count: int) -> list[Point]:
    """The points at shares [n] of each axis."""
    return [point_of(parameters, values_at(parameters, {name: float(own[k]) for name, own in drawn.items()})) for k in range(count)]


def values_at(parameters: Parameters, share: Mapping[str, float]) -> dict[str, Value]:
    """The value of every parameter at a share of each axis."""
    return {each.path: at(each.space, share[name]) for name, own in axes(parameters).items() for each in own}


def _grid(search: Search, parameters: Parameters, first: int, count: int, told: Sequence[Told]) -> list[Point]:
    """Every combination, the first parameter the slowest; of a range `levels` values."""
    lines = []
    for own in axes(parameters).values():
        columns = [grid(each.space, search.levels) if len(own) == 1 else grid(each.space, 2**31) for each in own]
        lines.append([dict(zip([each.path for each in own], row, strict=True)) for row in zip(*columns, strict=True)])
    whole = [point_of(parameters, {path: value for part in parts for path, value in part.items()}) for parts in product(*lines)]
    return list({tuple(point.items()): point for point in whole}.values())


def _ablate(search: Search, parameters: Parameters, first: int, count: int, told: Sequence[Told]) -> list[Point]:
    """The first value of each as the baseline, and each other value of one of them alone."""
    ranges = [each.path for each in parameters if not isinstance(each.space, Choice)]
    if ranges:
        hint = f"give values, that of the baseline first: {ranges[0]}=0.1,0.01"
        raise ConfigError(at=f"{AT}.space", got=ranges[0], rule="ablate switches between values, and this is a range", hint=hint)
    return corners(parameters)


def corners(parameters: Parameters) -> list[Point]:
    """The first value of each parameter, the low end of a range, and each other value of one choice alone."""
    base = {each.path: at(each.space, 0.0) for each in parameters}
    points = [point_of(parameters, base)]
    for own in axes(parameters).values():
        if all(isinstance(each.space, Choice) for each in own):
            for row in zip(*[grid(each.space, 2)[1:] for each in own], strict=True):
                points.append(point_of(parameters, {**base, **dict(zip([each.path for each in own], row, strict=True))}))
    return list({tuple(point.items()): point for point in points}.values())


def _tpe(search: Search, parameters: Parameters, first: int, count: int, told: Sequence[Told]) -> list[Point]:
    if first == 0:  # there is nothing to learn from yet
        return _sobol(search, parameters, first, count, told)
    return [point_of(parameters, values_at(parameters, each)) for each in tpe(search.seed, parameters, count, told)]


def _cma_es(search: Search, parameters: Parameters, first: int, count: int, told: Sequence[Told]) -> list[Point]:
    made = cma_es(search.seed, parameters, _batch(search, parameters), told)
    return [point_of(parameters, values_at(parameters, each)) for each in made[:count]]


METHODS: dict[str, Method] = {
    "random": _random,
    "sobol": _sobol,
    "grid": _grid,
    "ablate": _ablate,
    "tpe": _tpe,
    "cma_es": _cma_es,
}
