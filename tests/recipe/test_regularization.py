"""Penalties, clipping, max-norm and both dropouts, against formulas written out here."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline import random
from pipeline.data import DataShape
from tests.program.configs import NUMBERS, data, order, program

X, Y = data()
SGD = {"kind": "sgd", "learning_rate": 0.5}
BACKENDS = pytest.mark.parametrize("backend", ["reference", "numpy"])


@BACKENDS
def test_elastic_net_adds_both_norms_of_the_weights_alone(backend: str) -> None:
    made = program(6, regularization={"l1": 0.3, "l2": 0.2}, backend={"kind": backend})
    without = program(6, backend={"kind": backend})
    weights = {name: w for name, w in made.parameters().items() if name.endswith("weight")}
    expected = sum(0.3 * np.abs(w).sum() + 0.1 * (w**2).sum() for w in weights.values())
    assert made.penalty() == pytest.approx(float(expected), rel=1e-12)
    mine, plain = made.gradients(X, Y), without.gradients(X, Y)
    for name, g in mine.items():
        w = weights.get(name)
        added = 0.0 if w is None else 0.3 * np.sign(w) + 0.2 * w
        np.testing.assert_allclose(g - plain[name], added, atol=1e-12)


def test_l1_does_not_push_a_weight_that_is_zero() -> None:
    made = program(6, initialization={"kind": "zeros"}, regularization={"l1": 5.0})
    assert made.penalty() == 0.0 and not made.gradients(X, Y)["fc1.weight"].any()


@BACKENDS
@pytest.mark.parametrize("bound", [0.01, 1e6])
def test_clip_norm_scales_all_gradients_together(bound: float, backend: str) -> None:
    made = program(6, optimizer=SGD, regularization={"clip_norm": bound}, backend={"kind": backend})
    before, gradient = made.parameters(), made.gradients(X[:8], Y[:8])
    norm = np.sqrt(sum(float((g**2).sum()) for g in gradient.values()))
    assert 0.01 < norm < 1e6
    made.step(X[:8], Y[:8])
    moved = {name: (before[name] - after) / 0.5 for name, after in made.parameters().items()}
    for name, g in gradient.items():
        np.testing.assert_allclose(moved[name], g * min(1.0, bound / norm), rtol=1e-9, atol=1e-15)
    if bound < norm:
        assert np.sqrt(sum(float((m**2).sum()) for m in moved.values())) == pytest.approx(bound, rel=1e-9)


@BACKENDS
def test_clip_value_bounds_each_number(backend: str) -> None:
    made = program(6, optimizer=SGD, regularization={"clip_value": 0.02}, backend={"kind": backend})
    before, gradient = made.parameters(), made.gradients(X[:8], Y[:8])
    made.step(X[:8], Y[:8])
    for name, after in made.parameters().items():
        np.testing.assert_allclose((before[name] - after) / 0.5, np.clip(gradient[name], -0.02, 0.02), rtol=1e-9, atol=1e-15)


@BACKENDS
def test_max_norm_bounds_the_weights_into_each_unit_after_the_step(backend: str) -> None:
    free = program(6, optimizer=SGD, backend={"kind": backend})
    bound = float(np.median(np.sqrt((free.parameters()["fc1.weight"] ** 2).sum(0))))
    made = program(6, optimizer=SGD, regularization={"max_norm": bound}, backend={"kind": backend})
    for one in (free, made):
        one.step(X[:8], Y[:8])
    for name, w in free.parameters().items():
        if name.endswith("weight"):
            length = np.sqrt((w**2).sum(0))
            assert name != "fc1.weight" or (length > bound).any()
            w = w * np.minimum(1.0, bound / length)
        np.testing.assert_allclose(made.parameters()[name], w, rtol=1e-12, atol=1e-15)


@BACKENDS
def test_max_norm_of_a_transposed_convolution_bounds_the_weights_into_each_output_channel(backend: str) -> None:
    shape = DataShape(input_shape=(3, 2, 5), classes=3, targets=None)
    layers = [{"kind": "conv_transpose", "channels": 4, "kernel": [3, 2], "stride": 2}]
    changes = {"architecture": {"layers": layers, "head": "auto"}, "optimizer": SGD, "backend": {"kind": backend}}
    (x, y), name, bound = data(8, shape), "conv_transpose1.weight", 3.0
    free, made = program(shape=shape, **changes), program(shape=shape, regularization={"max_norm": bound}, **changes)
    rng = np.random.default_rng(3)
    scaled = {key: value * rng.uniform(0.2, 3.0, (4, 1)) if key == name else value for key, value in free.parameters().items()}
    for one in (free, made):
        one.load_parameters(scaled)
        one.step(x, y)
    w = free.parameters()[name]  # [kh, kw, O, I]
    length = np.sqrt((w**2).sum((0, 1, 3)))
    assert (length > bound).any() and (length < bound).any()
    np.testing.assert_allclose(made.parameters()[name], w * np.minimum(1.0, bound / length)[:, None], rtol=1e-12, atol=1e-15)


@BACKENDS
def test_traditional_dropout_scales_in_evaluation(backend: str) -> None:
    changes = {"activation": {"kind": "identity"}, "seed": 5, "backend": {"kind": backend}}
    made = program(6, shape=NUMBERS, regularization={"dropout": "traditional", "keep_prob": 0.75}, **changes)
    (x, y), p = data(8, NUMBERS), made.parameters()
    h = x @ p["fc1.weight"] + p["fc1.bias"]
    mask = random.uniform(5, random.DROPOUT, "dropout1", 0, 48).reshape(8, 6) < 0.75
    expected = np.mean(((h * mask) @ p["fc2.weight"] + p["fc2.bias"] - y) ** 2)
    assert made.loss(x, y, training=True) == pytest.approx(float(expected), rel=1e-12)
    np.testing.assert_allclose(made.predict(x), (0.75 * h) @ p["fc2.weight"] + p["fc2.bias"], rtol=1e-12)


@pytest.mark.parametrize("dropout", ["inverted", "traditional"])
def test_a_rate_of_one_fifth_is_a_keep_prob_of_four_fifths(dropout: str) -> None:
    rate, kept = (program(6, regularization={"dropout": dropout, **given}) for given in ({"rate": 0.2}, {"keep_prob": 0.8}))
    assert rate.digest == kept.digest
    np.testing.assert_array_equal(rate.run(X, Y, order(4)), kept.run(X, Y, order(4)))
    np.testing.assert_array_equal(rate.predict(X), kept.predict(X))


@pytest.mark.parametrize("dropout", ["inverted", "traditional"])
def test_the_expectation_of_training_is_the_evaluation(dropout: str) -> None:
    """The masks of 20,000 rows of the same input; the mean of what they give lies within 4 standard errors of the evaluation."""
    made = program(6, shape=NUMBERS, activation="identity", regularization={"dropout": dropout, "keep_prob": 0.6})
    p, n = made.parameters(), 20_000
    x = np.ones((n, 4))
    mask = random.uniform(0, random.DROPOUT, "dropout1", 0, 6 * n).reshape(n, 6) < 0.6
    out = (x @ p["fc1.weight"] + p["fc1.bias"]) * mask / (0.6 if dropout == "inverted" else 1.0) @ p["fc2.weight"] + p["fc2.bias"]
    y = np.zeros((n, 2))
    assert made.loss(x, y, training=True) == pytest.approx(float(np.mean(out**2)), rel=1e-9)
    assert (np.abs(out.mean(0) - made.predict(x[:1])[0]) < 4 * out.std(0) / np.sqrt(n)).all()


def test_values_of_what_is_set_change_no_structure() -> None:
    for field, values in {"clip_norm": (1.0, 2.0), "clip_value": (1.0, 2.0), "max_norm": (1.0, 2.0), "l1": (0.1, 0.2)}.items():
        digests = [program(5, regularization={field: value}).digest for value in values]
        assert digests[0] == digests[1] != program(5).digest, field


def test_everything_at_once_trains_the_same_on_both_backends() -> None:
    everything = {
        "dropout": "traditional", "keep_prob": 0.8, "l1": 1e-3, "l2": 1e-3, "weight_decay": 0.01,
        "max_norm": 1.5, "label_smoothing": 0.1, "clip_value": 0.1, "clip_norm": 0.2,
    }  # fmt: skip
    made = [
        program(33, 17, regularization=everything, normalization="batch", activation=kind, backend={"kind": backend})
        for kind in ("prelu", "elu")
        for backend in ("reference", "numpy")
    ]
    for first, second in (made[:2], made[2:]):
        np.testing.assert_allclose(second.run(X, Y, order(10)), first.run(X, Y, order(10)), rtol=1e-9)


def test_explain_says_what_is_not_decayed() -> None:
    text = program(6, 5, activation="prelu", normalization={"kind": "layer"}, regularization={"l2": 0.1}).explain()
    assert (
        "== decay ==\n"
        "l1, l2, weight_decay and max_norm act on fc1.weight, fc2.weight, fc3.weight\n"
        "no decay, as for every bias, gamma, beta and alpha: fc1.bias, ln1.gamma, ln1.beta, prelu1.alpha, "
        "fc2.bias, ln2.gamma, ln2.beta, prelu2.alpha, fc3.bias\n"
    ) in text
