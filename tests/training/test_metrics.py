"""Every score beside scikit-learn's, at random predictions with ties, absent classes and classes that are never predicted."""

# N rows, C classes
from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.training import metrics, scores
from pipeline.training.events import EpochEnded, Noted
from pipeline.training.loop import train
from pipeline.training.measured import Measured, sampled
from pipeline.training.settings import EarlyStopping, Training
from pipeline.training.steps import alone
from tests.refusal import refused
from tests.training.softmax_program import SoftmaxProgram, blobs, in_two_parts

Array = np.ndarray[Any, Any]
skm = pytest.importorskip("sklearn.metrics")


def predictions(classes: int, rows: int = 60, *, precision: str = "float32", present: int | None = None) -> tuple[Array, Array]:
    """Probabilities on a coarse grid, so that many are equal, and labels below `present`."""
    generator = np.random.default_rng(classes + rows)
    raw = generator.integers(1, 6, (rows, classes)).astype(precision)
    return raw / raw.sum(1, keepdims=True), generator.integers(0, present or classes, rows).astype(np.int32)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(("classes", "present"), [(2, 2), (3, 3), (7, 7), (4, 3), (2, 1)])
def test_scores_of_classes_are_those_of_scikit_learn(classes: int, present: int, precision: str) -> None:
    p, y = predictions(classes, precision=precision, present=present)
    predicted, names = p.argmax(1), list(range(classes))
    wide = p.astype(np.float64) / p.astype(np.float64).sum(1, keepdims=True)
    macro = {"average": "macro", "zero_division": 0}
    wanted = {
        "accuracy": skm.accuracy_score(y, predicted),
        "precision": skm.precision_score(y, predicted, **macro),
        "recall": skm.recall_score(y, predicted, **macro),
        "f1": skm.f1_score(y, predicted, **macro),
        "log_loss": skm.log_loss(y, wide, labels=names),
    }
    recall = [(predicted[y == c] == c).mean() for c in np.unique(y)]
    wanted["balanced_accuracy"] = np.mean(recall)
    if present == classes:
        assert wanted["balanced_accuracy"] == pytest.approx(skm.balanced_accuracy_score(y, predicted), rel=1e-12)
        # scikit-learn's own mean over the classes asks for sums of 1 beyond float32
        wanted["roc_auc"] = skm.roc_auc_score(y, p[:, 1]) if classes == 2 else np.mean([skm.roc_auc_score(y == c, p[:, c]) for c in names])
        if precision == "float64" and classes > 2:
            assert wanted["roc_auc"] == pytest.approx(skm.roc_auc_score(y, p, multi_class="ovr", labels=names), rel=1e-12)
    for name, value in wanted.items():
        assert scores.score("classification", name, p, y) == pytest.approx(value, rel=1e-12), name
    assert (scores.undefined("roc_auc", y, classes) is None) == (present == classes)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_top_k_is_that_of_scikit_learn_and_the_first_of_equals_counts(k: int) -> None:
    generator = np.random.default_rng(k)
    p, y = generator.random((80, 7)), generator.integers(0, 7, 80)
    assert scores.top_k_accuracy(p, y, k) == pytest.approx(skm.top_k_accuracy_score(y, p, k=k, labels=range(7)), rel=1e-12)
    tied, y = predictions(7)
    assert scores.top_k_accuracy(tied, y, 1) == scores.accuracy(tied, y)
    assert scores.score("classification", f"top_{k}_accuracy", tied, y) == scores.top_k_accuracy(tied, y, k)


def test_the_area_under_the_curve_of_each_class_is_that_of_scikit_learn() -> None:
    p, y = predictions(4, present=3)
    table = metrics.class_table(p, y)
    for c in range(3):
        assert table[c]["roc_auc"] == pytest.approx(skm.roc_auc_score(y == c, p[:, c]), rel=1e-12)
    assert "roc_auc" not in table[3] and table[3]["rows"] == 0


def test_the_calibration_error_of_what_is_no_number_is_none() -> None:
    assert np.isnan(scores.calibration_error(np.full((3, 2), np.nan), np.zeros(3, int)))


def test_the_calibration_error_has_its_closed_form() -> None:
    """Confidence 0.8 on 10 rows of which 6 are right, 0.6 on 30 of which 27 are: 10/40 * |0.6 - 0.8| + 30/40 * |0.9 - 0.6|."""
    p = np.array([[0.8, 0.2]] * 10 + [[0.6, 0.4]] * 30)
    y = np.array([0] * 6 + [1] * 4 + [0] * 27 + [1] * 3)
    assert scores.calibration_error(p, y) == pytest.approx(0.25 * 0.2 + 0.75 * 0.3, rel=1e-12)
    assert scores.calibration_error(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1])) == 0.0
    assert scores.calibration_error(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1, 0])) == 1.0
    # two confidences of one bin, 0.61 and 0.65 of (0.6, 0.667]: their gaps -0.61 and 0.35 meet before the absolute value is taken
    assert scores.calibration_error(np.array([[0.61, 0.39], [0.65, 0.35]]), np.array([1, 0])) == pytest.approx(0.13, rel=1e-9)


def test_predictions_drawn_from_their_own_probabilities_are_calibrated() -> None:
    generator = np.random.default_rng(0)
    p = generator.dirichlet(np.ones(3), 200_000)
    y = (generator.random(len(p))[:, None] > p.cumsum(1)).sum(1)
    assert scores.calibration_error(p, y) < 0.005
    sharper = p**2 / (p**2).sum(1, keepdims=True)
    assert scores.calibration_error(sharper, y) > 0.05


def test_the_full_table_leaves_out_what_has_no_value_and_says_so() -> None:
    p, y = predictions(3, present=1)
    names = metrics.full("classification", 3)
    found = metrics.measure("classification", p, np.ones(60), y, "test", names)
    assert set(found) == {f"{name}/test" for name in ("loss", *names)} - {"roc_auc/test"} and all(np.isfinite(list(found.values())))
    assert metrics.left_out(names, y, 3, "test") == ["roc_auc/test is left out: class 1 has no row there"]
    assert metrics.left_out(names, y, 3, "test", ("a", "k45", "z")) == ["roc_auc/test is left out: class k45 has no row there"]
    assert metrics.left_out(("r2", "mae"), np.ones((4, 1)), None, "test") == ["r2/test is left out: a target is constant there"]
    assert metrics.left_out(names, y[:0], 3, "test") == []
    assert [metrics.full("classification", c)[1] for c in (2, 3, 5, 6)] == [
        "balanced_accuracy", "top_2_accuracy", "top_2_accuracy", "top_5_accuracy",
    ]  # fmt: skip
    assert metrics.full("regression", None) == ("rmse", "mae", "r2")


def test_the_metrics_that_are_asked_for_are_measured_after_each_epoch() -> None:
    settings = Training(epochs=2, batch_size=50, metrics=("f1", "roc_auc", "top_2_accuracy", "loss"))
    outcome = train(SoftmaxProgram(), blobs(), settings, seed=3, emit=lambda event: None)
    of_both = [[f"{name}/{part}" for name in ("f1", "roc_auc", "top_2_accuracy")] for part in ("train", "validation")]
    expected = ["loss/train", *of_both[0], "loss/validation", *of_both[1], "time/epoch_s"]
    assert [list(values) for values in outcome.history] == [expected] * 2
    alone = train(SoftmaxProgram(), blobs(), replace(settings, train_rows=0), seed=3, emit=lambda event: None)
    kept = [name for name in expected if name not in of_both[0] and name != "time/epoch_s"]
    assert [[values[name] for name in kept] for values in alone.history] == [[values[name] for name in kept] for values in outcome.history]
    assert not any(name in values for values in alone.history for name in of_both[0])


def test_the_training_rows_that_are_measured_are_as_many_as_those_of_the_validation_part_and_stay_the_same() -> None:
    data = blobs()
    rows = sampled(data, 1000, seed=3)
    assert rows is not None and len(rows) == len(data.validation)
    again, fewer = sampled(data, 1000, seed=3), sampled(data, 7, seed=3)
    assert again is not None and fewer is not None and np.array_equal(rows.x, again.x) and len(fewer) == 7
    assert sampled(data, 0, seed=3) is None
    program = SoftmaxProgram()
    values = alone(program, Measured(data, Training(), "loss/validation", seed=3).values())
    assert values["accuracy/train"] == np.mean(program.evaluate(rows.x, rows.targets)[0].argmax(axis=1) == rows.y)


def test_what_has_no_value_on_the_validation_part_is_told_once() -> None:
    data, events = blobs(), []
    data = in_two_parts((data.train.x, data.train.y), (data.validation.x, np.zeros(60, np.int32)))
    train(SoftmaxProgram(), data, Training(epochs=2, batch_size=50, metrics=("roc_auc", "accuracy")), seed=3, emit=events.append)
    assert [event.text for event in events if isinstance(event, Noted)] == ["roc_auc/validation is left out: class 1 has no row there"]
    assert all("roc_auc/validation" not in event.values for event in events if isinstance(event, EpochEnded))


def test_early_stopping_watches_a_metric_that_nobody_asked_to_log() -> None:
    settings = Training(epochs=4, batch_size=16, early_stopping=EarlyStopping(metric="roc_auc/validation", patience=4))
    outcome = train(SoftmaxProgram(), blobs(), settings, seed=3, emit=lambda event: None)
    found = [values["roc_auc/validation"] for values in outcome.history]
    assert outcome.epoch == found.index(max(found)) + 1


ALL = "accuracy, balanced_accuracy, precision, recall, f1, roc_auc, log_loss, calibration_error, top_5_accuracy"


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("acuracy",), "training.metrics[0] = acuracy: no metric of classification; did you mean accuracy?"),
        (("f1", "rmse"), f"training.metrics[1] = rmse: no metric of classification; use one of {ALL}"),
        (
            ("top_3_accuracy",),
            "training.metrics[0] = top_3_accuracy: is 1 whatever is predicted, as the data has 3 classes; "
            "K of top_K_accuracy must be below 3",
        ),
    ],
    ids=str,
)
def test_metrics_that_cannot_be_measured_are_refused(names: tuple[str, ...], sentence: str) -> None:
    with refused(sentence):
        train(SoftmaxProgram(), blobs(), Training(metrics=names), seed=3, emit=lambda event: None)


def test_early_stopping_on_a_metric_without_a_value_is_refused() -> None:
    data = blobs()
    data = in_two_parts((data.train.x, data.train.y), (data.validation.x, np.zeros(60, np.int32)))
    with pytest.raises(ConfigError) as caught:
        train(SoftmaxProgram(), data, Training(early_stopping=EarlyStopping(metric="roc_auc/validation")), seed=3, emit=lambda event: None)
    rule = "has no value on the validation part, as class 1 has no row there; use another metric, or a larger data.split.validation"
    assert str(caught.value) == f"training.early_stopping.metric = roc_auc/validation: {rule}"


@pytest.mark.parametrize("labels", [1, 2, 5])
def test_scores_of_labels_are_those_of_scikit_learn(labels: int) -> None:
    generator = np.random.default_rng(labels)
    p, y = generator.integers(1, 9, (60, labels)) / 9, generator.integers(0, 2, (60, labels)).astype(np.float64)
    told, names = (p >= 0.5).astype(int), range(labels)
    wanted = {
        "accuracy": np.mean(told == y),
        "exact_match": skm.accuracy_score(y, told),
        "log_loss": np.mean([skm.log_loss(y[:, c], p[:, c]) for c in names]),
        "roc_auc": np.mean([skm.roc_auc_score(y[:, c], p[:, c]) for c in names]),
    }
    for name in ("precision", "recall", "f1"):
        function = getattr(skm, f"{name}_score")
        wanted[name] = np.mean([function(y[:, c], told[:, c], zero_division=0) for c in names])
    assert set(wanted) == set(scores.SCORES["multilabel"]) == set(metrics.full("multilabel", None))
    for name, value in wanted.items():
        assert scores.score("multilabel", name, p, y) == pytest.approx(value, rel=1e-12), name
    table = metrics.class_table(p, y)
    assert [row["rows"] for row in table] == y.sum(axis=0).tolist()
    assert np.mean([row["roc_auc"] for row in table]) == pytest.approx(wanted["roc_auc"], rel=1e-12)


def test_a_label_that_every_row_has_leaves_the_roc_auc_out() -> None:
    y = np.array([[1.0, 0.0], [1.0, 1.0]])
    assert metrics.left_out(["roc_auc", "f1"], y, None, "test", ("red", "wet")) == [
        "roc_auc/test is left out: label red is 1 in every row there"
    ]
    assert "roc_auc/test" not in metrics.measure("multilabel", np.full((2, 2), 0.5), np.zeros(2), y, "test", ["roc_auc", "f1"])
