from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data import Data, load
from pipeline.data.split import split
from pipeline.errors import ConfigError
from pipeline.records import read
from tests.refusal import refused


@settings(deadline=None)
@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any),
    validation=st.floats(0, 0.49),
    test=st.floats(0, 0.49),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_row_is_in_exactly_one_part_and_every_class_keeps_a_training_row(
    counts: list[int], validation: float, test: float, seed: int
) -> None:
    y = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    parts = split(y, validation=validation, test=test, seed=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(y)))
    assert all((np.diff(rows) > 0).all() for rows in parts)
    assert set(y[parts[0]]) == set(y)


def test_each_class_has_its_share_to_within_one_row_and_the_parts_their_exact_size() -> None:
    counts = np.array([500, 301, 77, 23])
    y = np.repeat(np.arange(4, dtype=np.int32), counts)
    train, validation, test = split(y, validation=0.15, test=0.2, seed=3)
    assert (len(train), len(validation), len(test)) == (901 - 135 - 180, 135, 180)
    assert (np.abs(np.bincount(y[validation]) - 0.15 * counts) < 1).all()
    assert (np.abs(np.bincount(y[test]) - 0.2 * counts) < 1).all()


def test_the_split_depends_on_nothing_but_seed_labels_and_shares() -> None:
    y = np.random.default_rng(0).integers(0, 5, 400).astype(np.int32)
    first = split(y, validation=0.1, test=0.1, seed=7)
    np.random.seed(99)
    again = split(y.astype(np.int64), validation=0.1, test=0.1, seed=7)
    for left, right in zip(first, again, strict=True):
        np.testing.assert_array_equal(left, right)
    assert not np.array_equal(first[2], split(y, validation=0.1, test=0.1, seed=8)[2])


def test_the_split_is_the_one_it_always_was() -> None:
    y = np.array([0, 1] * 10, np.int32)
    _, validation, test = split(y, validation=0.2, test=0.2, seed=0)
    assert (validation.tolist(), test.tolist()) == ([2, 8, 11, 15], [1, 3, 12, 16])


def test_which_rare_classes_are_held_out_depends_on_the_seed() -> None:
    """100 classes of 4 rows, a tenth each: 40 classes get a row, others under another seed, others in validation than in test."""
    y = np.repeat(np.arange(100, dtype=np.int32), 4)
    held = {}
    for seed in (0, 1, 7):
        _, validation, test = split(y, validation=0.1, test=0.1, seed=seed)
        held |= {(seed, "validation"): frozenset(y[validation]), (seed, "test"): frozenset(y[test])}
        assert all(len(held[seed, part]) == 40 for part in ("validation", "test"))
        np.testing.assert_array_equal(test, split(y, validation=0.1, test=0.1, seed=seed)[2])
    assert len(set(held.values())) == 6
    assert min(sum(label >= 50 for label in labels) for labels in held.values()) >= 10


def test_the_split_of_the_digits_is_the_one_it_always_was() -> None:
    found = load(read(Data, {"kind": "digits"}, at="data"), seed=0)
    assert [int(part.rows.sum()) for part in (found.train, found.validation, found.test)] == [1290700, 159706, 163300]


def test_the_validation_share_does_not_change_the_test_part() -> None:
    y = np.repeat(np.arange(3, dtype=np.int32), 50)
    for validation in (0.0, 0.1, 0.3):
        np.testing.assert_array_equal(split(y, validation=validation, test=0.2, seed=1)[2], split(y, validation=0.05, test=0.2, seed=1)[2])


@settings(deadline=None)
@given(
    counts=st.lists(st.integers(0, 30), min_size=1, max_size=5).filter(lambda counts: sum(counts) > 12),
    folds=st.integers(2, 7),
    test=st.sampled_from([0.0, 0.2]),
    seed=st.integers(0, 2**32 - 1),
)
def test_each_row_is_in_one_fold_and_folds_differ_by_one_row_as_a_whole_and_in_each_class(
    counts: list[int], folds: int, test: float, seed: int
) -> None:
    y = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    parts = [split(y, validation=0.1, test=test, seed=seed, folds=folds, fold=fold) for fold in range(folds)]
    for train, validation, tested in parts:
        np.testing.assert_array_equal(np.sort(np.concatenate([train, validation, tested])), np.arange(len(y)))
        np.testing.assert_array_equal(tested, split(y, validation=0.1, test=test, seed=seed)[2])
        assert set(y[train]) == set(y)
    held = np.concatenate([validation for _, validation, _ in parts])
    rest = np.setdiff1d(np.arange(len(y)), parts[0][2])
    alone = [row for row in rest if (y[rest] == y[row]).sum() == 1]  # trained on in every fold
    np.testing.assert_array_equal(np.sort(held), np.setdiff1d(rest, alone))
    sizes = np.array([np.bincount(y[validation], minlength=len(counts)) for _, validation, _ in parts])
    assert np.ptp(sizes.sum(axis=1)) <= 1 and (np.ptp(sizes, axis=0) <= 1).all()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"fold": 5, "folds": 5}, "data.split.fold = 5: the 5 folds are numbered from 0; use one up to 4"),
        ({"fold": 1}, "data.split.fold = 1: there are no folds; give data.split.folds=5"),
        ({"folds": 1}, "data.split.folds = 1: must be at least 2"),
        ({"folds": 400, "fold": 0}, "data.split.folds = 400: 160 rows are left for them beside the test part; use fewer"),
        ({"folds": 400, "fold": 399}, "data.split.folds = 400: 160 rows are left for them beside the test part; use fewer"),
    ],
)
def test_folds_that_cannot_be_are_refused(changes: dict[str, int], sentence: str) -> None:
    with refused(sentence):
        load(read(Data, {"kind": "wine", "split": changes}, at="data"), seed=0)


def test_data_with_a_validation_part_of_its_own_has_no_folds(tmp_path: Path) -> None:
    x, y = np.zeros((6, 2)), np.array([0, 1] * 3)
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y, x_validation=x, y_validation=y)
    with pytest.raises(ConfigError) as caught:
        load(read(Data, {"kind": "npz", "path": str(tmp_path / "own.npz"), "split": {"folds": 3}}, at="data"), seed=0)
    assert str(caught.value) == "data.split.folds = 3: the data has a validation part of its own; leave it null"


def test_a_fold_is_said_in_the_division() -> None:
    found = load(read(Data, {"kind": "wine", "split": {"folds": 4, "fold": 2}}, at="data"), seed=3)
    assert found.division == "fold 2 of 4, test 0.1, seed 3" and len(found.validation.x) == 40


def test_numbers_to_predict_are_split_at_random_and_without_strata() -> None:
    y = np.linspace(0, 1, 200)[:, None]
    train, validation, test = split(y, validation=0.25, test=0.1, seed=0)
    assert (len(train), len(validation), len(test)) == (130, 50, 20)
    assert 0.3 < y[validation].mean() < 0.7


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_class_of_one_row_is_trained_on(share: float) -> None:
    y = np.array([0] * 30 + [1], np.int32)
    train, _, _ = split(y, validation=share, test=share, seed=0)
    assert 30 in train
