"""Target columns of a table: several of them, words for truth values, columns that say the target, and what none can be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline.data import Data, DataShape, load
from pipeline.data.settings import Declared
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


def table(folder: Path, text: str, name: str = "a.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_a_target_of_several_words_for_true_and_false_is_two_classes_where_it_is_declared_so(tmp_path: Path) -> None:
    path = table(tmp_path, "x,y\n" + "".join(f"{row % 7},{('True', 'no', 'yes', 'False')[row % 4]}\n" for row in range(40)))
    test = table(tmp_path, "x,y\n1,1\n2,No\n", "test.csv")
    config = Data(kind="table", path=str(path), test_path=str(test), target="y", columns={"y": Declared(kind="boolean")})
    found = load(config, seed=0)
    assert found.class_names == ("false", "true") and found.test is not None
    np.testing.assert_array_equal(found.test.y, [1, 0])


def test_what_no_target_can_be(tmp_path: Path) -> None:
    path = table(tmp_path, "x,y,z\n" + "".join(f"{row},,{row % 2}\n" for row in range(30)))
    with refused(f"data.target = y: no row of {path} has a value in it; give another column", DataError):
        load(Data(kind="table", path=str(path), target="y", missing_target="drop"), seed=0)
    with refused("data.target: names z twice; name each column once", DataError):
        load(Data(kind="table", path=str(path), target=("z", "z")), seed=0)


def test_columns_that_say_the_target_are_told(tmp_path: Path) -> None:
    lines = [f"{row % 7},{'ab'[row % 2]},{'no' if row % 2 else 'yes'},{row % 5}\n" for row in range(40)]
    found = load(Data(kind="table", path=str(table(tmp_path, "x,k,y,w\n" + "".join(lines))), target="y"), seed=0)
    told = "says the target in every row; if that is not known where rows are to be predicted, give"
    assert [note for note in found.notes if told in note] == [f"column k: {told} data.ignore=[k]"]
    lines = [f"{row % 7},{1.8 * (row % 13) + 32:.1f},{row % 13}.0,{row % 5}\n" for row in range(40)]
    path = table(tmp_path, "x,fahrenheit,y,w\n" + "".join(lines))
    found = load(Data(kind="table", path=str(path), target="y", task="regression"), seed=0)
    assert [note for note in found.notes if told in note] == [f"column fahrenheit: {told} data.ignore=[fahrenheit]"]
