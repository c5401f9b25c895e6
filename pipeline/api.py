"""The public Python interface; `import pipeline` gives these names.

What a function needs is imported inside it: a notebook that only loads a program waits neither for Hydra nor for the tracking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import spec
from pipeline.config.given import given, several
from pipeline.errors import ConfigError, nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pipeline.plots import Panels
    from pipeline.program.model import Model
    from pipeline.program.program import Program
    from pipeline.program.stack import Stack
    from pipeline.sweeps.python import Swept
    from pipeline.tasks.results import Result

Config = Mapping[str, Any]
FROM_PYTHON = {  # task -> what does it from Python
    "predict": "write pipeline.load(RUN).predict(x)",
    "evaluate": "write pipeline.load(RUN).evaluate(x, y)",
    "explain": "write pipeline.compile(cfg).explain()",
}


def compose(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The config of `python -m pipeline OVERRIDES` as nested plain dicts, from any working directory.  Raises ConfigError."""
    from pipeline.config.compose import compose as composed  # noqa: PLC0415

    return composed(overrides)


def compile(cfg: Config) -> Program:
    """The program of `cfg` (a composed config, or nested dicts whose gaps have the defaults).  Loads no data where its shape is known.

    Raises ConfigError, DataError, BackendError.
    """
    from pipeline.program.make import compile_experiment  # noqa: PLC0415

    return compile_experiment(spec.experiment(given(cfg)))


def stack(cfgs: Sequence[Config]) -> Stack:
    """Trials of one structure as one program; `stack.programs[k]` is trial k.  Raises ConfigError where the structures differ."""
    from pipeline.program.make import compile_stack  # noqa: PLC0415

    return compile_stack([spec.experiment(cfg) for cfg in several(cfgs)])


def train(
    cfg: Config, x: Any = None, y: Any = None, *, target: str | Sequence[str] | None = None, sample_weight: Any = None, quiet: bool = False
) -> Result:
    """Trains as the command line would, in the working directory -> metrics, history, run_id, folder and the trained program.

    x, y           rows in memory in place of the config's data: arrays [N, ...] and [N] or [N, T], or a table of pandas, Polars or Arrow
    target         the column of the table to predict, or several, where y is not given beside it
    sample_weight  what each row counts in the loss [N]
    quiet          prints nothing
    Raises PipelineError; Stopped (a KeyboardInterrupt) after Ctrl-C.
    """
    from pipeline.data.sources.frames import in_memory  # noqa: PLC0415
    from pipeline.tasks.context import RunContext  # noqa: PLC0415
    from pipeline.tasks.train import run  # noqa: PLC0415

    cfg, rows = in_memory(given(cfg), x, y, target=target, weight=sample_weight)
    experiment = spec.experiment(cfg)
    _check_trains(experiment.task)
    return run(experiment, cfg, RunContext(), quiet=quiet, given=rows)


def sweep(
    cfg: Config,
    space: Mapping[str, Any],
    *,
    trials: int | None = None,
    method: str | None = None,
    seeds: int | Sequence[int] | None = None,
    search: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    folder: str | Path | None = None,
    quiet: bool = False,
) -> Swept:
    """Trains a trial of `cfg` for each point of `space`, in stacks, in the working directory -> trials, table (a DataFrame), best program.

    space     config path -> values, or a range: "log(1e-4, 1)" (docs/search.md)
    trials    how many points are drawn; without it every combination of the values is run
    method    random, sobol, grid, ablate, tpe, cma_es
    seeds     each point is run with these; a number n means 0 to n - 1
    search    more of hydra.sweeper: {"stages": 3}, {"prune": "halving"}
    settings  more of sweep: {"metric": "loss/validation"}, {"engine": "processes"}
    folder    of the sweep: one that was stopped there goes on
    quiet     prints nothing but what goes wrong
    Raises PipelineError; KeyboardInterrupt after Ctrl-C.
    """
    from pipeline.sweeps import python  # noqa: PLC0415

    return python.sweep(
        cfg, space, trials=trials, method=method, seeds=seeds, search=search, settings=settings, folder=folder, quiet=quiet
    )  # fmt: skip


def load(run: object, *, extensions: Sequence[str] = ()) -> Model:
    """The trained program of a run, given by its folder or MLflow run id; it applies the run's preprocessing.

    extensions  modules that may be imported for it: a run that needs another says so, and nothing is imported
    Raises RunError, ConfigError.
    """
    from pipeline.extend.load import use  # noqa: PLC0415
    from pipeline.tasks import trained  # noqa: PLC0415

    use(extensions)
    return trained.load(trained.find(str(run))).program


def _check_trains(task: str) -> None:
    """Raises ConfigError for a config of another task than training, which `train` would not do."""
    from pipeline.tasks import TASKS  # noqa: PLC0415

    if task not in TASKS:
        raise ConfigError(at="task", got=task, rule="unknown task", hint=nearest(task, TASKS))
    if TASKS[task].function != TASKS["train"].function:
        instead = FROM_PYTHON.get(task, f"give python -m pipeline task={task}")
        raise ConfigError(at="task", got=task, rule="pipeline.train trains", hint=f"{instead}; leave task out to train")


def plot(of: Result | Swept | str | Path, what: str | None = None, *, axes: Axes | None = None) -> Panels:
    """Draws a picture of a run (what `train` gave, a folder, a run id) or of a sweep -> matplotlib's axes, which a notebook shows.

    what   "loss", "accuracy" (curves alone, into `axes` where given), "learning_curves", "confusion_test", "trials", "parameters", ...
    Raises RunError where there is no such picture, and says which there are.
    """
    from pipeline import plots  # noqa: PLC0415

    return plots.plot(of, what, axes=axes)
