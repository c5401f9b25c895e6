"""The `tracking` group."""

from __future__ import annotations

import os
from typing import Literal

from pipeline.records import record, setting
from pipeline.text import hidden


@record
class Tracking:
    """Where runs are recorded.  kind none keeps the run folder and its journal only.

    uri, experiment  null and `default`: what MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME say, else mlflow.db of the working directory
    model            which trained models MLflow gets: best, of a run its own, of a sweep the best trial's; all, each trial's; none
    register         the name in the registry of which that model, in a sweep the best, becomes a version; null: none
    checkpoints      whether it gets the checkpoints, too, with which resume=ID goes on elsewhere
    system_metrics   how busy the machine is, every ten seconds; null: as MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING says
    """

    kind: Literal["mlflow", "none"] = setting("mlflow")
    uri: str | None = setting(None)
    experiment: str = setting("default")
    model: Literal["best", "all", "none"] = setting("best")
    register: str | None = setting(None)
    checkpoints: bool = setting(False)
    system_metrics: bool | None = setting(None)


def address(settings: Tracking) -> str | None:
    """The address of the store where one is given."""
    return settings.uri or os.environ.get("MLFLOW_TRACKING_URI") or None


def experiment(settings: Tracking) -> str:
    """The name of the experiment."""
    return settings.experiment if settings.experiment != "default" else os.environ.get("MLFLOW_EXPERIMENT_NAME") or "default"


def watches(settings: Tracking) -> bool:
    """Whether the machine is watched."""
    if settings.system_metrics is not None:
        return settings.system_metrics
    return os.environ.get("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "").lower() in ("true", "1")


def from_environment(settings: Tracking) -> str:
    """What to say of settings that the environment gives; empty where it gives none."""
    if settings.kind == "none":
        return ""
    given = {"MLFLOW_TRACKING_URI": settings.uri is None, "MLFLOW_EXPERIMENT_NAME": settings.experiment == "default"}
    taken = [f"{name}={hidden(os.environ[name])}" for name, wanted in given.items() if wanted and os.environ.get(name)]
    return f"tracking as the environment says: {', '.join(taken)}" if taken else ""
