"""Equalities that hold exactly: batch norm undone, dropout in expectation, two classes as one logit, the loss that training starts with."""

# N batch, U hidden units, T targets
from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pipeline.data import DataShape
from pipeline.program.program import Program
from tests.program.configs import NUMBERS, TWO_CLASSES, data, order, program

BACKENDS = pytest.mark.parametrize("backend", ["reference", "numpy"])
LINEAR = {"activation": {"kind": "identity"}}


def passing_batch_norm(shape: tuple[int, ...], backend: str, **changes: Any) -> tuple[Program, str]:
    """x -> batch norm -> the same numbers, were it not for batch norm -> the program and the name of its norm."""
    channels, count = shape[-1], math.prod(shape)
    layer = {"kind": "dense", "units": channels} if len(shape) == 1 else {"kind": "conv", "channels": channels, "kernel": 1}
    norm = {"kind": "batch", "epsilon": 1e-3, "momentum": 0.0}
    made = program(
        shape=DataShape(input_shape=shape, classes=None, targets=count),
        architecture={"layers": [layer], "head": "auto"},
        normalization=norm, backend={"kind": backend}, optimizer={"kind": "sgd", "learning_rate": 1e-300}, **LINEAR, **changes,
    )  # fmt: skip
    p = made.parameters()
    first, last = (name for name in p if name.endswith("weight"))
    identity = {first: np.eye(channels).reshape(p[first].shape), last: np.eye(count)}
    made.load_parameters({**p, **identity})
    return made, "bn1"


@BACKENDS
@pytest.mark.parametrize("shape", [(5,), (3, 2, 4), (1, 7, 17)], ids=str)
def test_batch_norm_with_the_batch_statistics_as_gamma_and_beta_changes_nothing(shape: tuple[int, ...], backend: str) -> None:
    """gamma = sqrt(var + epsilon), beta = mean  (Ioffe & Szegedy 2015, section 3), far from zero mean and unit variance."""
    made, norm = passing_batch_norm(shape, backend)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(9, *shape)) * rng.uniform(0.1, 5.0, shape[-1]) + rng.uniform(-3.0, 3.0, shape[-1])
    y, rows = x.reshape(9, -1), x.reshape(-1, shape[-1])
    assert made.loss(x, y, training=True) > 0.1
    undone = {f"{norm}.gamma": np.sqrt(rows.var(0) + 1e-3), f"{norm}.beta": rows.mean(0)}
    made.load_parameters({**made.parameters(), **undone})
    assert made.loss(x, y, training=True) < 1e-24  # the mean square of a difference of 1e-12
    # a running statistic that keeps nothing of the old one is that of the batch: evaluation gives the input back too
    made.step(x, y)
    np.testing.assert_allclose(made.predict(x), y, rtol=1e-12, atol=1e-12)


@BACKENDS
@pytest.mark.parametrize("dropout", ["inverted", "traditional"])
def test_what_dropout_gives_in_training_has_the_evaluation_as_its_mean_and_the_variance_of_its_masks(dropout: str, backend: str) -> None:
    """20,000 rows of one input, each with masks of its own, read off the losses of the program.

    The network is linear in the masks: out_t = sum over u of m_u h_u w_ut (/ keep), so its variance is the sum of (h_u w_ut)^2 times
    (1 - keep) / keep, or times keep (1 - keep) when nothing is divided.
    """
    keep, n, far = 0.6, 20_000, 1000.0
    regularization = {"dropout": dropout, "keep_prob": keep}
    made = program(6, shape=NUMBERS, loss="mean_absolute", regularization=regularization, backend={"kind": backend}, **LINEAR)
    rng = np.random.default_rng(3)
    p = {name: rng.normal(size=value.shape) for name, value in made.parameters().items()}
    made.load_parameters(p)
    row = rng.normal(size=4)
    x, parts = np.tile(row, (n, 1)), (row @ p["fc1.weight"] + p["fc1.bias"])[:, None] * p["fc2.weight"]  # [U, T]
    expected = made.predict(x[:1])[0]
    share = (1 - keep) / keep if dropout == "inverted" else keep * (1 - keep)
    error = math.sqrt(share * float((parts.mean(1) ** 2).sum()) / n)  # of the mean over the targets
    found = made.loss(x, np.full((n, 2), -far), training=True) - far  # |out + far| = out + far
    assert abs(found - expected.mean()) < 4 * error
    # without the scaling of either kind the mean would be elsewhere
    other = expected * keep if dropout == "inverted" else expected / keep
    assert abs(found - other.mean()) > 30 * error
    squares = program(6, shape=NUMBERS, regularization=regularization, backend={"kind": backend}, **LINEAR)
    squares.load_parameters(p)
    variance = squares.loss(x, np.tile(expected, (n, 1)), training=True)
    assert variance == pytest.approx(share * float((parts**2).sum(0).mean()), rel=0.05)


@BACKENDS
def test_a_softmax_over_two_classes_is_logistic_regression_of_the_difference_of_its_logits(backend: str) -> None:
    softmax = program(5, shape=TWO_CLASSES, activation="tanh", backend={"kind": backend})
    logistic = program(5, shape=TWO_CLASSES, activation="tanh", loss="logistic", backend={"kind": backend})
    rng, (x, y) = np.random.default_rng(4), data(shape=TWO_CLASSES)
    p = {name: rng.normal(size=value.shape) for name, value in softmax.parameters().items()}
    softmax.load_parameters(p)
    difference = {name: value[..., 1:] - value[..., :1] for name, value in p.items() if name.startswith("fc2")}
    logistic.load_parameters({**p, **difference})
    for one, other in zip(softmax.evaluate(x, y), logistic.evaluate(x, y), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    mine, theirs = softmax.gradients(x, y), logistic.gradients(x, y)
    for name, gradient in theirs.items():
        own = mine[name]
        if name.startswith("fc2"):
            np.testing.assert_allclose(own[..., :1], -own[..., 1:], rtol=1e-12, atol=1e-15)
            own = own[..., 1:]
        np.testing.assert_allclose(own, gradient, rtol=1e-12, atol=1e-15)


@BACKENDS
def test_a_softmax_over_two_classes_trains_as_logistic_regression_at_twice_the_rate(backend: str) -> None:
    """Both columns of its weight move, in opposite directions, so their difference moves twice as far."""
    softmax = program(shape=TWO_CLASSES, optimizer={"kind": "sgd", "learning_rate": 0.3}, backend={"kind": backend})
    logistic = program(shape=TWO_CLASSES, loss="logistic", optimizer={"kind": "sgd", "learning_rate": 0.6}, backend={"kind": backend})
    x, y = data(shape=TWO_CLASSES)
    logistic.load_parameters({name: value[..., 1:] - value[..., :1] for name, value in softmax.parameters().items()})
    np.testing.assert_allclose(softmax.run(x, y, order(12)), logistic.run(x, y, order(12)), rtol=1e-12)
    for name, value in softmax.parameters().items():
        np.testing.assert_allclose(value[..., 1:] - value[..., :1], logistic.parameters()[name], rtol=1e-11, atol=1e-14)


@BACKENDS
@pytest.mark.parametrize(("classes", "start"), [(2, 0.6931471805599453), (4, 1.3862943611198906), (10, 2.302585092994046)])
def test_a_network_that_knows_nothing_has_the_loss_ln_of_the_number_of_classes(classes: int, start: float, backend: str) -> None:
    shape = DataShape(input_shape=(4,), classes=classes, targets=None)
    made, (x, y) = program(5, shape=shape, initialization={"kind": "zeros"}, backend={"kind": backend}), data(shape=shape)
    assert made.loss(x, y, training=True) == pytest.approx(start, rel=1e-14)
    if classes == 2:
        made = program(shape=shape, loss="logistic", initialization={"kind": "zeros"}, backend={"kind": backend})
        assert made.loss(x, y, training=True) == pytest.approx(start, rel=1e-14)


@BACKENDS
def test_logits_may_be_shifted_together(backend: str) -> None:
    """softmax(z + c) = softmax(z), however large c is: nothing overflows."""
    shape = DataShape(input_shape=(4,), classes=5, targets=None)
    made, (x, y) = program(shape=shape, backend={"kind": backend}), data(shape=shape)
    p, loss = made.parameters(), made.loss(x, y)
    for shift in (-1e4, 1e4):
        made.load_parameters({**p, "fc1.bias": p["fc1.bias"] + shift})
        assert made.loss(x, y) == pytest.approx(loss, rel=1e-11)
