"""Losses at numbers worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pipeline.config.spec import experiment
from pipeline.data import DataShape
from pipeline.errors import ConfigError, DataError
from pipeline.program.program import Program
from tests.program.configs import CLASSES, NUMBERS, TWO_CLASSES, config, data, program
from tests.refusal import refused

BACKENDS = pytest.mark.parametrize("backend", ["reference", "numpy"])


def passing(shape: DataShape, backend: str, **changes: Any) -> Program:
    """A network whose output is its input."""
    made = program(shape=shape, backend={"kind": backend}, **changes)
    width = shape.classes or shape.targets or 0
    made.load_parameters({"fc1.weight": np.eye(width), "fc1.bias": np.zeros(width)})
    return made


TWO = DataShape(input_shape=(2,), classes=None, targets=2)
THREE = DataShape(input_shape=(3,), classes=3, targets=None)


@BACKENDS
@pytest.mark.parametrize(
    ("loss", "rows", "slopes"),
    [
        ({"kind": "mean_absolute"}, [1.5, 0.25], [[0.25, -0.25], [0.25, 0.0]]),
        # delta 1: errors 1, -2 and 0.5, 0: (1/2 + 2 - 1/2) / 2 and (1/8) / 2
        ({"kind": "huber"}, [1.0, 0.0625], [[0.25, -0.25], [0.125, 0.0]]),
        # delta 0.5: 0.5 (1 - 0.25) + 0.5 (2 - 0.25), and 1/8
        ({"kind": "huber", "delta": 0.5}, [0.625, 0.0625], [[0.125, -0.125], [0.125, 0.0]]),
    ],
    ids=str,
)
def test_losses_of_numbers(loss: dict[str, Any], rows: list[float], slopes: list[list[float]], backend: str) -> None:
    made = passing(TWO, backend, loss=loss)
    x, y = np.array([[2.0, 3.0], [1.0, 4.0]]), np.array([[1.0, 5.0], [0.5, 4.0]])
    prediction, row_loss = made.evaluate(x, y)
    np.testing.assert_array_equal(prediction, x)
    np.testing.assert_allclose(row_loss, rows, rtol=1e-14)
    gradient = made.gradients(x, y)
    np.testing.assert_allclose(gradient["fc1.bias"], np.sum(slopes, axis=0), atol=1e-14)
    np.testing.assert_allclose(gradient["fc1.weight"], x.T @ slopes, atol=1e-14)


@BACKENDS
def test_hinge(backend: str) -> None:
    made = passing(THREE, backend, loss={"kind": "hinge"})
    x, y = np.array([[3.0, 1.0, 2.5], [3.0, 1.0, 2.5], [5.0, 0.0, 0.0]]), np.array([0, 1, 0])
    prediction, row_loss = made.evaluate(x, y)
    np.testing.assert_allclose(row_loss, [0.5, 3.0 + 2.5, 0.0], rtol=1e-14)
    np.testing.assert_allclose(prediction, np.exp(x) / np.exp(x).sum(1, keepdims=True), rtol=1e-13)
    slopes = np.array([[-1, 0, 1], [1, -2, 1], [0, 0, 0]]) / 3
    np.testing.assert_allclose(made.gradients(x, y)["fc1.bias"], slopes.sum(0), atol=1e-14)


def test_hinge_starts_at_the_number_of_wrong_classes() -> None:
    made = program(shape=CLASSES, loss={"kind": "hinge"}, initialization={"kind": "zeros"})
    assert made.loss(np.ones((6, 4)), np.arange(6) % 3) == 2.0


@BACKENDS
def test_label_smoothing_is_cross_entropy_with_the_mixed_label_in_training_alone(backend: str) -> None:
    made = passing(THREE, backend, regularization={"label_smoothing": 0.3})
    x, y = np.array([[math.log(2.0), math.log(5.0), 0.0]]), np.array([1])
    p = np.array([2 / 8, 5 / 8, 1 / 8])
    mixed = np.array([0.1, 0.8, 0.1])
    assert made.loss(x, y, training=True) == pytest.approx(-float(mixed @ np.log(p)), rel=1e-13)
    np.testing.assert_allclose(made.gradients(x, y)["fc1.bias"], p - mixed, rtol=1e-13)
    assert made.loss(x, y) == pytest.approx(-math.log(5 / 8), rel=1e-13)


@pytest.mark.parametrize(("loss", "shape"), [("hinge", CLASSES), ("logistic", TWO_CLASSES), ("huber", NUMBERS), ("auto", NUMBERS)], ids=str)
def test_label_smoothing_needs_softmax_cross_entropy(loss: str, shape: DataShape) -> None:
    with pytest.raises(ConfigError) as caught:
        program(shape=shape, loss=loss, regularization={"label_smoothing": 0.1})
    kind = "mean_squared_error" if loss == "auto" else loss
    rule = f"is for softmax_cross_entropy, and the loss is {kind}; give 0"
    assert str(caught.value) == f"regularization.label_smoothing = 0.1: {rule}"


def test_losses_of_numbers_are_refused_for_classes_and_the_other_way() -> None:
    with pytest.raises(ConfigError) as caught:
        experiment({"loss": "huber", "data": {"task": "classification"}})
    assert str(caught.value) == "loss.kind = huber: needs numbers, and data.task is classification; use loss=auto"
    with pytest.raises(ConfigError) as caught:
        experiment({"loss": "hinge", "data": {"task": "regression"}})
    assert str(caught.value) == "loss.kind = hinge: needs classes, and data.task is regression; use loss=auto"


def test_delta_is_a_value_and_smoothing_a_value_where_it_is() -> None:
    digests = {program(5, shape=NUMBERS, loss={"kind": "huber", "delta": d}).digest for d in (0.5, 2.0)}
    assert len(digests) == 1
    assert len({program(5, regularization={"label_smoothing": s}).digest for s in (0.0, 0.1, 0.2)}) == 2


def test_what_holds_for_the_network_is_refused_in_a_layer() -> None:
    layer = {"kind": "dense", "units": 3, "regularization": {"clip_norm": 1.0}}
    with pytest.raises(ConfigError) as caught:
        config(architecture={"layers": [layer]})
    place = "architecture.layers[0].regularization.clip_norm"
    assert str(caught.value) == f"{place} = 1.0: holds for the network as a whole; give regularization.clip_norm=1.0"


@BACKENDS
@pytest.mark.parametrize(("loss", "classes"), [("softmax_cross_entropy", 3), ("hinge", 3), ("logistic", 2)])
@pytest.mark.parametrize("kind", [np.float32, np.int64, np.bool_])
def test_one_hot_targets_are_their_classes(loss: str, classes: int, kind: Any, backend: str) -> None:
    x, y = data(shape=CLASSES if classes == 3 else TWO_CLASSES)
    made = program(5, shape=CLASSES if classes == 3 else TWO_CLASSES, loss=loss, backend={"kind": backend})
    hot = np.eye(classes)[y].astype(kind)
    assert made.loss(x, hot) == made.loss(x, y)
    np.testing.assert_array_equal(made.gradients(x, hot)["fc1.weight"], made.gradients(x, y)["fc1.weight"])
    np.testing.assert_array_equal(made.evaluate(x, hot)[1], made.evaluate(x, y)[1])
    other = program(5, shape=CLASSES if classes == 3 else TWO_CLASSES, loss=loss, backend={"kind": backend})
    np.testing.assert_array_equal(made.run(x, hot, np.arange(16).reshape(2, 8)), other.run(x, y, np.arange(16).reshape(2, 8)))


@pytest.mark.parametrize(
    ("y", "sentence"),
    [
        (
            np.array([[0, 1, 0], [0.5, 0.5, 0]]),
            "y[1] = [0.5, 0.5, 0. ]: must be one-hot, a single 1 among zeros; give the classes themselves, or y.argmax(axis=1)",
        ),
        (
            np.array([[1, 1, 0], [0, 1, 0]]),
            "y[0] = [1, 1, 0]: must be one-hot, a single 1 among zeros; give the classes themselves, or y.argmax(axis=1)",
        ),
        (np.eye(2), "y has shape [2, 2]: must be [2], or one-hot [2, 3]; give one class for each row of x"),
    ],
    ids=["soft", "two", "width"],
)
def test_rows_that_are_not_one_hot_are_named(y: Any, sentence: str) -> None:
    with refused(sentence, DataError):
        program().loss(np.zeros((2, 4)), y)
