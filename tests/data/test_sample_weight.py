"""A weight for each row: a column of a table, an array of an archive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.data import Data, load
from pipeline.errors import ConfigError, DataError


def table(tmp_path: Path, weights: list[str]) -> Data:
    path = tmp_path / "rows.csv"
    lines = [f"{i},{weight},{'ab'[i % 2]}" for i, weight in enumerate(weights)]
    path.write_text("\n".join(["size,w,kind", *lines]) + "\n")
    return Data(kind="csv", path=str(path), target="kind", sample_weight="w")


def test_the_column_goes_with_its_rows_and_is_no_input(tmp_path: Path) -> None:
    found = load(table(tmp_path, [f"{i / 4}" for i in range(20)]), seed=0)
    assert found.feature_names == ("size",) and found.encoder is not None and found.encoder.ignore == ("w",)
    for part in (found.train, found.validation, found.test):
        np.testing.assert_array_equal(part.weight, part.rows / 4)
    assert f"rows count by w in the loss: its mean over the training part is {(found.train.rows / 4).mean():.3g}" in found.notes


def test_the_fingerprint_knows_the_weights(tmp_path: Path) -> None:
    first, second = (load(table(tmp_path, [f"{i + shift}" for i in range(20)]), seed=0) for shift in (0, 1))
    assert first.fingerprint != second.fingerprint


@pytest.mark.parametrize(("cell", "found"), [("-1", "is -1"), ("", "has no value")], ids=["negative", "missing"])
def test_a_cell_that_is_no_weight_is_named_by_its_line(tmp_path: Path, cell: str, found: str) -> None:
    with pytest.raises(DataError) as caught:
        load(table(tmp_path, ["1", "1", cell, *["1"] * 9]), seed=0)
    where = f"data.path = {tmp_path / 'rows.csv'}: column w, line 4"
    assert str(caught.value) == f"{where} {found}; a weight must be a number of at least 0"


def test_what_cannot_be_a_column_of_weights_is_refused(tmp_path: Path) -> None:
    config = table(tmp_path, ["0"] * 20)
    with pytest.raises(DataError) as caught:
        load(config, seed=0)
    rule = "no row of the training part has a weight above 0; nothing can be learned"
    assert str(caught.value) == f"data.sample_weight = w: {rule}"
    with pytest.raises(DataError) as caught:
        load(Data(kind="csv", path=config.path, target="kind", sample_weight="sise"), seed=0)
    assert str(caught.value) == f"data.sample_weight = sise: {config.path} has no such column; did you mean size?"
    with pytest.raises(ConfigError) as own:
        load(Data(kind="csv", path=config.path, target="kind", sample_weight="kind"), seed=0)
    assert str(own.value) == "data.sample_weight = kind: is the target; give another column"
    with pytest.raises(ConfigError) as other:
        load(Data(kind="digits", sample_weight="w"), seed=0)
    assert str(other.value) == "data.sample_weight = w: data=digits does not read it; it is for table, csv, parquet, sql, arrays, npz, npy"


def test_an_archive_has_weights_for_each_of_its_parts(tmp_path: Path) -> None:
    path, x = tmp_path / "rows.npz", np.arange(20.0).reshape(10, 2)
    y = np.arange(10) % 2
    np.savez(path, x=x, y=y, Weight=np.arange(10))
    found = load(Data(kind="npz", path=str(path), sample_weight="Weight"), seed=0)
    np.testing.assert_array_equal(found.train.weight, found.train.rows)
    np.savez(path, x_train=x, y_train=y, w_train=np.arange(10), x_val=x[:4], y_val=y[:4], w_val=np.full(4, 7.0))
    found = load(Data(kind="npz", path=str(path), sample_weight="w"), seed=0)
    np.testing.assert_array_equal(found.validation.weight, [7, 7, 7, 7])
    np.testing.assert_array_equal(found.test.weight, found.test.rows)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({}, "data.sample_weight = w: {path} has no array w, its arrays are x, y; give one weight for each row of x"),
        ({"w": np.ones(3)}, "data.path = {path}: w has shape (3,) and x 10 rows; give one weight per row"),
        ({"w": np.r_[np.ones(9), -2]}, "data.path = {path}, w: row 9 is -2; a weight must be a number of at least 0"),
        ({"w": np.r_[np.ones(9), np.inf]}, "data.path = {path}, w: row 9 is inf; every number must be finite"),
    ],
    ids=["missing", "shape", "negative", "infinite"],
)
def test_an_archive_without_sound_weights_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray], sentence: str) -> None:
    path = tmp_path / "rows.npz"
    np.savez(path, x=np.zeros((10, 2)), y=np.arange(10) % 2, **arrays)
    with pytest.raises(DataError) as caught:
        load(Data(kind="npz", path=str(path), sample_weight="w"), seed=0)
    assert str(caught.value) == sentence.format(path=path)
