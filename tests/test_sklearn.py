"""`pipeline.sklearn`: networks as scikit-learn's estimators, held to its own checks."""

from __future__ import annotations

import pickle
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import check_estimator

from pipeline import sklearn as ours
from pipeline.errors import ConfigError
from pipeline.sklearn import Classifier, Regressor

SMALL = ["architecture=mlp_small", "training=fixed", "training.epochs=8", "training.batch_size=16"]
WEIGHTS = (
    "a row of weight 2 is one row in one batch, two rows may be in two: as with SGDClassifier, which scikit-learn excuses for the same"
)


@pytest.mark.integration
@pytest.mark.parametrize("kind", [Classifier, Regressor])
def test_scikit_learns_own_checks_pass(kind: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        excused = {"check_sample_weight_equivalence_on_dense_data": WEIGHTS}
        found = check_estimator(kind(["training.epochs=20"]), expected_failed_checks=excused, on_skip=None)
    others = {each["check_name"]: each["status"] for each in found if each["status"] != "passed"}
    assert others == {"check_sample_weight_equivalence_on_dense_data": "xfail", "check_array_api_input": "skipped"}
    assert len(found) > 50


def test_predictions_are_the_classes_as_they_were_given() -> None:
    x, y = load_iris(return_X_y=True)
    words = np.array(["setosa", "versicolor", "virginica"])[y]
    model = Classifier(SMALL, random_state=0).fit(x, words)
    assert list(model.classes_) == ["setosa", "versicolor", "virginica"]
    assert model.score(x, words) > 0.7
    np.testing.assert_allclose(model.predict_proba(x).sum(axis=1), 1, rtol=1e-6)
    assert model.n_features_in_ == 4 and model.n_iter_ == 8 and len(model.history_) == 8
    far = Classifier(SMALL, random_state=0).fit(x, 10 * y + 5)
    assert set(far.predict(x)) <= {5, 15, 25}
    np.testing.assert_array_equal(far.predict_proba(x), model.predict_proba(x))


def test_one_seed_gives_one_model_and_another_another() -> None:
    x, y = load_iris(return_X_y=True)
    first, again, other = (Classifier(SMALL, random_state=seed).fit(x, y).predict_proba(x) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_search_over_values_compiles_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = load_iris(return_X_y=True)
    ours._structures.clear()
    grid = {"optimizer.learning_rate": [1e-3, 1e-2, 1e-1], "regularization.l2": [0.001, 0.01]}
    search = GridSearchCV(Classifier([*SMALL, "regularization=l2"], random_state=0), grid, cv=3).fit(x, y)
    assert len(ours._structures) == 1
    (structure,) = ours._structures.values()
    assert [form for form, *_ in structure._executables].count("train") == 1
    assert search.best_params_["optimizer.learning_rate"] > 1e-3 and search.best_score_ > 0.9
    assert "optimizer.learning_rate=0.1" in clone(search.estimator).set_params(**{"optimizer.learning_rate": 0.1}).overrides


def test_it_works_where_estimators_do() -> None:
    x, y = load_iris(return_X_y=True)
    model = make_pipeline(MinMaxScaler(), Classifier(SMALL, random_state=0))
    assert cross_val_score(model, x, y, cv=3).mean() > 0.7
    model.set_params(**{"classifier__optimizer.learning_rate": 0.01, "classifier__optimizer=": "sgd"})
    assert model[-1].overrides[-2:] == ["optimizer.learning_rate=0.01", "optimizer=sgd"]
    calibrated = CalibratedClassifierCV(Classifier(SMALL, random_state=0), cv=3).fit(x, y)
    assert calibrated.score(x, y) > 0.8


def test_a_copy_by_pickle_and_joblib_predicts_the_same(tmp_path: Path) -> None:
    x, y = load_diabetes(return_X_y=True)
    model = Regressor(SMALL, random_state=0).fit(x, y)
    joblib.dump(model, tmp_path / "model.joblib")
    for copy in (pickle.load(BytesIO(pickle.dumps(model))), joblib.load(tmp_path / "model.joblib")):
        np.testing.assert_array_equal(copy.predict(x), model.predict(x))


def test_several_targets_and_labels() -> None:
    x, y = load_diabetes(return_X_y=True)
    both = Regressor(SMALL, random_state=0).fit(x, np.c_[y, -y]).predict(x)
    assert both.shape == (442, 2) and np.corrcoef(both[:, 0], y)[0, 1] > 0.5
    labels = np.c_[y > 100, x[:, 2] > 0].astype(int)
    model = Classifier(SMALL, random_state=0).fit(x, labels)
    assert model.predict(x).shape == model.predict_proba(x).shape == (442, 2)
    assert np.mean(model.predict(x) == labels) > 0.7


@pytest.mark.filterwarnings("ignore:column area")  # it is told how many were filled
def test_a_frame_with_words_and_missing_cells() -> None:
    rng = np.random.default_rng(0)
    town = rng.choice(["north", "south"], 200)
    frame = pd.DataFrame({"area": np.where(rng.random(200) < 0.05, np.nan, rng.normal(size=200)), "town": town})
    y = np.where(town == "north", 1.0, -1.0) + 0.1 * rng.normal(size=200)
    model = Regressor([*SMALL, "training.epochs=40"], random_state=0).fit(frame, y)
    assert list(model.feature_names_in_) == ["area", "town"] and model.n_features_in_ == 2
    assert model.score(frame[["town", "area"]], y) > 0.9  # by name, in any order
    assert cross_val_score(model, frame, y, cv=3).mean() > 0.8


def test_partial_fit_goes_on_where_it_stopped() -> None:
    x, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(150)
    x, y = x[order], y[order]
    model = Classifier(SMALL, random_state=0)
    with pytest.raises(ValueError, match="the first call of partial_fit names all classes"):
        model.partial_fit(x[:50], y[:50])
    for _ in range(20):
        for part in range(3):
            model.partial_fit(x[part::3], y[part::3], classes=[0, 1, 2])
    assert model.n_iter_ == 60 and model.score(x, y) > 0.9
    with pytest.raises(ValueError, match="y holds 7, which is none of the classes"):
        model.partial_fit(x, np.full(150, 7))


def test_weights_count() -> None:
    x = np.r_[np.full((50, 1), -1.0), np.full((50, 1), 1.0)]
    y = np.r_[np.zeros(50), np.ones(50)]
    noisy, labels = np.r_[x, x], np.r_[y, 1 - y]
    weight = np.r_[np.full(100, 5.0), np.full(100, 0.1)]
    assert Classifier(SMALL, random_state=0).fit(noisy, labels, sample_weight=weight).score(x, y) == 1.0


def test_mistakes_are_told() -> None:
    x, y = load_iris(return_X_y=True)
    with pytest.raises(ConfigError, match=r"optimizer.lr = 0.1: unknown key; did you mean learning_rate"):
        Classifier(["optimizer.lr=0.1"]).fit(x, y)
    with pytest.raises(ValueError, match="Invalid parameter 'optimizer': an option of a group is chosen by optimizer=, a value by"):
        Classifier().set_params(optimizer="sgd")
    with pytest.raises(ValueError, match=r"overrides = training.epochs=2: is a text; give a list"):
        Classifier("training.epochs=2").fit(x, y)
    with pytest.raises(ValueError, match="Invalid parameter 'epochs'"):
        Classifier().set_params(epochs=3)
    with pytest.raises(ValueError, match=r"y holds one class only, 0; a classifier needs two classes or more"):
        Classifier().fit(x, np.zeros(150, int))
    with pytest.raises(ValueError, match=r"chooses an option; give it to pipeline.compose, or leave config out"):
        Classifier(["optimizer=sgd"], config={"data": {"split": {}}}).fit(x, y)
