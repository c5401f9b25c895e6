from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import Data, Dataset, DataShape, Split, describe, load
from pipeline.errors import ConfigError, DataError
from tests.refusal import refused

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(40, 5)).astype(np.float32)
Y = np.arange(40) % 4


def saved(folder: Path, **arrays: object) -> Data:
    np.savez(folder / "a.npz", **arrays)  # type: ignore[arg-type]  # names of arrays, not of options
    return Data(kind="npz", path=str(folder / "a.npz"))


def loaded(folder: Path, **arrays: object) -> Dataset:
    return load(saved(folder, **arrays), seed=0)


def refusal(config: Data) -> str:
    with pytest.raises((DataError, ConfigError)) as error:
        load(config, seed=0)
    return str(error.value)


def test_x_and_y_are_split(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, x=X, y=Y)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (32, 4, 4)
    np.testing.assert_array_equal(dataset.test.x, X[dataset.test.rows])
    np.testing.assert_array_equal(dataset.test.y, Y[dataset.test.rows])
    assert dataset.shape == describe(saved(tmp_path, x=X, y=Y)) == DataShape(input_shape=(5,), classes=4)


def test_a_file_with_parts_of_its_own_keeps_them(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, x_train=X[:20], y_train=Y[:20], x_val=X[20:30], y_val=Y[20:30], x_test=X[30:], y_test=Y[30:])
    np.testing.assert_array_equal(dataset.train.x, X[:20])
    np.testing.assert_array_equal(dataset.validation.x, X[20:30])
    np.testing.assert_array_equal(dataset.test.x, X[30:])
    assert dataset.notes == (
        "the validation part is that of the file; data.split.validation is not used",
        "the test part is that of the file; data.split.test is not used",
    )


def test_floats_are_quantities_and_words_are_classes(tmp_path: Path) -> None:
    regression = loaded(tmp_path, x=X, y=GENERATOR.normal(size=(40, 2)))
    assert (regression.task, regression.shape) == ("regression", DataShape(input_shape=(5,), targets=2))
    assert regression.train.y.shape == (32, 2)
    words = loaded(tmp_path, x=X, y=np.array(["b", "a"])[np.arange(40) % 2])
    assert (words.task, words.class_names) == ("classification", ("a", "b"))


def test_labels_that_do_not_count_from_0_are_numbered_and_keep_their_names(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, x=X, y=10 + 10 * Y)
    assert dataset.class_names == ("10", "20", "30", "40")
    np.testing.assert_array_equal(dataset.train.y, Y[dataset.train.rows])


def test_with_declared_classes_a_label_is_its_own_number(tmp_path: Path) -> None:
    config = saved(tmp_path, x=X, y=np.where(Y == 3, 5, Y))
    dataset = load(Data(kind="npz", path=config.path, classes=6), seed=0)
    assert dataset.shape.classes == 6
    assert set(dataset.train.y) == {0, 1, 2, 5}
    assert dataset.notes[0] == "the training part has no row of 2 of 6 classes: 3, 4"


def test_float64_keeps_its_digits_and_bytes_become_float32(tmp_path: Path) -> None:
    assert loaded(tmp_path, x=X.astype(np.float64), y=Y).train.x.dtype == np.float64
    assert loaded(tmp_path, x=np.ones((40, 2, 2), np.uint8), y=Y).train.x.dtype == np.float32


def test_a_value_that_is_not_finite_is_named_by_row_and_column(tmp_path: Path) -> None:
    x = X.copy()
    x[17, 3] = np.nan
    config = saved(tmp_path, x=x, y=Y)
    assert refusal(config) == f"data.path = {config.path}, x: row 17, column 3 is nan; every number must be finite"
    images = np.zeros((40, 2, 2))
    images[5, 1, 0] = np.inf
    config = saved(tmp_path, x=images, y=Y)
    assert refusal(config) == f"data.path = {config.path}, x: row 5, position (1, 0) is inf; every number must be finite"
    y = GENERATOR.normal(size=40)
    y[9] = np.nan
    config = saved(tmp_path, x=X, y=y)
    assert refusal(config) == f"data.path = {config.path}, y: row 9 is nan; every number must be finite"


def test_missing_arrays_are_named(tmp_path: Path) -> None:
    config = saved(tmp_path, features=X, y=Y)
    hint = "name them x and y, or x_train, y_train, x_test, y_test"
    assert refusal(config) == f"data.path = {config.path}: has no array x, its arrays are features, y; {hint}"


@pytest.mark.parametrize(
    ("arrays", "rule"),
    [
        ({"x": X, "y": Y[:39]}, ": x has 40 rows and y has shape (39,); give one y per row"),
        ({"x": X.astype(str), "y": Y}, ", x: has type <U32, shape (40, 5); it must be an array of numbers with one row per example"),
        ({"x": X, "y": 2 * np.eye(4, dtype=int)[Y]}, None),
        ({"x": X, "y": np.zeros(40, int)}, None),
        (
            {"x_train": X, "y_train": Y, "x_test": X[:, :4], "y_test": Y},
            ": the rows of test have shape [4] and those of training [5]; give them the same shape",
        ),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused(tmp_path: Path, arrays: dict[str, object], rule: str | None) -> None:
    config = saved(tmp_path, **arrays)
    if rule is not None:
        assert refusal(config) == f"data.path = {config.path}{rule}"
    elif np.ndim(arrays["y"]) == 2:
        config = Data(kind="npz", path=config.path, task="classification")
        assert refusal(config) == (
            f"data.path = {config.path}, y: has shape (40, 4); classes are one label per row, or one-hot rows, a single 1 among zeros"
        )
    else:
        assert refusal(config) == "data = npz: all rows are of class 0; nothing can be learned from one class"


def test_a_file_that_is_no_archive_or_holds_pickles_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    config = Data(kind="npz", path=str(path))
    sentence = f"data.path = {path}: is not a whole npz file of plain arrays; write it with numpy.savez"
    path.write_bytes(b"words")
    assert refusal(config) == sentence
    np.savez(path, x=X, y=Y)
    path.write_bytes(path.read_bytes()[:300])
    assert refusal(config) == sentence
    np.savez(path, x=np.array([object()], object), y=Y[:1])
    hint = "which are not read; store words with .astype(str) and numbers with .astype(float)"
    assert refusal(config) == f"data.path = {path}, x: holds Python objects (dtype object), {hint}"


def test_a_declared_task_that_the_file_cannot_have_is_refused(tmp_path: Path) -> None:
    config = saved(tmp_path, x=X, y=Y)
    assert refusal(Data(kind="npz", path=config.path, targets=2, task="regression")) == (
        "data.targets = 2: the data has 1 targets; leave it null to take what is there"
    )


def test_splitting_by_a_share_of_0_leaves_empty_parts(tmp_path: Path) -> None:
    config = saved(tmp_path, x=X, y=Y)
    dataset = load(Data(kind="npz", path=config.path, split=Split(validation=0.0, test=0.0)), seed=0)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (40, 0, 0)


@pytest.mark.parametrize(
    ("stored", "kept"), [(">f8", "f8"), (">f4", "f4"), (">i4", "f8"), (">i2", "f4"), ("longdouble", "f8"), ("f2", "f4")]
)
def test_the_order_of_bytes_decides_no_digits(tmp_path: Path, stored: str, kept: str) -> None:
    x = (X * 1000).astype(stored)
    arrays = loaded(tmp_path, x=x, y=Y.astype(">i8"))
    native = loaded(tmp_path, x=x.astype(np.dtype(stored).newbyteorder("=")), y=Y)
    assert arrays.train.x.dtype == np.dtype(kept) == native.train.x.dtype
    assert (arrays.train.x == native.train.x).all() and (arrays.train.y == native.train.y).all()


@pytest.mark.parametrize("kind", [np.float64, np.int64, np.bool_])
def test_one_hot_rows_are_classes_and_a_class_without_a_row_stays_one(tmp_path: Path, kind: type) -> None:
    x, y = np.zeros((40, 2)), np.arange(40) % 3
    np.savez(tmp_path / "rows.npz", x=x, y=np.eye(4)[y].astype(kind))
    found = load(Data(kind="npz", path=str(tmp_path / "rows.npz")), seed=0)
    assert found.shape.classes == 4 and found.class_names == ("0", "1", "2", "3")
    np.testing.assert_array_equal(found.train.y, y[found.train.rows])
    assert "y is one-hot, taken as 4 classes; data.task=regression takes it as numbers" in found.notes
    numbers = load(Data(kind="npz", path=str(tmp_path / "rows.npz"), task="regression"), seed=0)
    assert numbers.shape.targets == 4


def test_a_constant_target_is_refused_and_one_of_several_is_noted(tmp_path: Path) -> None:
    config = saved(tmp_path, x=X, y=np.full(40, 14.62))
    assert refusal(config) == "data = npz: all rows have the target 14.62; nothing can be learned from one value"
    dataset = loaded(tmp_path, x=X, y=np.stack([np.full(40, 0.5), GENERATOR.normal(size=40)], axis=1))
    assert "target 0 is 0.5 in every row of the training part: nothing can be learned of it" in dataset.notes


def test_channels_that_come_first_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).random((20, 3, 8, 9)), y=np.arange(20) % 2)
    config = Data(kind="npz", path=str(tmp_path / "a.npz"))
    text = "rows of shape [3, 8, 9] are taken as images [H, W, C] of 9 channels; if the channels come first, store x.transpose(0, 2, 3, 1)"
    assert text in load(config, seed=0).notes
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).random((20, 8, 9, 3)), y=np.arange(20) % 2)
    assert load(config, seed=0).notes == ()


def test_the_parts_of_arrays_may_lie_in_files_of_their_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), np.array(["a", "b"])[np.arange(40) % 2]
    np.savez(tmp_path / "train.npz", x=x[:20], y=y[:20])
    np.savez(tmp_path / "test.npz", x=x[20:27], y=y[20:27])
    (tmp_path / "held").mkdir()
    np.save(tmp_path / "held" / "x.npy", x[27:])
    np.save(tmp_path / "held" / "y.npy", np.full(13, "b"))  # one class alone, and it is class 1
    config = Data(
        kind="npz", path=str(tmp_path / "train.npz"), test_path=str(tmp_path / "test.npz"), validation_path=str(tmp_path / "held")
    )
    found = load(config, seed=0)
    assert (len(found.train), len(found.validation), len(found.test)) == (20, 13, 7)
    np.testing.assert_array_equal(found.test.x, x[20:27])
    np.testing.assert_array_equal(found.test.y, np.arange(20, 27) % 2)
    np.testing.assert_array_equal(found.validation.y, np.ones(13))
    assert found.fingerprint != load(replace(config, test_path=None), seed=0).fingerprint


def test_what_a_part_of_its_own_cannot_be(tmp_path: Path) -> None:
    x, y = np.zeros((4, 3)), np.array([0, 1, 0, 1])
    np.savez(tmp_path / "train.npz", x=x + y[:, None], y=y)
    np.savez(tmp_path / "wide.npz", x=np.ones((4, 5)), y=y)
    np.savez(tmp_path / "more.npz", x=x, y=y + 1)
    np.savez(tmp_path / "own.npz", x=x + y[:, None], y=y, x_test=x, y_test=y)
    config = Data(kind="npz", path=str(tmp_path / "train.npz"), test_path=str(tmp_path / "wide.npz"), split=Split(validation=0.0))
    rule = "its rows of x and y have shapes [5] and [], those of training [3] and []; give them the same"
    with refused(f"data.test_path = {tmp_path / 'wide.npz'}: {rule}", DataError):
        load(config, seed=0)
    rule = "y, row 1 is '2', a class that the model does not know, 2 of 4 rows; its classes are 0, 1"
    with refused(f"data.test_path = {tmp_path / 'more.npz'}, {rule}", DataError):
        load(replace(config, test_path=str(tmp_path / "more.npz")), seed=0)
    with refused(f"data.test_path = {tmp_path / 'wide.npz'}: the data has a test part of its own; leave it null", ConfigError):
        load(replace(config, path=str(tmp_path / "own.npz")), seed=0)
    rule = "data=image_folder does not read it; put the images of the parts into folders train/, validation/ and test/ of data.path"
    with refused(f"data.test_path = t: {rule}", ConfigError):
        load(Data(kind="image_folder", path="x", test_path="t"), seed=0)
