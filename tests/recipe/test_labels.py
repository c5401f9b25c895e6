"""Labels of which a row may have several: the loss at numbers worked out by hand, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pipeline.config.spec import experiment
from pipeline.data import DataShape
from pipeline.errors import ConfigError, DataError
from pipeline.recipe.losses import BinaryCrossEntropy
from tests.program.configs import program, slope_and_difference
from tests.refusal import refused

BACKENDS = pytest.mark.parametrize("backend", ["reference", "numpy"])
LABELS = DataShape(input_shape=(2,), targets=2, labels=True)
Y = np.array([[1.0, 0.0], [1.0, 1.0]])


def passing(backend: str, **changes: Any) -> Any:
    """A network whose output is its input."""
    made = program(shape=LABELS, backend={"kind": backend}, **changes)
    made.load_parameters({"fc1.weight": np.eye(2), "fc1.bias": np.zeros(2)})
    return made


@BACKENDS
@pytest.mark.parametrize("loss", ["auto", "binary_cross_entropy"])
def test_each_label_is_a_logistic_regression_of_its_own(loss: str, backend: str) -> None:
    made = passing(backend, loss=loss)
    x = np.array([[math.log(3.0), math.log(3.0)], [0.0, -math.log(7.0)]])
    probability = np.array([[3 / 4, 3 / 4], [1 / 2, 1 / 8]])
    prediction, row_loss = made.evaluate(x, Y)
    np.testing.assert_allclose(prediction, probability, rtol=1e-14)
    np.testing.assert_allclose(row_loss, [(-math.log(3 / 4) - math.log(1 / 4)) / 2, (-math.log(1 / 2) - math.log(1 / 8)) / 2], rtol=1e-13)
    slopes = (probability - Y) / 4
    gradient = made.gradients(x, Y)
    np.testing.assert_allclose(gradient["fc1.bias"], slopes.sum(axis=0), atol=1e-14)
    np.testing.assert_allclose(gradient["fc1.weight"], x.T @ slopes, atol=1e-14)


@BACKENDS
def test_large_logits_neither_overflow_nor_lose_what_is_small(backend: str) -> None:
    made = passing(backend)
    _, row_loss = made.evaluate(np.array([[800.0, -800.0], [40.0, 40.0]]), Y)
    np.testing.assert_allclose(row_loss, [0.0, math.exp(-40.0)], rtol=1e-13)
    assert made.evaluate(np.array([[-800.0, 0.0]]), Y[:1])[1][0] == pytest.approx((800 + math.log(2)) / 2)


@BACKENDS
def test_the_gradient_is_the_slope_of_the_loss(backend: str) -> None:
    rng = np.random.default_rng(0)
    made = program(5, shape=DataShape(input_shape=(4,), targets=3, labels=True), activation="tanh", backend={"kind": backend})
    x, y = rng.normal(size=(16, 4)), rng.integers(0, 2, (16, 3))
    slope, difference = slope_and_difference(made, x, y)
    assert slope == pytest.approx(difference, rel=1e-6)
    assert made.structure.network.loss == BinaryCrossEntropy() and made.predict(x).shape == (16, 3)


def test_it_starts_at_ln_2() -> None:
    made = program(shape=LABELS, initialization={"kind": "zeros"})
    assert made.loss(np.ones((2, 2)), Y) == pytest.approx(math.log(2))


def test_what_is_no_label_is_named_by_row_and_label() -> None:
    sentence = "y[1, 0] = 0.5: must be 0 or 1; a row may have several labels, each is there or not"
    with refused(sentence, DataError):
        passing("reference").loss(np.zeros((2, 2)), np.array([[1, 0], [0.5, 1]]))


@pytest.mark.parametrize(
    ("config", "shape", "sentence"),
    [
        ({"loss": "huber"}, LABELS, "huber: needs numbers, and the data has labels as targets; use loss=auto, or data.task=regression"),
        ({"loss": "hinge"}, LABELS, "hinge: needs classes, and the data has labels as targets; use loss=auto"),
        (
            {"loss": "binary_cross_entropy"},
            DataShape(input_shape=(2,), classes=2),
            "binary_cross_entropy: needs labels, and the data has classes as targets; use loss=auto",
        ),
        (
            {"loss": "binary_cross_entropy"},
            DataShape(input_shape=(2,), targets=2),
            "binary_cross_entropy: needs labels, and the data has numbers as targets; use loss=auto",
        ),
    ],
    ids=["numbers", "classes", "of classes", "of numbers"],
)
def test_a_loss_for_something_else_is_refused(config: dict[str, Any], shape: DataShape, sentence: str) -> None:
    with refused(f"loss.kind = {sentence}", ConfigError):
        program(shape=shape, **config)


def test_a_declared_task_is_held_against_the_loss_before_the_data_are_read() -> None:
    with refused("loss.kind = hinge: needs classes, and data.task is multilabel; use loss=auto", ConfigError):
        experiment({"loss": "hinge", "data": {"task": "multilabel"}})
    with refused("loss.kind = binary_cross_entropy: needs labels, and data.task is regression; use loss=auto", ConfigError):
        experiment({"loss": "binary_cross_entropy", "data": {"task": "regression"}})
