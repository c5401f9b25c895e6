"""A run folder is whole in itself: moved, and gone on with by another store, it comes to the same bits."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.tracking.folder import read_info
from pipeline.tracking.journal import Start, read_journal
from pipeline.training import checkpoint
from tests.end_to_end.conftest import Command, command, environment

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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_a_run_that_is_killed_moved_resumed_with_another_store_and_rebuilt_is_as_one_that_was_not(
    work: Path, pipeline_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs = "training.epochs=1500"
    assert pipeline_command(*SMALL, epochs, "output=runs/whole").returncode == 0
    training = subprocess.Popen(command(*SMALL, epochs, "output=runs/killed", tracking="mlflow"), cwd=work, env=environment())
    journal = work / "runs" / "killed" / "journal.jsonl"
    while not (journal.exists() and journal.read_bytes().count(b'"metric"') > 60):
        assert training.poll() is None, "it ended before it could be killed"
        time.sleep(0.005)
    training.kill()
    assert training.wait() == -signal.SIGKILL
    elsewhere = work / "another place"
    elsewhere.mkdir()
    shutil.move(work / "runs" / "killed", elsewhere / "moved")
    monkeypatch.chdir(elsewhere)
    second, third = (f"sqlite:///{elsewhere / name}.db" for name in ("second", "third"))
    done = pipeline_command("resume=moved", f"tracking.uri={second}")
    assert (done.returncode, done.stderr) == (0, "")
    moved, whole = elsewhere / "moved", work / "runs" / "whole"
    found, wanted = (checkpoint.load(folder / "checkpoints") for folder in (moved, whole))
    assert found.state.keys() == wanted.state.keys()
    assert all(found.state[name].tobytes() == value.tobytes() for name, value in wanted.state.items())
    for folder in (moved, whole):
        done = pipeline_command("task=sync", f"run={folder}", f"tracking.uri={third}", "rebuild=true")
        assert (done.returncode, done.stderr) == (0, "")
    ours, theirs = (rows(third, read_journal(folder)[0]) for folder in (moved, whole))
    assert ours == theirs and len(ours["loss/train"]) == 1500


def rows(uri: str, start: object) -> dict[str, list[tuple[int, float]]]:
    """The metrics of the run that begins with `start` as MLflow has them: (step, value) by name, but for those of the machine and clock."""
    from mlflow.tracking import MlflowClient

    assert isinstance(start, Start)
    client = MlflowClient(uri)
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    (run,) = [run for run in runs if start.uid in run.data.tags.values()]
    assert run.info.status == "FINISHED"
    names = [name for name in run.data.metrics if not name.startswith(("system/", "time/"))]
    return {name: [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)] for name in names}


def test_what_may_be_changed_on_resume(work: Path, pipeline_command: Command) -> None:
    early = ("training=early_stopping", "training.early_stopping.patience=1", "training.early_stopping.min_delta=10")
    assert pipeline_command(*SMALL, *early, "training.epochs=9", "output=runs/early").returncode == 0
    refused = pipeline_command("resume=runs/early", "optimizer.learning_rate=0.5")
    assert refused.returncode == 2 and "resume works with the stored config of the run" in refused.stderr
    done = pipeline_command("resume=runs/early", "training=early_stopping", "training.early_stopping.patience=4", "backend.threads=1")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(checkpoint.load(work / "runs" / "early" / "checkpoints").progress.history) == 5


def test_a_config_that_was_changed_by_hand_is_told(work: Path, pipeline_command: Command) -> None:
    """Another seed would part the rows anew: the test part would be rows that were trained on."""
    first = pipeline_command("data=two_moons", "training.epochs=1", "tracking=none", "output=runs/a")
    assert first.returncode == 0
    path, hint = work / "runs" / "a" / "config.yaml", "restore it from a copy, and ask for other values with task=fork"
    whole = path.read_text()
    path.write_text(whole.replace("seed: 0\n", "seed: 1\n", 1))
    for words in (("resume=runs/a", "training.epochs=2"), ("task=fork", "run=runs/a", "training.epochs=2")):
        done = pipeline_command(*words, "tracking=none")
        rule = "seed = 1: the run began with 0, as its journal says, and the file was changed since"
        assert (done.returncode, done.stderr) == (2, f"error: runs/a/config.yaml: {rule}; {hint}\n")
    path.write_text(f"{whole}seed: 2\n")
    done = pipeline_command("task=evaluate", "run=runs/a")
    assert done.returncode == 2 and "runs/a/config.yaml: cannot be read (seed is given twice" in done.stderr
