"""A trained run on rows of one's own: measured on a labelled file, predicted with columns kept, found from another folder, gone on with."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tests.end_to_end.conftest import Command

TRAIN = (
    "data=table",
    "data.path=pets.csv",
    "data.target=kind",
    "data.ignore=[id]",
    "architecture=linear",
    "training.epochs=30",
    "output=pets",
)


@pytest.fixture
def pets(work: Path, pipeline_command: Command) -> Path:
    """A run in pets/ on a table whose weight tells cats from dogs."""
    rng = np.random.default_rng(0)
    weights = np.r_[rng.normal(4, 0.5, 40), rng.normal(20, 2, 40)].round(2)
    lines = [f"{n},{w},{'ab'[n % 2]},{'cat' if n < 40 else 'dog'}" for n, w in enumerate(weights)]
    (work / "pets.csv").write_text("\n".join(["id,weight,farm,kind", *lines]) + "\n")
    done = pipeline_command(*TRAIN)
    assert done.returncode == 0, done.stderr
    return work / "pets"


def test_a_run_is_measured_on_a_labelled_file_whose_columns_are_reordered(work: Path, pipeline_command: Command, pets: Path) -> None:
    (work / "own.csv").write_text("kind,farm,weight\ncat,a,3.9\nDog,b,21\ndog,c,4.1\ncat,a,4.2\n")
    done = pipeline_command("task=evaluate", "run=pets", "data.path=own.csv")
    assert done.returncode == 0, done.stderr
    assert "note: own.csv: column farm: 1 row with a category that the training part does not have ('c', line 4)" in done.stdout
    kept = json.loads((pets / "evaluation-own.json").read_text())
    assert kept["metrics"]["accuracy/test"] == 0.75
    assert kept["test"]["confusion"] == [[2, 0], [1, 1]]
    assert not (pets / "evaluation.json").exists()
    (work / "moved.csv").write_text((work / "pets.csv").read_text())  # the run's own data are known wherever they lie
    assert pipeline_command("task=evaluate", "run=pets", "data.path=moved.csv").returncode == 0
    assert "accuracy/train" in json.loads((pets / "evaluation.json").read_text())["metrics"]


def test_a_labelled_file_says_its_own_decimal_mark(work: Path, pipeline_command: Command, pets: Path) -> None:
    (work / "own.csv").write_text("kind;farm;weight\ncat;a;3,9\ndog;b;21,5\ndog;a;20,1\ncat;b;4,2\n")
    done = pipeline_command("task=evaluate", "run=pets", "data.path=own.csv", "data.decimal=','")
    assert done.returncode == 0, done.stderr
    assert json.loads((pets / "evaluation-own.json").read_text())["metrics"]["accuracy/test"] == 1.0
    refused = pipeline_command("task=evaluate", "run=pets", "data.path=own.csv", "data.decimal='.'")
    assert refused.returncode == 2 and "column weight, line 2 is '3,9'" in refused.stderr


def test_a_file_without_labels_is_refused(work: Path, pipeline_command: Command, pets: Path) -> None:
    (work / "own.csv").write_text("farm,weight\na,3.9\n")
    refused = pipeline_command("task=evaluate", "run=pets", "data.path=own.csv")
    assert refused.returncode == 2
    assert refused.stderr == "error: data.path = own.csv: has no column kind, the target of the model; give a labelled table\n"


def test_arrays_are_measured_on_arrays(work: Path, pipeline_command: Command) -> None:
    rng = np.random.default_rng(0)
    x = np.r_[rng.normal(-1, 0.2, (40, 2)), rng.normal(1, 0.2, (40, 2))]
    np.savez(work / "a.npz", x=x, y=np.repeat([3, 7], 40))
    np.savez(work / "b.npz", x=x[:50], y=np.full(50, 7))
    done = pipeline_command("data=npz", "data.path=a.npz", "architecture=linear", "training.epochs=200", "output=r")
    assert done.returncode == 0, done.stderr
    assert pipeline_command("task=evaluate", "run=r", "data.path=b.npz").returncode == 0
    assert json.loads((work / "r" / "evaluation-b.json").read_text())["metrics"]["accuracy/test"] == 0.2


def test_predictions_stand_beside_the_columns_that_are_kept(work: Path, pipeline_command: Command, pets: Path) -> None:
    (work / "new.csv").write_text('id,weight,farm\n007,3.9,a\n"x, 1",21,b\n,22,b\n')
    done = pipeline_command("task=predict", "run=pets", "data.path=new.csv", "output=out.csv", "keep=[row,id]")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((work / "out.csv").read_text().splitlines()))
    assert list(rows[0]) == ["row", "id", "class", "probability_cat", "probability_dog"]
    assert [(row["row"], row["id"], row["class"]) for row in rows] == [("1", "007", "cat"), ("2", "x, 1", "dog"), ("3", "", "dog")]
    refused = pipeline_command("task=predict", "run=pets", "data.path=new.csv", "output=more.csv", "keep=[idd]")
    assert refused.stderr == "error: keep = idd: new.csv has no such column; did you mean id?\n"
    assert not (work / "more.csv").exists()
    assert pipeline_command("keep=[id]").stderr == "error: keep = ['id']: only task=predict reads it; leave it out\n"


def test_a_run_finds_its_data_from_another_folder(
    work: Path, pipeline_command: Command, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work / "elsewhere").mkdir()
    monkeypatch.chdir(work / "elsewhere")
    assert pipeline_command("task=evaluate", "run=../pets").returncode == 0
    (work / "pets.csv").unlink()
    refused = pipeline_command("task=evaluate", "run=../pets")
    told = "no such file; its folder holds no files; check the path (it is relative to the current folder)"
    assert refused.stderr == f"error: data.path = pets.csv: {told}\n"


def test_a_schedule_that_is_planned_anew_is_told(pipeline_command: Command, pets: Path) -> None:
    done = pipeline_command(*TRAIN[:-1], "output=planned", "schedule=cosine", "training.epochs=2")
    assert done.returncode == 0, done.stderr
    resumed = pipeline_command("resume=planned", "training.epochs=4")
    told = "goes on after the checkpoint of epoch 2; schedule cosine is planned anew over the longer training: the rate jumps"
    assert told in resumed.stdout
    assert "planned anew" not in pipeline_command("resume=pets", "training.epochs=31").stdout
