"""Rows as the network sees them are made in one place, once for training, checks and the declared shape."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import Data, Dataset, load
from pipeline.data.prepared import declared_shape, prepared
from pipeline.preprocessing import Preprocessing, fit
from pipeline.preprocessing.target_scale import TargetScale
from pipeline.rows import Streamed

ROOT = Path(__file__).parents[2]


def loaded(kind: str, **changes: str) -> Dataset:
    return load(Data(kind=kind, **changes), seed=0)  # type: ignore[arg-type]


def test_the_targets_of_a_regression_are_scaled_once_and_those_of_the_data_stay() -> None:
    dataset = loaded("diabetes")
    ready = prepared(dataset, Preprocessing(), precision="float64")
    scale = TargetScale.fit(dataset.train.y)
    for part, raw in ((ready.train, dataset.train), (ready.validation, dataset.validation), (ready.test, dataset.test)):
        assert part.y is raw.y and len(part) == len(raw)
        np.testing.assert_array_equal(part.targets, scale.apply(raw.y))
        np.testing.assert_array_equal(part.x, fit(Preprocessing(), dataset.train.x, precision="float64").apply(np.asarray(raw.x)))
    np.testing.assert_array_equal(ready.own_units(np.asarray(ready.test.targets)), scale.undo(scale.apply(dataset.test.y)))
    assert ready.notes[-1] == scale.note


def test_classes_and_targets_that_shall_stay_are_given_as_they_are() -> None:
    for dataset, settings in ((loaded("iris"), Preprocessing()), (loaded("diabetes"), Preprocessing(targets="none"))):
        ready = prepared(dataset, settings)
        assert ready.target_scale is None and np.shares_memory(np.asarray(ready.train.targets), dataset.train.y)
        assert ready.own_units(dataset.train.y) is dataset.train.y and ready.arrays().keys() == ready.fitted.arrays().keys()


def test_the_pixels_of_a_reconstruction_are_scaled_when_they_are_asked_for() -> None:
    dataset = loaded("digits", task="reconstruction")
    targets = prepared(dataset, Preprocessing()).train.targets
    assert isinstance(targets, Streamed) and np.shares_memory(targets.store, dataset.train.y)
    rows = np.array([5, 2, 5])
    np.testing.assert_array_equal(targets[rows], TargetScale.fit(dataset.train.y, together=True).apply(dataset.train.y)[rows])


@pytest.mark.parametrize("steps", [(), ("standardize",), ("pca",)])
def test_the_shape_is_the_declared_one(steps: tuple[str, ...]) -> None:
    settings = Preprocessing(steps=steps, components=0.9 if steps == ("pca",) else None)
    assert prepared(loaded("digits"), settings).shape == declared_shape(Data(kind="digits"), settings, seed=0)


def test_nobody_else_fits_what_a_training_or_a_check_takes() -> None:
    """Demonstrations show what a preprocessing does, and the check of an extension tries it; they alone fit one of their own."""
    users = set()
    for path in (ROOT / "pipeline").rglob("*.py"):
        called = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
        if called & {"TargetScale.fit", "preprocessing.fit"} or (called & {"fit"} and path.parent.name != "preprocessing"):
            users.add(path.relative_to(ROOT / "pipeline").as_posix())
    assert {user for user in users if not user.startswith(("demonstrations/", "checks/contract_"))} == {"data/prepared.py"}
