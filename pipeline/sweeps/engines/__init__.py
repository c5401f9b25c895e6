"""Engines: where the trials of a sweep are trained.

An engine is a function (doing, trials, settings) -> what came of each, in any order.  It groups the trials into stacks and sees to it that
each is begun, or gone on with, whatever becomes of the others; `doing` has the journal of the sweep, and is told how each ended.

local.py      in this process, stack by stack
processes.py  in processes of this machine
on_ray.py     on a Ray cluster
letters.py    runs sent home from a node that does not see the project's folder
slurm.py      as jobs of SLURM, through submitit
cores.py      cores that processes divide who know nothing of each other
hydra_jobs.py by a launcher of Hydra, a job each
orders.py     what another process is asked to do, and how it does it
driver.py     how orders are given out, read, and given out again

Adding an engine: one file, one row of ENGINES, one word of `SweepSettings.engine`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import cast

from pipeline.config.jobs import launcher
from pipeline.config.sweep_settings import SweepSettings
from pipeline.errors import ConfigError
from pipeline.sweeps.doing import Doing
from pipeline.sweeps.jobs import JobResult, Trial

Engine = Callable[[Doing, Sequence[Trial], SweepSettings], Iterator[JobResult]]

ENGINES = {
    "local": "pipeline.sweeps.engines.local:run",
    "launcher": "pipeline.sweeps.engines.hydra_jobs:run",  # where hydra/launcher is another than ours
    "processes": "pipeline.sweeps.engines.processes:run",
    "ray": "pipeline.sweeps.engines.on_ray:run",
    "slurm": "pipeline.sweeps.engines.slurm:run",
}


def engine(settings: SweepSettings) -> Engine:
    """The engine that a sweep asks for, loaded when it is needed.  Raises ConfigError where two are asked for."""
    name, other = settings.engine, launcher()
    if other != "stacked" and name != "local":
        rule = f"hydra/launcher = {other} is asked to run the trials too"
        raise ConfigError(at="sweep.engine", got=name, rule=rule, hint="leave one of them out")
    module, _, function = ENGINES[name if other == "stacked" else "launcher"].partition(":")
    return cast(Engine, getattr(importlib.import_module(module), function))
