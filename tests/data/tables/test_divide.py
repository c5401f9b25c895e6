"""Splits as practice needs them: by time, by group, by a column of parts, and with files of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.data import Data, Dataset, load
from pipeline.data.split import by_group, in_order
from pipeline.errors import ConfigError, DataError
from pipeline.records import read
from tests.refusal import refused

N = 60


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Days in random order, patients of 3 rows each, parts, a number, and a target that follows it."""
    rng = np.random.default_rng(0)
    order = rng.permutation(N)
    days = np.datetime64("2024-01-01") + order
    parts = np.array(["train", "Train", "valid", "test"])[order % 4]
    size = rng.normal(size=N).round(3)
    lines = [f"{d},p{n // 3},{part},{s},{'yes' if s > 0 else 'no'}" for n, (d, part, s) in enumerate(zip(days, parts, size, strict=True))]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["day,patient,part,size,bought", *lines]) + "\n")
    return path


def loaded(path: Path, split: dict[str, Any], seed: int = 0, **more: Any) -> Dataset:
    return load(read(Data, {"kind": "table", "path": str(path), "target": "bought", "split": split, **more}, at="data"), seed=seed)


def cells(path: Path, column: str, rows: Any) -> list[str]:
    lines = [line.split(",") for line in path.read_text().splitlines()]
    return [lines[1 + int(row)][lines[0].index(column)] for row in rows]


def test_by_time_the_last_rows_are_tested_on_and_those_before_them_are_for_validation(table: Path) -> None:
    found = loaded(table, {"by": "day", "test": 0.2, "validation": 0.1}, columns={"patient": {"kind": "ignore"}})
    days = [sorted(cells(table, "day", part.rows)) for part in (found.train, found.validation, found.test)]
    assert [len(part) for part in days] == [42, 6, 12]
    assert days[0][-1] < days[1][0] <= days[1][-1] < days[2][0]
    note = (
        "divided in the order of day: training 2024-01-01 to 2024-02-11, validation 2024-02-12 to 2024-02-17, test 2024-02-18 to 2024-02-29"
    )
    assert note in found.notes
    assert found.division == "validation 0.1, test 0.2, seed 0, by day"
    again = loaded(table, {"by": "day", "test": 0.2}, seed=5, columns={"patient": {"kind": "ignore"}})
    np.testing.assert_array_equal(again.test.rows, found.test.rows)


def test_the_column_of_the_order_is_an_input_unless_it_is_ignored(table: Path) -> None:
    ignored = {"columns": {"patient": {"kind": "ignore"}, "part": {"kind": "ignore"}}}
    assert loaded(table, {"by": "day"}, **ignored).feature_names == ("day", "size")
    found = loaded(table, {"by": "day"}, ignore=["day"], **ignored)
    assert found.feature_names == ("size",)
    assert found.encoder is not None and "day" in found.encoder.ignore


def test_folds_in_order_are_trained_on_what_comes_before_them(table: Path) -> None:
    for fold in range(3):
        found = loaded(table, {"by": "day", "folds": 3, "fold": fold}, columns={"patient": {"kind": "ignore"}})
        days = [sorted(cells(table, "day", part.rows)) for part in (found.train, found.validation, found.test)]
        assert days[0][-1] < days[1][0] and days[1][-1] < days[2][0]
        assert len(days[2]) == 6 and abs(len(days[0]) - 13.5 * (fold + 1)) <= 1


def test_no_group_is_on_both_sides(table: Path) -> None:
    for seed in range(3):
        found = loaded(table, {"group": "patient", "test": 0.2, "validation": 0.2}, seed=seed)
        groups = [set(cells(table, "patient", part.rows)) for part in (found.train, found.validation, found.test)]
        assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])
        assert [len(part) for part in (found.train, found.validation, found.test)] == [36, 12, 12]
        assert not any(name.startswith("patient") for name in found.feature_names)
    assert "divided by groups of patient, which is no input: 12 in training, 4 in validation, 4 in test" in found.notes


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_stratified_by_class(seed: int) -> None:
    kinds = np.repeat([0, 1, 2], [40, 15, 5])  # the class of a group
    groups = np.random.default_rng(seed).permutation(np.repeat(np.arange(60), 5))
    parts = by_group(groups, kinds[groups], validation=0.2, test=0.2, seed=seed)
    for part, wanted in zip(parts, ([24, 9, 3], [8, 3, 1], [8, 3, 1]), strict=True):
        assert np.bincount(kinds[np.unique(groups[part])]).tolist() == wanted
    folds = [by_group(groups, kinds[groups], validation=0.0, test=0.0, seed=seed, folds=5, fold=fold)[1] for fold in range(5)]
    assert {tuple(np.bincount(kinds[np.unique(groups[fold])])) for fold in folds} == {(8, 3, 1)}


def test_folds_of_groups_hold_each_group_once() -> None:
    groups = np.repeat(np.arange(11), np.arange(1, 12))
    held = []
    for fold in range(4):
        train, validation, test = by_group(groups, np.zeros((len(groups), 1)), validation=0.1, test=0.15, seed=1, folds=4, fold=fold)
        assert not set(groups[train]) & set(groups[validation])
        assert sorted([*train, *validation, *test]) == list(range(len(groups)))
        held += [*validation]
    assert sorted([*held, *test]) == list(range(len(groups)))


def test_parts_are_those_that_a_column_names(table: Path) -> None:
    found = loaded(table, {"column": "part"}, ignore=["patient"])
    for part, names in ((found.train, {"train", "Train"}), (found.validation, {"valid"}), (found.test, {"test"})):
        assert set(cells(table, "part", part.rows)) == names
    assert "divided as part says, which is no input: 30 training, 15 validation, 15 test" in found.notes
    assert not any(name.startswith("part") for name in found.feature_names)


def test_a_part_that_the_column_does_not_name_is_drawn_from_the_training_rows(table: Path) -> None:
    table.write_text(table.read_text().replace(",valid,", ",train,"))
    found = loaded(table, {"column": "part", "validation": 0.2}, ignore=["patient"])
    assert (len(found.train), len(found.validation), len(found.test)) == (36, 9, 15)


def test_a_labelled_file_of_ones_own_is_the_test_part_its_columns_in_any_order(table: Path) -> None:
    test = table.with_name("test.csv")
    test.write_text("bought,extra,size,patient,part\nyes,1,0.5,p1,train\nNO,2,-0.5,p99,test\nyes,3,,p1,test\n")
    found = loaded(table, {}, test_path=str(test), ignore=["day", "patient"])
    assert (len(found.train), len(found.validation), len(found.test)) == (54, 6, 3)
    assert [found.class_names[label] for label in found.test.y] == ["yes", "no", "yes"]
    size = found.feature_names.index("size")
    np.testing.assert_allclose(np.asarray(found.test.x[:])[:2, size], [0.5, -0.5])
    assert found.division == f"validation 0.1, test 0.1, seed 0, test of {test}"
    assert any(note.startswith("test.csv: column size: 1 missing value filled with") for note in found.notes)
    both = loaded(table, {}, test_path=str(test), validation_path=str(test), ignore=["day", "patient"])
    assert (len(both.train), len(both.validation), len(both.test)) == (60, 3, 3)
    assert len({found.fingerprint, both.fingerprint, loaded(table, {}, ignore=["day", "patient"]).fingerprint}) == 3


MISTAKES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"split": {"by": "dya"}}, DataError, "data.split.by = dya: {t} has no such column; did you mean day?"),
    ({"split": {"by": "patient"}}, DataError, "data.split.by = patient: holds words; give a column of numbers, dates or times"),
    ({"split": {"by": "bought"}}, ConfigError, "data.split.by = bought: is the target; give another column"),
    (
        {"split": {"by": "day", "group": "patient"}},
        ConfigError,
        "data.split.by = day: data.split.group divides the rows too; give one of them",
    ),
    (
        {"split": {"column": "patient"}},
        DataError,
        "data.split.column = patient: line 2 holds "
        + ", ".join(f"'p{n}'" for n in range(20))
        + "; it must name the part of each row: train, validation or test",
    ),
    (
        {"kind": "digits", "path": None, "target": None, "split": {"by": "day"}},
        ConfigError,
        "data.split.by = day: data=digits has no named columns; it is for table, csv, parquet, sql, arrays",
    ),
    (
        {"test_path": "nope.csv"},
        DataError,
        "data.test_path = nope.csv: no such file; check the path (it is relative to the current folder)",
    ),
]


@pytest.mark.parametrize(("given", "error", "sentence"), MISTAKES, ids=[str(given) for given, _, _ in MISTAKES])
def test_a_mistake_is_told(table: Path, given: dict[str, Any], error: type[Exception], sentence: str) -> None:
    plain = {"kind": "table", "path": str(table), "target": "bought", **given}
    with refused(sentence.replace("{t}", str(table)), error):
        load(read(Data, plain, at="data"), seed=0)


def test_a_class_that_the_model_does_not_know_is_refused(table: Path) -> None:
    test = table.with_name("test.csv")
    test.write_text("bought,size,part\nyes,0.5,train\nperhaps,1,train\n")
    told = "target column bought, line 3 is 'perhaps', a class that the model does not know, 1 of 2 rows; its classes are no, yes"
    with refused(f"data.test_path = {test}: {told}", DataError):
        loaded(table, {}, test_path=str(test), ignore=["day", "patient"])


def test_rows_of_one_value_keep_their_order() -> None:
    train, validation, test = in_order(np.array([1.0, 0.0, 1.0, 1.0, 0.0]), validation=0.2, test=0.4)
    assert (train.tolist(), validation.tolist(), test.tolist()) == ([1, 4], [0], [2, 3])
