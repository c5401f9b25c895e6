"""Hydra's launchers and sweepers, of others and ours, given the jobs of a sweep while Hydra is at work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict, read_write

Job = Callable[[Any], Any]


def launch(job: Job, jobs: Sequence[Sequence[str]], *, folder: Path) -> None:
    """Lets the launcher that is asked for call `job` for each of the jobs, by their overrides; raises whatever it raises."""
    config, context = _given(folder)
    launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=job, config=config)
    launcher.launch([list(texts) for texts in jobs], initial_job_idx=0)


def sweep(job: Job, overrides: Sequence[str], *, folder: Path) -> None:
    """Lets the sweeper that is asked for choose jobs and have them launched; raises whatever it raises."""
    config, context = _given(folder)
    sweeper = Plugins.instance().instantiate_sweeper(hydra_context=context, task_function=job, config=config)
    sweeper.sweep(arguments=[text for text in overrides if not text.lstrip("+~").startswith("hydra")])


def _given(folder: Path) -> tuple[DictConfig, HydraContext]:
    """Hydra's config for a sweep in `folder`, and what goes with it."""
    config = cast(DictConfig, deepcopy(HydraConfig.instance().cfg))
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.sweep.dir = str(folder)
        config.hydra.overrides.hydra.append(f"hydra.sweep.dir='{folder}'")
    return config, HydraContext(config_loader=GlobalHydra.instance().config_loader(), callbacks=Callbacks(config))
