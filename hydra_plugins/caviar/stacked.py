"""`hydra/launcher=stacked`, the default: the jobs of a batch train together, as one program.

Hydra wants its plugins defined here; the work is that of `pipeline/sweeps/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

# It has no settings of its own: `sweep.stack`, `sweep.engine` and the like hold for every sweep.
PLACE = {"_target_": "hydra_plugins.caviar.stacked.Stacked"}
ConfigStore.instance().store(group="hydra/launcher", name="stacked", node=PLACE, provider="caviar")


class Stacked(Launcher):
    """Hands the jobs of a batch to the sweep that the command has begun."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keeps what Hydra gives."""
        self._task: Any = task_function
        self._config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """What each job returns: what is less where it is better, infinite where there is nothing."""
        if not hasattr(self._task, "together"):
            raise ValueError(
                "hydra/launcher=stacked trains the trials of `python -m pipeline`; give another application hydra/launcher=basic"
            )
        returns = []
        for overrides, value in zip(job_overrides, self._task.together(job_overrides, initial_job_idx), strict=True):
            made = JobReturn(overrides=list(overrides), cfg=None, hydra_cfg=self._config, status=JobStatus.COMPLETED)
            made.return_value = value
            returns.append(made)
        return returns
