"""The sweeper `search` for launchers of others: asks for points, launches the jobs of those that do not wait for each other, and so on.

Under `python -m pipeline` the sweep is run by pipeline/sweeps/run.py, which knows stacks, rungs and how to go on.  In another application
of Hydra its launcher takes each batch whole, and the jobs return what they are judged by, less being better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.plugins.launcher import Launcher
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig

# What `pipeline/search/settings.py` reads; docs/search.md says what each is.
SETTINGS: dict[str, Any] = {
    "_target_": "hydra_plugins.caviar.search.SearchSweeper",
    "method": "random",
    "trials": None,
    "seed": 0,
    "repeats": None,
    "batch": None,
    "stages": 1,
    "zoom": 0.25,
    "levels": 5,
    "prune": "none",
    "eta": 3,
    "first_rung": 1,
    "space": {},
    "params": {},
}
ConfigStore.instance().store(group="hydra/sweeper", name="search", node=SETTINGS, provider="caviar")


class SearchSweeper(Sweeper):
    """hydra/sweeper=search; what it is given is the node hydra.sweeper."""

    def __init__(self, **given: Any) -> None:
        self.given = given
        self.launcher: Launcher | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `sweep`."""
        from hydra.core.plugins import Plugins  # noqa: PLC0415  # Hydra loads this module at every start

        self.config = config
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Launches the jobs of the search that `arguments` ask for -> what came back, batch by batch.  Raises ConfigError."""
        from omegaconf import OmegaConf  # noqa: PLC0415

        from pipeline.config.searched import searched  # noqa: PLC0415
        from pipeline.errors import ConfigError  # noqa: PLC0415
        from pipeline.search.points import ask  # noqa: PLC0415
        from pipeline.search.told import Told  # noqa: PLC0415

        assert self.launcher is not None
        asked = searched(_plain(OmegaConf.create(self.given)), arguments, ours=False)
        if asked.search.prune != "none":
            hint = "leave it out, or run python -m pipeline"
            raise ConfigError(at="hydra.sweeper.prune", got=asked.search.prune, rule="a launcher runs each job to its end", hint=hint)
        runs, told, returned = len(asked.repeats), list[Told](), list[Sequence[Any]]()
        while points := ask(asked.search, asked.parameters, told):
            jobs = [list(asked.texts(point, run)) for point in points for run in range(runs)]
            self.validate_batch_is_legal(jobs[:1])
            made = self.launcher.launch(jobs, initial_job_idx=len(told) * runs)
            returned.append(made)
            for k, point in enumerate(points):
                told.append(Told(point=point, scores=_scores(made[k * runs : (k + 1) * runs])))
        return returned


def _plain(given: Any) -> Mapping[str, Any]:
    from omegaconf import OmegaConf  # noqa: PLC0415

    return OmegaConf.to_container(given, resolve=True)  # type: ignore[return-value]  # a mapping, as it was made from one


def _scores(jobs: Sequence[JobReturn]) -> tuple[float, ...]:
    """The means of what the jobs of a point returned, less being better; infinite where one failed."""
    from hydra.core.utils import JobStatus  # noqa: PLC0415

    values = [job.return_value if job.status == JobStatus.COMPLETED else float("inf") for job in jobs]
    rows = [[float(entry) for entry in value] if isinstance(value, list | tuple) else [_number(value)] for value in values]
    width = max(map(len, rows))
    return tuple(sum(row[k] if k < len(row) else float("inf") for row in rows) / len(rows) for k in range(width))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("inf")
