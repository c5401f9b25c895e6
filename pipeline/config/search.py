"""Random search: the trials of a sweep, with values drawn from the ranges that a config declares, also from coarse to fine.

    search:
      space:
        optimizer.learning_rate: {kind: log, low: 1.0e-4, high: 1}
        optimizer.momentum: {kind: one_minus_log, low: 0.9, high: 0.999}

`trial=k` puts the k-th values into the config.  They depend on `search.seed`, the path and k alone: more trials change no earlier one.

From coarse to fine: `search.stages=[9,9]` draws nine trials from the whole ranges, the nine after them, and all that follow, from a
`search.zoom` of each range about the best trial so far, on the range's own scale; three numbers make three stages, and so on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate, takewhile
from typing import Any

from pipeline.config.arms import ARM
from pipeline.config.spaces import SPACES, Integer, Space, draw, share_of, zoom
from pipeline.errors import ConfigError
from pipeline.records import read, record, setting

SEARCH, TRIAL = "search", "trial"


@record
class Search:
    """What is searched.

    space   config path -> the values it may have
    seed    of the draws, not that of the runs
    stages  how many trials each stage has, the last one without end; none: one stage
    zoom    the share of its range that a value keeps from one stage to the next
    """

    space: Mapping[str, Space] = setting(kinds=SPACES)
    seed: int = setting(0, least=0, most=2**32 - 1)
    stages: tuple[int, ...] = setting((), least=1)
    zoom: float = setting(0.25, above=0, below=1)


@record
class Tried:
    """A trial of this sweep that is over.

    config  the plain config that it ran
    score   less is better; infinite where it did not finish
    """

    trial: int
    config: Mapping[str, Any]
    score: float


def stage_of(search: Search, trial: int) -> int:
    """The stage, from 0, of a trial: those of one stage do not wait for each other."""
    return sum(trial >= first for first in list(accumulate(search.stages))[:-1])


def declared(config: Mapping[str, Any]) -> tuple[Search, int] | None:
    """The search of a config and the number of its trial; None for a run that is no trial.  Raises ConfigError."""
    entry, trial = config.get(SEARCH), config.get(TRIAL)
    if trial is None:
        return None
    if not entry:
        raise ConfigError(at=TRIAL, got=trial, rule="the experiment declares no search", hint="leave it out")
    if not isinstance(trial, int) or isinstance(trial, bool) or trial < 0:
        raise ConfigError(at=TRIAL, got=trial, rule="must be a whole number from 0", hint="give trial=0")
    if isinstance(entry, Mapping) and "space" in entry and not isinstance(entry["space"], Mapping):
        raise ConfigError(at=f"{SEARCH}.space", got=entry["space"], rule="must be a mapping of config paths to ranges")
    search = read(Search, entry, at=SEARCH)
    for path, space in search.space.items():
        if space.low >= space.high:
            at = f"{SEARCH}.space.{path}"
            raise ConfigError(at=f"{at}.high", got=space.high, rule=f"must be above {at}.low, which is {space.low}")
    return search, trial


def with_trial(config: Mapping[str, Any], overrides: Sequence[str] = (), tried: Sequence[Tried] = ()) -> dict[str, Any]:
    """The config with the values of its trial put in; `search` and `trial` are left out.

    overrides   what the user asks for as `path=value`: a search may not overrule it silently
    tried       the trials of the sweep so far, in the order in which they ran: a later stage is drawn about their best
    Raises ConfigError.
    """
    result = {name: value for name, value in config.items() if name not in (SEARCH, TRIAL)}
    found = declared(config)
    if found is None:
        return result
    search, trial = found
    tried = [each for each in tried if each.config.get(ARM) == config.get(ARM)]
    asked = {text.partition("=")[0]: text.partition("=")[2] for text in overrides}
    for path, space in _narrowed(search, trial, tried).items():
        if path in asked:
            raise ConfigError(
                at=path, got=asked[path], rule="the search draws it", hint="give hydra.mode=RUN for one run without the search"
            )
        value = draw(space, trial + 1, seed=search.seed, path=path)[trial]
        value = float(f"{value:.6g}")  # digits enough to run it again by hand
        result = _put(result, path.split("."), int(value) if isinstance(space, Integer) else value)
    return result


def at_the_end(search: Search, tried: Sequence[Tried]) -> list[str]:
    """A note for each path whose best value lies within a twentieth of an end of its range: what is better may lie beyond."""
    best = _best(tried)
    if best is None:
        return []
    notes = []
    for path, space in search.space.items():
        value = _get(best, path)
        if not 0.05 <= share_of(space, value) <= 0.95:
            notes.append(f"the best {path}, {value:g}, lies at an end of {space.low:g} to {space.high:g}: widen search.space.{path}")
    return notes


def _narrowed(search: Search, trial: int, tried: Sequence[Tried]) -> Mapping[str, Space]:
    """The spaces of the stage that `trial` belongs to.

    A stage is decided by the trials that ran before the first of its own, so that other seeds of its trials have the same values.
    """
    spaces = search.space
    for first in list(accumulate(search.stages))[:-1]:
        if trial < first:
            break
        best = _best(list(takewhile(lambda each, end=first: each.trial < end, tried)))  # type: ignore[misc]  # a default binds `first`
        if best is None:
            rule = f"is drawn about the best of the trials before trial {first}, and none of them finished in this sweep"
            raise ConfigError(at=TRIAL, got=trial, rule=rule, hint="run them together, from trial 0 on")
        spaces = {path: zoom(space, _get(best, path), share=search.zoom) for path, space in spaces.items()}
    return spaces


def _best(tried: Sequence[Tried]) -> Mapping[str, Any] | None:
    """The config of the trial with the least mean score over its runs (its seeds); None where none finished."""
    runs: dict[int, list[Tried]] = {}
    for each in tried:
        runs.setdefault(each.trial, []).append(each)
    scores = {trial: math.fsum(each.score for each in of_it) / len(of_it) for trial, of_it in runs.items()}
    first = min(scores, key=lambda trial: scores[trial], default=None)
    return None if first is None or not math.isfinite(scores[first]) else runs[first][0].config


def _get(config: Mapping[str, Any], path: str) -> float:
    value: Any = config
    for key in path.split("."):
        value = value[key]
    return float(value)


def _put(config: Mapping[str, Any], keys: Sequence[str], value: object) -> dict[str, Any]:
    if len(keys) == 1:
        return {**config, keys[0]: value}
    inner = config.get(keys[0])
    return {**config, keys[0]: _put(inner if isinstance(inner, Mapping) else {}, keys[1:], value)}
