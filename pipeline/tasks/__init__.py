"""Tasks by name.  A task is a function `run(experiment, config, context)`, imported when it is asked for.

`config` is the plain dict that the experiment was read from. What a task returns is the value of a sweep's job.
Adding a task: one file, one row of TASKS and one option of `conf/task`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from pipeline.config.experiment import TASK_SETTINGS, Experiment
from pipeline.errors import ConfigError, nearest
from pipeline.records import plain, record
from pipeline.tasks.context import RunContext, Senders

__all__ = ["TASKS", "RunContext", "Senders", "Task", "is_training", "run", "selected"]


@record
class Task:
    """Where a task's function lies (`module:function`), and what of the config it works on."""

    function: str
    needs_run: bool = False
    takes_run: bool = False
    takes_resume: bool = False
    needs_demonstration: bool = False


TASKS: dict[str, Task] = {
    "train": Task(function="pipeline.tasks.train:run", takes_resume=True),
    "fork": Task(function="pipeline.tasks.train:run", needs_run=True, takes_run=True),
    "evaluate": Task(function="pipeline.tasks.evaluate:run", needs_run=True, takes_run=True),
    "predict": Task(function="pipeline.tasks.predict:run", needs_run=True, takes_run=True),
    "data": Task(function="pipeline.tasks.data:run"),
    "explain": Task(function="pipeline.tasks.explain:run", takes_run=True),
    "demonstrate": Task(function="pipeline.tasks.demonstrate:run", needs_demonstration=True),
    "check": Task(function="pipeline.tasks.check:run"),
    "lr_range": Task(function="pipeline.tasks.lr_range:run"),
    "doctor": Task(function="pipeline.sweeps.doctor:run", takes_run=True),
    "new": Task(function="pipeline.tasks.new:run"),
    "export": Task(function="pipeline.tasks.export:run", needs_run=True, takes_run=True),
    "compare": Task(function="pipeline.report.compare:run"),
    "report": Task(function="pipeline.report.task:run", takes_run=True),
    "sync": Task(function="pipeline.tasks.sync:run", takes_run=True),
}

FORMATTED = ("export", "report")  # tasks that read `format`


def selected(experiment: Experiment) -> Task:
    """The task that the experiment names, if it has what this task works on and nothing that it would ignore.  Raises ConfigError."""
    name = experiment.task
    if name not in TASKS:
        raise ConfigError(at="task", got=name, rule="unknown task", hint=nearest(name, TASKS))
    task = TASKS[name]
    if task.needs_run and experiment.run is None:
        raise ConfigError(at="run", got=None, rule=f"task={name} works on a trained run", hint="give run=FOLDER or run=MLFLOW_RUN_ID")
    if experiment.run is not None and not task.takes_run:
        hint = "give resume=FOLDER to continue a training" if task.takes_resume else "leave it out"
        raise ConfigError(at="run", got=experiment.run, rule=f"task={name} starts a new run", hint=hint)
    if experiment.step is not None and name != "fork":
        raise ConfigError(at="step", got=experiment.step, rule="only task=fork reads it", hint="leave it out")
    if experiment.rebuild and name != "sync":
        raise ConfigError(at="rebuild", got=True, rule=f"task={name} sends nothing again", hint="give task=sync, or leave it out")
    if experiment.format is not None and name not in FORMATTED:
        raise ConfigError(at="format", got=experiment.format, rule=f"task={name} has one format", hint="leave it out")
    if experiment.extension is not None and name != "check":
        hint = "give task=check, or extensions=[...] to use it"
        raise ConfigError(at="extension", got=experiment.extension, rule="only task=check reads it", hint=hint)
    _of_one_task(experiment)
    _only_own_settings(experiment)
    if experiment.keep and name != "predict":
        raise ConfigError(at="keep", got=list(experiment.keep), rule="only task=predict reads it", hint="leave it out")
    if experiment.resume is not None and not task.takes_resume:
        raise ConfigError(at="resume", got=experiment.resume, rule=f"task={name} continues nothing", hint="give run=... instead")
    if task.needs_demonstration and experiment.demonstration is None:
        raise ConfigError(at="demonstration", got=None, rule=f"task={name} shows one", hint="give +experiment=NAME of a demonstration")
    if experiment.demonstration is not None and not task.needs_demonstration:
        raise ConfigError(at="demonstration", got=experiment.demonstration, rule=f"task={name} shows none", hint="use task=demonstrate")
    return task


def _of_one_task(experiment: Experiment) -> None:
    """Keys of one task, which another would silently ignore."""
    name = experiment.task
    for at, owner, given in (
        ("scope", "doctor", experiment.scope),
        ("verify", "doctor", experiment.verify),
        ("runs", "compare", experiment.runs),
    ):
        if given and name != owner:
            got = list(given) if isinstance(given, tuple) else given
            raise ConfigError(at=at, got=got, rule=f"only task={owner} reads it", hint="leave it out")
    if experiment.scope is not None and experiment.run is not None:
        raise ConfigError(at="scope", got=experiment.scope, rule="run is given too", hint="give one of them")
    if experiment.verify and experiment.run is None:
        hint = "give run=FOLDER or run=MLFLOW_RUN_ID"
        raise ConfigError(at="verify", got=True, rule="verifies what is suggested for a run", hint=hint)
    if name == "compare" and len(experiment.runs) < 2:
        hint = "give runs=[a,b], folders or MLflow run ids"
        raise ConfigError(at="runs", got=list(experiment.runs), rule="task=compare sets two runs or more side by side", hint=hint)


def _only_own_settings(experiment: Experiment) -> None:
    """What is set for another task would be silently ignored."""
    for owner in TASK_SETTINGS:
        given = getattr(experiment, owner)
        if given is not None and experiment.task != owner:
            key, value = next(((key, value) for key, value in plain(given).items() if value != plain(type(given)())[key]), (None, given))
            at, hint = owner if key is None else f"{owner}.{key}", f"give task={owner}, or leave it out"
            raise ConfigError(at=at, got=value, rule=f"only task={owner} reads it", hint=hint)


def run(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> object:
    """Does the task that the experiment names.  Raises PipelineError."""
    return _load(selected(experiment).function)(experiment, config, context)


def is_training(experiment: Experiment) -> bool:
    """Whether the task that the experiment names is the training that can be one of several."""
    return selected(experiment).function == "pipeline.tasks.train:run"


def _load(place: str) -> Any:
    module, _, function = place.partition(":")
    return getattr(importlib.import_module(module), function)
