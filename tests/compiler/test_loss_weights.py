"""Class weights and sample weights against the formula, written out in float64 NumPy."""

# N rows, C classes
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pipeline
from pipeline.compiler.loss_weights import balanced, note
from pipeline.config.spec import experiment
from pipeline.errors import ConfigError, DataError
from pipeline.graph.values import Array
from pipeline.program.make import compile_stack
from pipeline.program.program import Program
from tests.program.configs import CLASSES, NUMBERS, TWO_CLASSES, config, data, order, program
from tests.refusal import refused

BACKENDS = pytest.mark.parametrize("backend", ["reference", "numpy"])


def softmax_losses(made: Program, x: Array, y: Array) -> tuple[Array, Array]:
    """Row losses [N] and d row loss / d logits [N, C] of a network without hidden layers."""
    parameters = made.parameters()
    z = x @ parameters["fc1.weight"] + parameters["fc1.bias"]
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return -np.log(p[np.arange(len(y)), y]), p - np.eye(p.shape[1])[y]


@BACKENDS
def test_the_loss_is_the_sum_of_weighted_losses_over_the_number_of_rows(backend: str) -> None:
    x, y = data()
    own, of_class = np.random.default_rng(3).uniform(0, 4, len(y)), np.array([0.5, 2.0, 1.25])
    made = program(loss={"kind": "auto", "class_weights": of_class.tolist()}, backend={"kind": backend})
    row_loss, slopes = softmax_losses(made, x, y)
    weight = own * of_class[y]
    expected = float(np.sum(weight * row_loss) / len(y))
    assert made.loss(x, y, sample_weight=own) == pytest.approx(expected, rel=1e-13)
    assert made.loss(x, y, training=True, sample_weight=own) == pytest.approx(expected, rel=1e-13)
    gradient = made.gradients(x, y, own)
    np.testing.assert_allclose(gradient["fc1.weight"], x.T @ (slopes * weight[:, None]) / len(y), atol=1e-14)
    np.testing.assert_allclose(gradient["fc1.bias"], (slopes * weight[:, None]).sum(0) / len(y), atol=1e-14)
    np.testing.assert_allclose(made.evaluate(x, y)[1], of_class[y] * row_loss, rtol=1e-12)


@BACKENDS
def test_logistic_and_hinge_take_class_weights(backend: str) -> None:
    x, y = data(shape=TWO_CLASSES)
    made = program(shape=TWO_CLASSES, loss={"kind": "logistic", "class_weights": [3.0, 0.25]}, backend={"kind": backend})
    z = (x @ made.parameters()["fc1.weight"] + made.parameters()["fc1.bias"])[:, 0]
    expected = np.array([3.0, 0.25])[y] * np.log1p(np.exp(np.where(y == 1, -z, z)))
    np.testing.assert_allclose(made.evaluate(x, y)[1], expected, rtol=1e-12)
    assert made.loss(x, y, training=True) == pytest.approx(float(expected.mean()), rel=1e-13)
    x, y = data()
    plain = program(loss="hinge", backend={"kind": backend})
    heavy = program(loss={"kind": "hinge", "class_weights": [1.0, 4.0, 0.0]}, backend={"kind": backend})
    np.testing.assert_allclose(heavy.evaluate(x, y)[1], np.array([1.0, 4.0, 0.0])[y] * plain.evaluate(x, y)[1], rtol=1e-13)


@BACKENDS
def test_numbers_take_sample_weights_and_weight_two_is_the_row_twice(backend: str) -> None:
    x, y = data(shape=NUMBERS)
    weight = np.random.default_rng(4).integers(0, 3, len(x)).astype(np.float64)
    made = program(3, shape=NUMBERS, backend={"kind": backend})
    again = np.repeat(np.arange(len(x)), weight.astype(int))
    share = len(again) / len(x)
    assert made.loss(x, y, True, weight) == pytest.approx(share * made.loss(x[again], y[again], True), rel=1e-13)
    mine, theirs = made.gradients(x, y, weight), made.gradients(x[again], y[again])
    for name in mine:
        np.testing.assert_allclose(mine[name], share * theirs[name], atol=1e-13)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_weights_of_one_change_no_bit(precision: str) -> None:
    x, y = data()
    losses = []
    for changes, weight in (({}, None), ({}, np.ones(len(y))), ({"loss": {"kind": "auto", "class_weights": [1, 1, 1]}}, None)):
        made = program(5, backend={"kind": "numpy"}, precision=precision, **changes)
        losses.append(made.run(x, y, order(6), weight))
    np.testing.assert_array_equal(losses[0], losses[1])
    np.testing.assert_array_equal(losses[0], losses[2])


def test_label_smoothing_is_weighted_by_the_class_of_the_label() -> None:
    x, y = data()
    plain = program(regularization={"label_smoothing": 0.2})
    heavy = program(regularization={"label_smoothing": 0.2}, loss={"kind": "auto", "class_weights": [1, 3, 0.5]})
    rows = [plain.loss(x[i : i + 1], y[i : i + 1], training=True) for i in range(len(y))]
    assert heavy.loss(x, y, training=True) == pytest.approx(float(np.mean(np.array([1, 3, 0.5])[y] * rows)), rel=1e-13)


def test_class_weights_are_values_and_trials_of_a_stack_keep_their_own() -> None:
    x, y = data()
    weights = ([1.0, 1.0, 1.0], [4.0, 1.0, 0.0])
    configs = [config(5, loss={"kind": "auto", "class_weights": list(w)}, backend={"kind": "numpy"}) for w in weights]
    stack = compile_stack(configs, CLASSES)
    losses = stack.run(x, y, np.stack([order(4)] * 2), np.linspace(0, 2, len(y)))
    for w, row in zip(weights, losses, strict=True):
        alone = program(5, loss={"kind": "auto", "class_weights": list(w)}, backend={"kind": "numpy"})
        np.testing.assert_array_equal(alone.run(x, y, order(4), np.linspace(0, 2, len(y))), row)
    assert len({program(5, loss={"kind": "auto", "class_weights": w}).digest for w in (*map(list, weights), "balanced")}) == 1


def test_unweighted_structures_are_what_they_were() -> None:
    assert pipeline.compile({"data": {"kind": "digits"}}).digest == DIGITS
    assert program(5).digest != program(5, loss={"kind": "auto", "class_weights": [1, 1, 1]}).digest


DIGITS = "346678ce6f4ebf2c"  # of the default experiment before there were weights


def test_balanced_gives_the_numbers_of_scikit_learn() -> None:
    utils = pytest.importorskip("sklearn.utils.class_weight")
    y = np.repeat([0, 1, 2, 4], [3, 10, 1, 6])
    expected = utils.compute_class_weight("balanced", classes=np.array([0, 1, 2, 4]), y=y)
    found = balanced(y, 5)
    np.testing.assert_allclose(found[[0, 1, 2, 4]], expected, rtol=1e-15)
    assert found[3] == 1.0 and found[y].mean() == pytest.approx(1.0, rel=1e-15)
    made = program(loss={"kind": "auto", "class_weights": "balanced"})
    _, labels = data()
    assert made.balance(labels) and not program().balance(labels)
    np.testing.assert_allclose(made.class_weights, utils.compute_class_weight("balanced", classes=np.arange(3), y=labels), rtol=1e-15)


def test_balanced_asks_for_the_labels_and_a_state_holds_them() -> None:
    x, y = data()
    sentence = "loss.class_weights = balanced: needs the training labels; call program.balance(y) first, or give the weights as a list"
    made = program(loss={"kind": "auto", "class_weights": "balanced"})
    for use in (lambda: made.loss(x, y), lambda: made.gradients(x, y), lambda: made.run(x, y, order(1)), lambda: made.class_weights):
        with refused(sentence):
            use()
    assert made.predict(x).shape == (40, 3)
    other = program(loss={"kind": "auto", "class_weights": "balanced"})
    other.balance(y)
    made.load_state(other.state())
    assert made.loss(x, y) == other.loss(x, y)


def test_the_note_names_every_class_or_the_lightest_and_the_heaviest() -> None:
    assert note(np.array([0.5, 1.75]), ["no", "yes"]) == "class weights, balanced: no 0.5, yes 1.75"
    many = np.linspace(2, 0.5, 11)
    assert note(many, [f"c{i}" for i in range(11)]) == "class weights, balanced: from 0.5 (c10) to 2 (c0)"


def test_a_diverging_weighted_step_is_explained() -> None:
    x, y = data()
    made = program(5, loss={"kind": "auto", "class_weights": [1, 2, 3]}, backend={"kind": "numpy"})
    x[3] = 1e200
    made.load_parameters({name: np.full_like(value, 1e200) for name, value in made.parameters().items()})
    with pytest.raises(pipeline.errors.DivergedError, match="the first non-finite value is in layer"):
        made.run(x, y, np.arange(8)[None], np.ones(len(y)))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            [1, 2],
            "loss.class_weights = [1.0, 2.0]: has 2 weights, and the data has 3 classes; "
            "give one for each class, in the order of the classes",
        ),
        ([0, 0, 0], "loss.class_weights = [0.0, 0.0, 0.0]: no class has a weight above 0; leave it null where all classes count the same"),
        ([1, -2, 1], "loss.class_weights[1] = -2: must be at least 0"),
        ("balance", "loss.class_weights = balance: must be a list or balanced"),
    ],
    ids=str,
)
def test_class_weights_that_do_not_fit_are_refused(given: Any, sentence: str) -> None:
    with refused(sentence):
        program(loss={"kind": "auto", "class_weights": given})


def test_class_weights_are_refused_for_numbers() -> None:
    with pytest.raises(ConfigError) as caught:
        program(shape=NUMBERS, loss={"kind": "auto", "class_weights": "balanced"})
    hint = "use data.sample_weight, a weight for each row"
    assert str(caught.value) == f"loss.class_weights = balanced: the data has numbers as targets; {hint}"
    with pytest.raises(ConfigError) as caught:
        experiment({"loss": {"kind": "huber", "class_weights": [1, 2]}})
    owners = "auto, softmax_cross_entropy, logistic, hinge, formula"
    assert str(caught.value) == f"loss.class_weights = [1, 2]: huber has no such key; it belongs to {owners}"


@pytest.mark.parametrize(
    ("weight", "sentence"),
    [
        (np.ones(3), "sample_weight has shape [3]: must be [40]; give one weight for each row of x"),
        (np.array(["a"] * 40), "sample_weight has dtype <U1: must hold numbers; turn text into numbers first"),
        (np.r_[np.ones(39), -1], "sample_weight[39] = -1.0: must be a finite number of at least 0; mend it or leave the row out"),
        (np.r_[np.nan, np.ones(39)], "sample_weight[0] = nan: must be a finite number of at least 0; mend it or leave the row out"),
    ],
    ids=["shape", "words", "negative", "nan"],
)
def test_sample_weights_that_cannot_be_are_refused(weight: Array, sentence: str) -> None:
    x, y = data()
    with refused(sentence, DataError):
        program().run(x, y, order(1), weight)
