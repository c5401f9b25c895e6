from __future__ import annotations

import re
import resource
import socket
import subprocess
from pathlib import Path

import pytest

from pipeline.tracking.delivery import read_sent
from pipeline.tracking.journal import end_of, read_journal
from tests.end_to_end.conftest import Command, command, environment, only_run

SMALL = ("+experiment=bn", "architecture=mlp_small", "data=iris", "training.batch_size=16", "training.epochs=3")


def runs(work: Path) -> dict[str, tuple[str, dict[str, float], dict[str, str]]]:
    """Name -> status, metrics, tags of what MLflow has."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{work / 'mlflow.db'}")
    found = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    return {run.info.run_name: (run.info.status, run.data.metrics, run.data.tags) for run in found}


@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_a_run_is_in_mlflow_when_the_command_returns_and_its_id_names_it(work: Path, pipeline_process: Command) -> None:
    done = pipeline_process(*SMALL, "tracking.kind=mlflow", tracking=None)
    assert (done.returncode, done.stderr) == (0, "")
    status, metrics, tags = runs(work)["bn architecture=mlp_small data=iris batch_size=16 epochs=3 seed=0"]
    assert status == "FINISHED" and metrics["test/accuracy"] > 0.5
    assert {"pipeline.digest", "pipeline.command", "pipeline.environment", "mlflow.user"} <= set(tags)
    assert "An MLP with batch norm" in tags["mlflow.note.content"] and "| accuracy |" in tags["mlflow.note.content"]
    run_id = read_sent(only_run(work)).run_id
    assert re.search(rf"^MLflow +http.*/runs/{run_id}\?workflowType=machine_learning", done.stdout, re.MULTILINE)
    assert pipeline_process("task=evaluate", f"run={run_id}").returncode == 0


@pytest.mark.filterwarnings("ignore")
def test_a_sweep_is_one_table_and_a_failing_trial_does_not_stop_it(work: Path, pipeline_process: Command) -> None:
    small = ("+experiment=baseline", *SMALL[1:])
    done = pipeline_process("-m", *small, "optimizer=sgd", "optimizer.learning_rate=1e30,0.1", tracking=None)
    assert done.returncode == 3 and len(done.stderr.splitlines()) == 2  # what went wrong, and how it is run again
    told = [line for line in done.stdout.splitlines() if line.startswith(("job", "epoch"))]
    assert len(told) == 1 and re.fullmatch(
        r"job 1: learning_rate=0\.1: loss/train .* accuracy/validation .*; trained 3 epochs; .* s", told[0]
    )
    assert re.search(r"^best run +runs/.*_baseline-learning_rate-0\.1$", done.stdout, re.MULTILINE)
    found = runs(work)
    assert [found[name][0] for name in ("baseline learning_rate=1e+30", "baseline learning_rate=0.1")] == ["FAILED", "FINISHED"]
    (summary,) = (name for name in found if name.startswith("sweep: "))
    assert len({tags["pipeline.sweep"] for _, _, tags in found.values()}) == 1
    assert found[summary][2]["pipeline.best"] == "learning_rate=0.1"
    assert re.search(r"^ 0 .* failed", done.stdout, re.MULTILINE) and re.search(r"^ 1 .* finished", done.stdout, re.MULTILINE)


def test_a_server_that_refuses_is_told_in_one_line_and_nothing_is_written(work: Path, pipeline_process: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: every connection is refused
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        refused = pipeline_process(*SMALL, f"tracking.uri={uri}", tracking=None)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: tracking.uri = {uri}: ") and len(refused.stderr.splitlines()) == 1
    assert list(work.iterdir()) == []


def test_a_disk_that_takes_no_more_ends_the_run_failed_without_half_a_checkpoint(work: Path) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))  # the journal fits, a checkpoint does not

    arguments = command("data=iris", "architecture=mlp", "training.epochs=2", "training.batch_size=16")
    done = subprocess.run(arguments, cwd=work, env=environment(), capture_output=True, text=True, timeout=120, preexec_fn=small_files)
    folder = only_run(work)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"error: {folder.relative_to(work) / 'checkpoints'}")
    assert "cannot be written (file too large)" in done.stderr
    end = end_of(read_journal(folder))
    assert end is not None and end.status == "FAILED"
    assert list((folder / "checkpoints").iterdir()) == []
