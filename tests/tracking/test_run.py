"""A run is found again by what a user has at hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import RunError
from pipeline.tracking.run import find_run
from pipeline.tracking.sender import sync
from pipeline.tracking.store import Store
from pipeline.tracking.tracker import Tracker


@pytest.fixture
def ended(begin: Callable[..., Tracker]) -> tuple[Path, str]:
    tracker = begin()
    tracker.finish("FINISHED")
    return tracker.folder, sync(tracker.folder).sent.run_id


def test_by_folder_id_head_of_id_and_address(ended: tuple[Path, str], project: Path) -> None:
    folder, run_id = ended
    address = f"http://127.0.0.1:5000/#/experiments/1/runs/{run_id}?workflowType=machine_learning"
    for text in (str(folder), str(folder.relative_to(project)), run_id, run_id[:8], f"runs:/{run_id}", address):
        assert find_run(text, project=project) == folder


def test_by_asking_mlflow_for_a_folder_elsewhere(begin: Callable[..., Tracker], project: Path, store: Store) -> None:
    tracker = begin(output="elsewhere/mine")
    tracker.finish("FINISHED")
    run_id = sync(tracker.folder).sent.run_id
    assert find_run(run_id, project=project, store=store) == tracker.folder
    shutil.rmtree(tracker.folder)
    assert refusal(run_id, project, store) == (
        f"run = {run_id}: its folder {tracker.folder} is not on this machine any more, "
        f"and sqlite:///{project}/mlflow.db has no model; tracking.model=best sends it; give another run"
    )


def refusal(text: str, project: Path, store: Store | None = None) -> str:
    with pytest.raises(RunError) as caught:
        find_run(text, project=project, store=store)
    return str(caught.value)


def test_what_is_not_found_is_told(project: Path, store: Store) -> None:
    hint = "give the folder of a run or its MLflow run id"
    assert refusal("runs/none", project) == f"run = runs/none: there is no such folder, and it is no MLflow run id; {hint}"
    assert refusal(".", project) == f"run = .: is no run folder (it has no run.json); {hint}"
    assert refusal("abcdef12", project, store) == (
        "run = abcdef12: no run in runs and multirun has this id; give the folder of a run or its whole MLflow run id"
    )
    unknown = "0" * 32
    assert refusal(unknown, project, store) == (
        f"run = {unknown}: {store.uri} has no such run; give the folder of a run or another tracking.uri"
    )


def test_a_head_of_two_ids_is_told(begin: Callable[..., Tracker], project: Path) -> None:
    folders = [begin().folder for _ in range(2)]
    for index, folder in enumerate(folders):
        (folder / "mlflow.json").write_text(f'{{"run_id": "abcdef{index}0"}}')
    names = ", ".join(folder.name for folder in sorted(folders))
    assert refusal("abcdef", project) == f"run = abcdef: 2 runs begin so ({names}); give more letters of the id"
