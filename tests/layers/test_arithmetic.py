"""What the layers compute, against formulas written out here."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline import random
from pipeline.data import DataShape
from pipeline.graph.values import Array
from pipeline.recipe.course import Course
from tests.program.configs import CLASSES, NUMBERS, TWO_CLASSES, data, order, program, slope_and_difference

ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "identity": lambda x: x,
    "elu": lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1),
    "gelu": lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "prelu": lambda x: np.maximum(x, 0) + 0.25 * np.minimum(x, 0),
}


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_dense_activation_dense(kind: str) -> None:
    made, (x, y) = program(5, shape=NUMBERS, activation={"kind": kind}), data(shape=NUMBERS)
    p = made.parameters()
    expected = ACTIVATIONS[kind](x @ p["fc1.weight"] + p["fc1.bias"]) @ p["fc2.weight"] + p["fc2.bias"]
    np.testing.assert_allclose(made.predict(x), expected, rtol=1e-12)
    np.testing.assert_allclose(made.evaluate(x, y)[1], np.mean((expected - y) ** 2, axis=1), rtol=1e-12)
    assert made.loss(x, y) == pytest.approx(np.mean((expected - y) ** 2), rel=1e-12)


def test_softmax_cross_entropy() -> None:
    made, (x, y) = program(), data()
    p = made.parameters()
    powers = np.exp(x @ p["fc1.weight"] + p["fc1.bias"])
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    prediction, row_loss = made.evaluate(x, y)
    np.testing.assert_allclose(prediction, probabilities, rtol=1e-12)
    np.testing.assert_allclose(row_loss, -np.log(probabilities[np.arange(len(y)), y]), rtol=1e-12)


def test_logistic_gives_the_probabilities_of_both_classes() -> None:
    made, (x, y) = program(shape=TWO_CLASSES, loss={"kind": "logistic"}), data(shape=TWO_CLASSES)
    p = made.parameters()
    positive = 1 / (1 + np.exp(-(x @ p["fc1.weight"] + p["fc1.bias"])[:, 0]))
    prediction, row_loss = made.evaluate(x, y)
    np.testing.assert_allclose(prediction, np.stack([1 - positive, positive], axis=1), rtol=1e-12)
    np.testing.assert_allclose(row_loss, -np.log(np.where(y == 1, positive, 1 - positive)), rtol=1e-12)


def normalized(x: Array, mean: Array, variance: Array) -> Array:
    return (x - mean) / np.sqrt(variance + 1e-5)


def test_batch_norm_uses_the_batch_in_training_and_running_statistics_in_evaluation() -> None:
    changes = {"normalization": {"kind": "batch", "momentum": 0.7}, "activation": {"kind": "identity"}}
    made, (x, y) = program(5, shape=NUMBERS, **changes), data(8, NUMBERS)
    p = made.parameters()
    z = x @ p["fc1.weight"]
    head = lambda h: h @ p["fc2.weight"] + p["fc2.bias"]  # noqa: E731
    training = np.mean((head(normalized(z, z.mean(0), z.var(0))) - y) ** 2)
    assert made.loss(x, y, training=True) == pytest.approx(training, rel=1e-12)
    np.testing.assert_allclose(made.predict(x), head(normalized(z, np.zeros(5), np.ones(5))), rtol=1e-12)
    made.step(x, y)
    state = made.state()
    np.testing.assert_allclose(state["bn1.running_mean"], 0.3 * z.mean(0), rtol=1e-12)
    np.testing.assert_allclose(state["bn1.running_variance"], 0.7 + 0.3 * z.var(0), rtol=1e-12)


def test_population_statistics_are_the_means_over_the_epoch_so_far() -> None:
    frozen = {"optimizer": {"kind": "sgd", "learning_rate": 1e-300}}
    made, (x, y) = program(5, normalization={"kind": "batch", "statistics": "population"}, **frozen), data()
    made.follow(Course(steps_per_epoch=3))
    rows = order(5)
    made.run(x, y, rows)
    z = x[rows[3:]] @ made.parameters()["fc1.weight"]  # steps 3 and 4 belong to the second epoch
    state = made.state()
    np.testing.assert_allclose(state["bn1.running_mean"], z.mean((0, 1)), rtol=1e-12)
    np.testing.assert_allclose(state["bn1.running_variance"], z.var(1).mean(0) * 8 / 7, rtol=1e-12)


def test_dropout_keeps_what_the_generator_says_and_scales_it() -> None:
    changes = {"regularization": {"dropout": "inverted", "keep_prob": 0.75}, "activation": {"kind": "identity"}, "seed": 5}
    made, (x, y) = program(6, shape=NUMBERS, **changes), data(8, NUMBERS)
    p = made.parameters()
    for step in range(2):
        p = made.parameters()
        mask = random.uniform(5, random.DROPOUT, "dropout1", step, 48).reshape(8, 6) < 0.75
        h = (x @ p["fc1.weight"] + p["fc1.bias"]) * mask / 0.75
        expected = np.mean((h @ p["fc2.weight"] + p["fc2.bias"] - y) ** 2)
        assert made.loss(x, y, training=True) == pytest.approx(expected, rel=1e-12)
        assert made.step(x, y) == pytest.approx(expected, rel=1e-12)


def test_dropout_that_keeps_everything_changes_nothing() -> None:
    plain, kept = program(6), program(6, regularization={"dropout": "inverted", "keep_prob": 1.0})
    x, y = data()
    np.testing.assert_array_equal(plain.run(x, y, order(5)), kept.run(x, y, order(5)))


def test_l2_is_half_the_squares_of_the_weights_alone() -> None:
    made, (x, y) = program(6, normalization={"kind": "batch"}, regularization={"l2": 0.3}), data()
    weights = [made.parameters()[name] for name in ("fc1.weight", "fc2.weight")]
    assert made.penalty() == pytest.approx(0.15 * sum(np.sum(w**2) for w in weights), rel=1e-12)
    assert made.loss(x, y) == pytest.approx(np.mean(made.evaluate(x, y)[1]) + made.penalty(), rel=1e-12)
    without = program(6, normalization={"kind": "batch"})
    added = {name: g - without.gradients(x, y)[name] for name, g in made.gradients(x, y).items()}
    np.testing.assert_allclose(added["fc1.weight"], 0.3 * weights[0], atol=1e-12)
    assert max(np.abs(added[name]).max() for name in added if not name.endswith("weight")) < 1e-12
    assert without.penalty() == 0.0


def test_a_layer_may_have_an_l2_of_its_own() -> None:
    layers = [{"kind": "dense", "units": 6, "regularization": {"l2": 0.5}}]
    made = program(architecture={"layers": layers})
    assert made.penalty() == pytest.approx(0.25 * np.sum(made.parameters()["fc1.weight"] ** 2), rel=1e-12)


@pytest.mark.parametrize("shape", [CLASSES, NUMBERS])
def test_gradients_are_those_of_finite_differences(shape: DataShape) -> None:
    changes = {"normalization": {"kind": "batch"}, "activation": {"kind": "tanh"}, "regularization": {"l2": 0.1}}
    made = program(5, shape=shape, **changes)
    slope, difference = slope_and_difference(made, *data(8, shape))
    assert difference == pytest.approx(slope, rel=1e-7)
