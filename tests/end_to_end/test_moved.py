"""A run folder is whole in itself: moved, and gone on with by another store, it comes to the same bits."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.tracking.folder import read_info
from pipeline.training import checkpoint
from tests.end_to_end.conftest import Command

SMALL = ("data=iris", "architecture=mlp_small", "training.batch_size=16")


@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_a_project_is_moved_and_a_run_resumed_there_with_another_store(work: Path, pipeline_command: Command) -> None:
    assert pipeline_command(*SMALL, "training.epochs=6", "output=runs/whole").returncode == 0
    assert pipeline_command(*SMALL, "training.epochs=3", "output=runs/first").returncode == 0
    elsewhere = work / "runs" / "other name"
    shutil.move(work / "runs" / "first", elsewhere)
    uri = f"sqlite:///{work / 'second.db'}"
    done = pipeline_command("resume=runs/other name", "training.epochs=6", f"tracking.uri={uri}", "tracking.kind=mlflow")
    assert (done.returncode, done.stderr) == (0, "")
    assert read_info(elsewhere).uri == uri
    found, whole = (checkpoint.load(folder / "checkpoints") for folder in (elsewhere, work / "runs" / "whole"))
    assert all(np.array_equal(found.state[name], value) for name, value in whole.state.items())
    assert pipeline_command("task=sync", f"tracking.uri={uri}", "rebuild=true").returncode == 0
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    steps = [len(client.get_metric_history(run.info.run_id, "loss/train")) for run in runs]
    assert steps == [6, 6]  # the run that was made without tracking went along


def test_what_may_be_changed_on_resume(work: Path, pipeline_command: Command) -> None:
    early = ("training=early_stopping", "training.early_stopping.patience=1", "training.early_stopping.min_delta=10")
    assert pipeline_command(*SMALL, *early, "training.epochs=9", "output=runs/early").returncode == 0
    refused = pipeline_command("resume=runs/early", "optimizer.learning_rate=0.5")
    assert refused.returncode == 2 and "resume works with the stored config of the run" in refused.stderr
    done = pipeline_command("resume=runs/early", "training=early_stopping", "training.early_stopping.patience=4", "backend.threads=1")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(checkpoint.load(work / "runs" / "early" / "checkpoints").progress.history) == 5
