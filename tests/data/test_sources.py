from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets

from pipeline.data import Data, DataShape, Split, describe, load
from pipeline.data.load import SOURCES
from pipeline.errors import DataError
from tests.refusal import refused

SHIPPED = ("digits", "breast_cancer", "wine", "iris", "diabetes")
WHOLE = Split(validation=0.0, test=0.0)


@pytest.mark.parametrize("kind", SHIPPED)
def test_a_shipped_set_holds_what_scikit_learns_loader_gives(kind: str) -> None:
    options = {"scaled": False} if kind == "diabetes" else {}
    theirs = getattr(sklearn.datasets, f"load_{kind}")(**options)
    ours = load(Data(kind=kind, split=WHOLE), seed=0)
    np.testing.assert_array_equal(ours.train.x.reshape(len(ours.train), -1), theirs.data)
    np.testing.assert_array_equal(ours.train.y.reshape(-1), theirs.target)
    if kind != "digits":
        assert ours.feature_names == tuple(theirs.feature_names)
    if kind != "diabetes":
        assert ours.class_names == tuple(str(name) for name in theirs.target_names)


@pytest.mark.parametrize("kind", [kind for kind, source in SOURCES.items() if source.shape is not None and "mnist" not in kind])
def test_the_shape_known_without_loading_is_the_loaded_shape(kind: str) -> None:
    dataset = load(Data(kind=kind), seed=0)
    assert describe(Data(kind=kind)) == dataset.shape
    assert dataset.train.x.shape[1:] == dataset.shape.input_shape
    if dataset.shape.classes is not None:
        assert (dataset.task, dataset.train.y.dtype, len(dataset.class_names)) == ("classification", np.int32, dataset.shape.classes)
    else:
        assert (dataset.task, dataset.train.y.dtype, dataset.train.y.shape[1]) == ("regression", np.float64, dataset.shape.targets)


def test_the_digits_load_without_importing_scikit_learn_pandas_or_pyarrow() -> None:
    code = (
        "import sys; from pipeline.data import Data, load; load(Data(), seed=0);"
        "print([name for name in ('sklearn', 'scipy', 'pandas', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError) as error:
        load(Data(kind="wine"), seed=0)
    assert str(error.value) == "data.kind = wine: its file ships with scikit-learn, which is not installed; pip install scikit-learn"


@pytest.mark.parametrize(("kind", "radii"), [("rings", (1.0, 0.5)), ("two_moons", (1.0, 1.0))])
def test_noiseless_points_lie_on_their_curves(kind: str, radii: tuple[float, float]) -> None:
    part = load(Data(kind=kind, samples=300, noise=0.0, split=WHOLE), seed=0).train
    centers = ((0, 0), (0, 0)) if kind == "rings" else ((0, 0), (1, 0.5))
    for label in (0, 1):
        distance = np.linalg.norm(part.x[part.y == label] - centers[label], axis=1)
        np.testing.assert_allclose(distance, radii[label], rtol=1e-12)
    assert np.bincount(part.y).tolist() == [150, 150]


def test_the_noise_has_the_declared_deviation() -> None:
    clean, noisy = (load(Data(kind="two_moons", samples=20_000, noise=noise, split=WHOLE), seed=0).train.x for noise in (0.0, 0.3))
    assert np.std(noisy - clean) == pytest.approx(0.3, rel=0.02)


def test_generated_points_follow_their_own_seed_and_not_that_of_the_run() -> None:
    config = Data(kind="rings", split=WHOLE)
    first = load(config, seed=0).train.x
    np.testing.assert_array_equal(first, load(config, seed=5).train.x)
    assert not np.array_equal(first, load(replace(config, seed=1), seed=0).train.x)


def test_a_declared_input_shape_of_as_many_values_reshapes_the_rows() -> None:
    config = Data(kind="digits", input_shape=(64,))
    assert describe(config) == DataShape(input_shape=(64,), classes=10)
    assert load(config, seed=0).train.x.shape == (1437, 64)


def test_a_declared_shape_needs_no_file() -> None:
    config = Data(kind="npz", path="absent.npz", input_shape=(4, 3), targets=2)
    assert describe(config) == DataShape(input_shape=(4, 3), targets=2)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"input_shape": (8, 9)},
            "data.input_shape = [8, 9]: a row of the data has shape [8, 8, 1], 64 values; leave it null to take what is there",
        ),
        ({"classes": 3}, "data.classes = 3: the data has 10 classes; leave it null to take what is there"),
        ({"targets": 2}, "data.targets = 2: the data has 10 classes; leave it null to take what is there"),
        ({"task": "regression"}, "data.task = regression: data=digits has 10 classes; use auto or classification"),
        ({"classes": 10, "targets": 1}, "data.targets = 1: data has classes or targets, not both; leave one out"),
        ({"task": "regression", "classes": 10}, "data.classes = 10: data.task is regression; give data.targets instead"),
        ({"task": "classification", "targets": 1}, "data.targets = 1: data.task is classification; give data.classes instead"),
        (
            {"split": Split(validation=0.6, test=0.4)},
            "data.split.validation = 0.6: validation and test together must leave rows to train on, and test is 0.4; "
            "make their sum less than 1",
        ),
    ],
)
def test_what_is_declared_must_fit_the_data(changes: dict[str, object], sentence: str) -> None:
    config = replace(Data(kind="digits"), **changes)  # type: ignore[arg-type]  # one field each
    for ask in (describe, lambda c: load(c, seed=0)):
        with refused(sentence):
            ask(config)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (Data(kind="digits", noise=0.3), "data.noise = 0.3: data=digits does not read it; it is for two_moons, rings"),
        (
            Data(kind="iris", path="a.csv"),
            "data.path = a.csv: data=iris does not read it; it is for table, csv, parquet, npz, sql, image_folder",
        ),
        (Data(kind="npy", path="images"), "data.path = images: data=npy does not read it; give data.root=images"),
        (Data(kind="npz", ignore=("a",)), "data.ignore = ['a']: data=npz does not read it; it is for table, csv, parquet, sql, arrays"),
        (Data(kind="csv"), "data.path = null: data=csv needs a file; give data.path=FILE.csv"),
        (Data(kind="mnist"), "data.root = null: data=mnist needs the folder that holds its four idx files; give data.root=FOLDER"),
    ],
)
def test_a_field_that_is_needed_or_that_nobody_reads_is_named(config: Data, sentence: str) -> None:
    with refused(sentence):
        load(config, seed=0)


def test_the_fingerprint_changes_with_any_value_and_not_with_the_split() -> None:
    config = Data(kind="two_moons", samples=100)
    first, other_split, other_points = load(config, seed=0), load(config, seed=1), load(replace(config, seed=1), seed=0)
    assert first.fingerprint == other_split.fingerprint != other_points.fingerprint
    assert len(first.fingerprint) == 64
    assert first.division == "validation 0.1, test 0.1, seed 0" != other_split.division == "validation 0.1, test 0.1, seed 1"


def test_the_fingerprint_of_a_table_is_that_of_its_cells_whatever_the_training_rows_make_of_them(tmp_path: Path) -> None:
    """A rare word and a missing number: both are encoded by what the training rows hold."""
    lines = [f"{i if i % 5 else ''},{'rare' if i == 7 else 'usual'},{'ab'[i % 2]}" for i in range(40)]
    prints, encoders = [], []
    for number, cells in enumerate((lines, lines, [line.replace("39,", "40,") for line in lines])):
        (tmp_path / f"{number}.csv").write_text("\n".join(["size,word,kind", *cells]) + "\n")
        found = load(Data(kind="csv", path=str(tmp_path / f"{number}.csv"), target="kind"), seed=number)
        prints.append(found.fingerprint)
        encoders.append(found.encoder)
    assert encoders[0] != encoders[1]
    assert prints[0] == prints[1] != prints[2]
