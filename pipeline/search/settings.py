"""What a search is told, beside its space: `hydra.sweeper.trials=64`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pipeline.errors import ConfigError
from pipeline.records import read, record, setting

AT = "hydra.sweeper"
REPEATS = ("seed", "data.split.fold")  # what runs of one point differ in


@record
class Search:
    """How the trials of a search are found.

    method      random; sobol, which covers the space more evenly; grid; ablate, each factor switched alone; tpe and cma_es, which learn
                from the trials so far
    trials      how many points; grid and ablate know it themselves.  Each is run once for each seed
    seed        of the points, not that of the runs
    repeats     how many seeds each point is run with, from 0; null: those that are given
    batch       of tpe and cma_es: how many points at a time, which do not wait for each other
    stages      from coarse to fine: so many stages of equal size, each about the best of those before
    zoom        the share of its range that a parameter keeps from one stage to the next
    levels      of grid: how many values of a range
    prune       halving and hyperband stop the worse trials at rungs
    eta         one of so many goes on at a rung
    first_rung  how many epochs the first rung has
    space       config path -> what it may be
    params      overrides of every trial, as the basic sweeper has them
    """

    method: Literal["random", "sobol", "grid", "ablate", "tpe", "cma_es"] = setting("random")
    trials: int | None = setting(None, least=1)
    seed: int = setting(0, least=0, most=2**32 - 1)
    repeats: int | None = setting(None, least=1)
    batch: int | None = setting(None, least=1)
    stages: int = setting(1, least=1)
    zoom: float = setting(0.25, above=0, below=1)
    levels: int = setting(5, least=2)
    prune: Literal["none", "halving", "hyperband"] = setting("none")
    eta: int = setting(3, least=2)
    first_rung: int = setting(1, least=1)
    space: Mapping[str, Any] = setting({})
    params: Mapping[str, Any] = setting({})


def read_search(given: Mapping[str, Any]) -> Search:
    """The settings of a search.  Raises ConfigError for what cannot be, or would be ignored in silence."""
    search = read(
        Search, {name: value for name, value in given.items() if name != "_target_" and (value is not None or name != "space")}, at=AT
    )
    knows = search.method in ("grid", "ablate")
    if search.trials is None and not knows:
        raise ConfigError(at=f"{AT}.trials", got=None, rule=f"{search.method} needs to know how many", hint=f"give {AT}.trials=64")
    if search.trials is not None and knows:
        raise ConfigError(at=f"{AT}.trials", got=search.trials, rule=f"{search.method} has as many as its values make", hint="leave it out")
    if search.stages > 1 and search.method not in ("random", "sobol"):
        raise ConfigError(at=f"{AT}.stages", got=search.stages, rule=f"{search.method} has no stages", hint="use random or sobol")
    if search.stages > (search.trials or search.stages):
        raise ConfigError(at=f"{AT}.stages", got=search.stages, rule=f"there are {search.trials} trials", hint="give more trials")
    if search.batch is not None and search.method not in ("tpe", "cma_es"):
        raise ConfigError(at=f"{AT}.batch", got=search.batch, rule=f"{search.method} waits for no results", hint="leave it out")
    return search
