"""Maxout against the maximum over its linear pieces, where its gradient goes, and softmax as an activation."""

# N batch, U units, k pieces
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.compiler.build import build
from pipeline.config.compose import compose
from pipeline.config.spec import experiment
from pipeline.data import DataShape
from pipeline.graph.values import Array
from tests.program.configs import CLASSES, NUMBERS, TWO_CLASSES, config, data, order, program, slope_and_difference
from tests.refusal import refused

IMAGES = DataShape(input_shape=(5, 4, 3), classes=None, targets=2)
BACKENDS = pytest.mark.parametrize("backend", ["reference", "numpy"])
MAXOUT3 = {"kind": "maxout", "pieces": 3}
SOFTMAX = {"kind": "softmax"}


@BACKENDS
def test_a_unit_is_the_largest_of_its_linear_pieces(backend: str) -> None:
    made, (x, _) = program(5, shape=NUMBERS, activation=MAXOUT3, backend={"kind": backend}), data(9, NUMBERS)
    made.load_parameters({**made.parameters(), "fc1.bias": np.linspace(-1, 1, 15)})
    p = made.parameters()
    assert p["fc1.weight"].shape == (4, 15) and p["fc1.bias"].shape == (15,) and p["fc2.weight"].shape == (5, 2)
    largest = (x @ p["fc1.weight"] + p["fc1.bias"]).reshape(9, 3, 5).max(axis=1)
    np.testing.assert_allclose(made.predict(x), largest @ p["fc2.weight"] + p["fc2.bias"], rtol=1e-12)


@BACKENDS
def test_the_gradient_goes_to_the_first_of_equal_pieces_alone(backend: str) -> None:
    shape = DataShape(input_shape=(1,), classes=None, targets=1)
    made = program(1, shape=shape, activation={"kind": "maxout", "pieces": 4}, backend={"kind": backend})
    ties = {"fc1.weight": [[1.0, 2.0, 2.0, 2.0]], "fc1.bias": np.zeros(4), "fc2.weight": [[1.0]], "fc2.bias": [0.0]}
    made.load_parameters(ties)
    x = np.array([[3.0]])
    gradient = made.gradients(x, made.predict(x) - 0.5)  # the slope of the loss at the prediction is 1
    assert gradient["fc1.bias"].tolist() == [0.0, 1.0, 0.0, 0.0]
    assert gradient["fc1.weight"].tolist() == [[0.0, 3.0, 0.0, 0.0]]


@BACKENDS
@pytest.mark.parametrize("layers", [
    [{"kind": "dense", "units": 5}],
    [{"kind": "conv", "channels": 4}, {"kind": "max_pool"}, {"kind": "conv_transpose", "channels": 3, "stride": 2, "padding": 1}],
    [{"kind": "conv", "channels": 6, "activation": "identity"}, {"kind": "maxout", "pieces": 2}],
], ids=["dense", "conv", "layer"])  # fmt: skip
def test_gradients_are_those_of_finite_differences(layers: list[dict[str, Any]], backend: str) -> None:
    changes = {"normalization": {"kind": "batch"}, "activation": MAXOUT3, "backend": {"kind": backend}}
    made = program(shape=IMAGES, architecture={"layers": layers, "head": "auto"}, **changes)
    slope, difference = slope_and_difference(made, *data(8, IMAGES))
    assert difference == pytest.approx(slope, rel=1e-7)


def test_convolutions_make_pieces_and_pass_on_channels() -> None:
    layers = [{"kind": "conv", "channels": 4}, {"kind": "conv_transpose", "channels": 5, "stride": 2}]
    made = build(config(architecture={"layers": layers, "head": "auto"}, activation=MAXOUT3), IMAGES)
    assert [(node.name, node.shape) for node in made.nodes] == [
        ("conv1", (5, 4, 12)), ("maxout1", (5, 4, 4)), ("conv_transpose1", (10, 8, 15)), ("maxout2", (10, 8, 5)), ("fc1", (2,)),
    ]  # fmt: skip
    weights = [p for p in made.parameters if p.fan_in]
    assert [(p.shape, p.fan_in, p.fan_out) for p in weights[:2]] == [((3, 3, 3, 12), 27, 36), ((3, 3, 15, 4), 9, 45)]


def test_fan_in_counts_inputs_and_fan_out_units() -> None:
    (weight, *_) = build(config(5, activation=MAXOUT3), NUMBERS).parameters
    assert (weight.shape, weight.fan_in, weight.fan_out) == ((4, 15), 4, 5)


def test_the_layer_takes_the_largest_of_channels_that_lie_apart() -> None:
    layers = [{"kind": "maxout", "pieces": 2}]
    made, (x, _) = program(shape=NUMBERS, architecture={"layers": layers, "head": "auto"}), data(6, NUMBERS)
    p = made.parameters()
    expected = np.maximum(x[:, :2], x[:, 2:]) @ p["fc1.weight"] + p["fc1.bias"]
    np.testing.assert_allclose(made.predict(x), expected, rtol=1e-12)


def test_the_native_backend_trains_like_the_reference_and_with_the_same_bits_for_any_threads() -> None:
    x, y = data(shape=CLASSES)
    runs = []
    for settings in ({"kind": "reference"}, {"kind": "numpy", "threads": 1}, {"kind": "numpy", "threads": 3}):
        made = program(33, 17, activation=MAXOUT3, regularization={"dropout": "inverted", "keep_prob": 0.8}, backend=settings)
        runs.append((made.run(x, y, order(8)), made.parameters()))
    np.testing.assert_allclose(runs[1][0], runs[0][0], rtol=1e-9)
    np.testing.assert_array_equal(runs[1][0], runs[2][0])
    assert all(np.array_equal(value, runs[2][1][name]) for name, value in runs[1][1].items())


def test_the_architecture_of_the_paper_has_five_pieces_a_unit() -> None:
    made = build(experiment(compose(["architecture=maxout_mlp"])), DataShape(input_shape=(28, 28, 1), classes=10, targets=None))
    assert sum(node.parameter_count for node in made.nodes) == 785 * 1200 + 241 * 1200 + 241 * 10


# -- softmax ---------------------------------------------------------------------------------------------------------------------


def softmax(z: Array) -> Array:
    powers = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


@BACKENDS
@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_softmax_of_a_hidden_layer(scale: float, backend: str) -> None:
    """A scale of 1000 overflows every exponential that is taken without the maximum."""
    made, (x, _) = program(5, shape=NUMBERS, activation=SOFTMAX, backend={"kind": backend}), data(9, NUMBERS)
    p = made.parameters()
    expected = softmax(scale * x @ p["fc1.weight"]) @ p["fc2.weight"] + p["fc2.bias"]
    np.testing.assert_allclose(made.predict(scale * x), expected, rtol=1e-10)


@BACKENDS
@pytest.mark.parametrize("layers", [[{"kind": "dense", "units": 5}], [{"kind": "conv", "channels": 4}]], ids=["dense", "conv"])
def test_gradients_of_softmax_are_those_of_finite_differences(layers: list[dict[str, Any]], backend: str) -> None:
    made = program(shape=IMAGES, architecture={"layers": layers, "head": "auto"}, activation=SOFTMAX, backend={"kind": backend})
    slope, difference = slope_and_difference(made, *data(8, IMAGES))
    assert difference == pytest.approx(slope, rel=1e-7)


def test_softmax_as_the_output_of_a_regression_gives_shares() -> None:
    layers = [{"kind": "dense", "units": 2}, {"kind": "activation", "activation": "softmax"}]
    made, (x, _) = program(shape=NUMBERS, architecture={"layers": layers, "head": None}), data(6, NUMBERS)
    p = made.parameters()
    z = np.maximum(x @ p["fc1.weight"] + p["fc1.bias"], 0)
    np.testing.assert_allclose(made.predict(x), softmax(z), rtol=1e-12)


DENSE3 = {"kind": "dense", "units": 3}
REJECTED: list[tuple[str, dict[str, Any], DataShape]] = [
    (
        "architecture.layers[0].activation = softmax: loss=softmax_cross_entropy takes logits, what comes before a softmax; "
        "leave the softmax out: predictions are probabilities without it",
        {"architecture": {"layers": [{**DENSE3, "activation": "softmax"}], "head": None}},
        CLASSES,
    ),
    (
        "architecture.layers[1].activation = softmax: loss=hinge takes logits, what comes before a softmax; "
        "leave the softmax out: predictions are probabilities without it",
        {"architecture": {"layers": [DENSE3, {"kind": "activation", "activation": "softmax"}], "head": None}, "loss": {"kind": "hinge"}},
        CLASSES,
    ),
    (
        "architecture.layers[0].pieces = 3: must divide the 4 channels of its input; change one of the two",
        {"architecture": {"layers": [{"kind": "maxout", "pieces": 3}], "head": "auto"}},
        TWO_CLASSES,
    ),
    (
        "architecture.layers[1].activation.pieces = 3: must divide the 5 channels of its input; change one of the two",
        {
            "architecture": {
                "layers": [{"kind": "dense", "units": 5}, {"kind": "activation", "activation": {"kind": "maxout", "pieces": 3}}],
                "head": "auto",
            }
        },
        CLASSES,
    ),
    (
        "activation = maxout: add makes no linear pieces to choose from; give architecture.layers[1] an activation of its own",
        {
            "architecture": {"layers": [{"kind": "dense", "units": 4}, {"kind": "add", "inputs": ["fc1", "input"]}], "head": "auto"},
            "activation": {"kind": "maxout"},
        },
        CLASSES,
    ),
]


@pytest.mark.parametrize(("sentence", "changes", "shape"), REJECTED, ids=[sentence.split(":")[0] for sentence, *_ in REJECTED])
def test_what_does_not_fit_is_refused_in_one_sentence(sentence: str, changes: dict[str, Any], shape: DataShape) -> None:
    with refused(sentence):
        build(config(**changes), shape)
