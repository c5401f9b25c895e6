"""The one rule that says which task a target is for, and the sentence beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.data import Data, DataShape, load
from pipeline.data.told import told
from pipeline.errors import DataError
from tests.refusal import refused

N = np.arange(400)
AS_QUANTITY = "data.task=regression takes them as a quantity"
AS_CLASSES = "data.task=classification takes them as classes"


@pytest.mark.parametrize(
    ("y", "task", "note"),
    [
        (np.array(["a", "b"])[N % 2], "classification", None),
        (N % 2 == 0, "classification", None),
        (N % 3, "classification", None),
        (np.array([5, 7, 9]), "classification", None),
        ((N % 2).astype(float), "classification", f"2 different whole numbers, taken as classes; {AS_QUANTITY}"),
        (2.0 * (N % 2) - 1, "classification", f"2 different whole numbers, taken as classes; {AS_QUANTITY}"),
        ((N % 2) + 0.5, "regression", f"2 different numbers, taken as a quantity; {AS_CLASSES}"),
        ((N % 30).astype(float), "regression", f"30 different numbers, taken as a quantity; {AS_CLASSES}"),
        (np.array([5.0, 7.0, 9.0]), "regression", f"3 different numbers, taken as a quantity; {AS_CLASSES}"),
        (N % 100, "classification", f"100 different whole numbers that count from 0 without a gap, taken as classes; {AS_QUANTITY}"),
        (18 + N % 70, "regression", f"70 different whole numbers, taken as a quantity; {AS_CLASSES}"),
        (N, "regression", f"400 different whole numbers, taken as a quantity; {AS_CLASSES}"),
    ],
    ids=["words", "truth", "integers", "few rows", "0. and 1.", "-1. and 1.", "halves", "many", "few floats", "numbered", "ages", "own"],
)
def test_the_rule(y: Any, task: str, note: str | None) -> None:
    assert told(y, Data(), "y") == (task, [] if note is None else [f"y: {note}"])
    for declared in ("regression", "classification"):
        assert told(y, Data(task=declared), "y") == (declared, [])  # type: ignore[arg-type]  # a word of the setting
    assert told(y, Data(classes=3), "y") == ("classification", [])


def test_columns_of_0_and_1_are_labels_and_other_columns_quantities() -> None:
    y = np.stack([N % 2, N % 3 == 0, np.zeros(400)], axis=1)
    text = "y: 3 columns of 0 and 1, taken as labels of which a row may have several; data.task=regression takes them as numbers"
    assert told(y, Data(), "y") == told(y.astype(bool), Data(), "y") == ("multilabel", [text])
    assert told(y + 0.5, Data(), "y") == told(2 * y, Data(), "y") == ("regression", [])


def saved(folder: Path, y: Any, **settings: Any) -> Data:
    np.savez(folder / "a.npz", x=np.random.default_rng(0).normal(size=(len(y), 3)), y=y)
    return Data(kind="npz", path=str(folder / "a.npz"), **settings)


def test_zeros_and_ones_stored_as_floats_are_classes(tmp_path: Path) -> None:
    for y in ((N % 2).astype(np.float32), (N % 2).astype(float)[:, None]):
        found = load(saved(tmp_path, y), seed=0)
        assert (found.task, found.class_names, found.train.y.dtype) == ("classification", ("0", "1"), np.int32)
        assert f"y: 2 different whole numbers, taken as classes; {AS_QUANTITY}" in found.notes
    assert load(saved(tmp_path, y, task="regression"), seed=0).task == "regression"


def test_labels_of_arrays(tmp_path: Path) -> None:
    y = np.stack([N % 2, N % 3 == 0], axis=1)
    found = load(saved(tmp_path, y), seed=0)
    assert (found.task, found.class_names) == ("multilabel", ("0", "1"))
    assert found.shape == DataShape(input_shape=(3,), targets=2, labels=True)
    np.testing.assert_array_equal(found.train.y, y[found.train.rows])
    assert load(saved(tmp_path, np.eye(2)[N % 2], task="multilabel"), seed=0).task == "multilabel"
    assert load(saved(tmp_path, y, task="regression"), seed=0).shape == DataShape(input_shape=(3,), targets=2)


def test_a_declared_multilabel_target_with_something_else_is_named(tmp_path: Path) -> None:
    y = np.stack([N % 2, N % 3], axis=1)
    config = saved(tmp_path, y, task="multilabel")
    place = "row 2, column 1 is 2; labels are 0 or 1, data.task=regression takes y as numbers"
    with refused(f"data.path = {config.path}, y: {place}", DataError):
        load(config, seed=0)
    config = saved(tmp_path, N % 2, task="multilabel")
    rule = "has shape (400,), type int64; labels are numbers [N, L], 0 or 1 for each of L labels"
    with refused(f"data.path = {config.path}, y: {rule}", DataError):
        load(config, seed=0)


def test_words_as_objects_get_a_sentence(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 2)), y=np.array(["a", "b", "a"], dtype=object))
    rule = "y: holds Python objects (dtype object), which are not read; store words with .astype(str) and numbers with .astype(float)"
    with refused(f"data.path = {tmp_path / 'a.npz'}, {rule}", DataError):
        load(Data(kind="npz", path=str(tmp_path / "a.npz")), seed=0)
