"""A trained run, read back from its folder: what training stores for it, and how a program comes to life again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.config import spec, stored
from pipeline.config.experiment import Experiment
from pipeline.data.prepared import shape_after
from pipeline.errors import ConfigError, RunError
from pipeline.preprocessing import Fitted
from pipeline.preprocessing.target_scale import TargetScale
from pipeline.program.known import Known
from pipeline.program.make import compile_experiment
from pipeline.program.model import Model
from pipeline.tracking.settings import Tracking
from pipeline.training import checkpoint
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.facts import Facts

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A run and what came of it; `program` holds the run's result and applies its preprocessing."""

    folder: Path
    experiment: Experiment
    checkpoint: Checkpoint
    program: Model

    @property
    def facts(self) -> Facts:
        """What was stored of the data."""
        return self.checkpoint.stored.facts


def stored_experiment(folder: Path) -> Experiment:
    """The experiment of a run folder.  Raises RunError, ConfigError."""
    try:
        found = spec.experiment(stored.stored_config(folder))
    except ConfigError as error:
        raise RunError(f"{files.shown(folder / 'config.yaml')}: {error}") from error
    return found


def find(text: str, experiment: Experiment | None = None, *, at: str = "run") -> Path:
    """The run folder that `text` (the config's value `at`) names: a folder or an MLflow run id.  Raises RunError."""
    return stored.found(text, Tracking() if experiment is None else experiment.tracking, at=at)


def load(folder: Path, experiment: Experiment | None = None) -> Trained:
    """The trained run of `folder`; `experiment` takes the place of the stored one.  Raises RunError, BackendError."""
    asked = experiment or stored_experiment(folder)
    found = checkpoint.load(folder / CHECKPOINTS)
    facts, arrays = found.stored.facts, found.stored.arrays
    try:
        fitted, scale = Fitted.restore(arrays, asked.preprocessing.steps, asked.precision), TargetScale.restore(arrays)
        shape = shape_after(facts.shape, fitted)
    except (KeyError, ValueError, TypeError, IndexError) as error:  # of arrays whose digest is right: somebody wrote them so
        rule = f"its checkpoint lacks what the preprocessing of config.yaml was fitted to ({type(error).__name__})"
        raise RunError(f"{files.shown(folder)}: {rule}; restore both from a copy") from error
    program = compile_experiment(asked, shape)
    if program.digest != facts.digest:
        raise RunError(f"{files.shown(folder)}: its network is not the one that config.yaml describes now; restore config.yaml from a copy")
    program.load_state(found.result)
    model = Model(program=program, fitted=fitted, target_scale=scale, known=known_of(facts))
    return Trained(folder=folder, experiment=asked, checkpoint=found, program=model)


def known_of(facts: Facts) -> Known:
    """What a model of the run knows of its columns and classes."""
    return Known(shape=facts.shape, classes=facts.class_names, features=facts.feature_names, encoder=facts.encoder)


def with_overrides(before: Experiment, asked: Experiment, overrides: Iterable[str], allowed: Mapping[str, str], *, task: str) -> Experiment:
    """`before` with what `overrides` (`path=value`) ask for, the values taken from `asked`.

    allowed   path -> the path that is taken over as a whole (`backend.threads` -> `backend`); a path to "" is for the task itself
    Raises ConfigError for any other override that differs from the stored config: that is what was trained.
    """
    result = before
    for text in overrides:
        path, _, value = text.partition("=")
        known = next((name for name in allowed if path == name or path.startswith(f"{name}.")), None)
        if known is None and _at(asked, path) != _at(before, path):
            names = ", ".join(name for name, taken in allowed.items() if taken)
            raise ConfigError(
                at=path, got=value, rule=f"{task} works with the stored config of the run", hint=f"only {names} can be changed"
            )
        if known is not None and allowed[known] and path not in asked.automatic:  # `auto` was settled when the run began
            result = _taken_over(result, asked, allowed[known].split("."))
    return result


def _at(experiment: Experiment, path: str) -> object:
    """The value at a config path; a path that no record has (`experiment=bn`) gives the whole experiment."""
    place: object = experiment
    for name in path.split("."):
        if not hasattr(place, name):
            return experiment
        place = getattr(place, name)
    return place


def _taken_over(result: Any, asked: Any, path: list[str]) -> Any:
    """The record `result` with the field at `path` taken from `asked`."""
    name, *rest = path
    value = getattr(asked, name)
    return replace(result, **{name: _taken_over(getattr(result, name), value, rest) if rest else value})
