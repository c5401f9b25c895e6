"""Several target columns of a table: numbers, or labels of 0 and 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline.data import Data, DataShape, load
from pipeline.errors import ConfigError, DataError
from tests.refusal import refused

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=200).round(3), RNG.normal(size=(200, 2)).round(3)


def written(folder: Path, y: np.ndarray, *rows: str, **settings: object) -> Data:  # type: ignore[type-arg]  # of any type
    lines = [f"{x},{a},{b}" for x, (a, b) in zip(X, y.tolist(), strict=True)]
    (folder / "t.csv").write_text("\n".join(["x,y1,y2", *lines, *rows]) + "\n")
    return Data(kind="table", path=str(folder / "t.csv"), target=("y1", "y2"), **settings)  # type: ignore[arg-type]  # of any setting


def test_several_numbers_are_one_regression(tmp_path: Path) -> None:
    found = load(written(tmp_path, Y), seed=0)
    assert (found.task, found.shape, found.feature_names) == ("regression", DataShape(input_shape=(1,), targets=2), ("x",))
    np.testing.assert_array_equal(found.train.y, Y[found.train.rows])


def test_zeros_and_ones_are_labels_with_the_names_of_their_columns(tmp_path: Path) -> None:
    y = (Y > 0).astype(int)
    found = load(written(tmp_path, y), seed=0)
    assert (found.task, found.class_names) == ("multilabel", ("y1", "y2"))
    np.testing.assert_array_equal(found.train.y, y[found.train.rows])
    assert any(note.startswith("targets y1, y2: 2 columns of 0 and 1, taken as labels") for note in found.notes)
    truths = load(written(tmp_path, np.where(y, "true", "false")), seed=0)
    np.testing.assert_array_equal(truths.train.y, found.train.y)


def test_what_several_targets_cannot_be(tmp_path: Path) -> None:
    config = written(tmp_path, np.where(Y > 0, "red", "blue"))
    with refused("data.target: column y1 holds words, and several targets are numbers, or 0 and 1; predict it alone", DataError):
        load(config, seed=0)
    with refused("data.task = classification: there are several targets; give multilabel, or a single data.target", ConfigError):
        load(written(tmp_path, Y, task="classification"), seed=0)
    path = tmp_path / "t.csv"
    with refused(
        f"data.path = {path}: column y1, line 2 is {Y[0, 0]:g}; labels are 0 or 1, data.task=regression takes them as numbers", DataError
    ):
        load(written(tmp_path, Y, task="multilabel"), seed=0)
    with refused(f"data.target = y3: {path} has no such column; use one of x, y1, y2", DataError):
        load(Data(kind="table", path=str(path), target=("y1", "y3")), seed=0)
    assert "1 of 201 rows have no y1, y2 and are left out" in load(written(tmp_path, Y, "1.5,2.5,", missing_target="drop"), seed=0).notes


def test_they_are_trained_predicted_and_evaluated_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline import cli

    monkeypatch.chdir(tmp_path)
    written(tmp_path, Y)
    small = ["architecture=mlp_small", "training.epochs=2", "training.batch_size=16", "tracking=none"]
    result = pipeline.train(pipeline.compose([*small, "data=table", "data.path=t.csv", "data.target=[y1,y2]"]), quiet=True)
    assert cli.main(["task=predict", f"run={result.folder}", "data.path=t.csv", "output=p.csv"]) == 0
    assert (tmp_path / "p.csv").read_text().splitlines()[0] == "y1,y2"
    assert cli.main(["task=evaluate", f"run={result.folder}", "data.path=t.csv"]) == 0
