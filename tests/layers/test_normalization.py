"""Layer, group and instance norm against formulas written out here, and the identity that batch norm can be."""

# N batch, H W image, C channels, G groups
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.compiler.build import build
from pipeline.compiler.remove_biases import remove_biases
from pipeline.data import DataShape
from pipeline.graph.values import Array
from pipeline.program.program import Program
from tests.program.configs import CLASSES, NUMBERS, config, data, order, program
from tests.refusal import refused

IMAGES = DataShape(input_shape=(4, 5, 3), classes=None, targets=2)
BACKENDS = pytest.mark.parametrize("backend", ["reference", "numpy"])
DENSE = [({"kind": "layer"}, 1), ({"kind": "group", "groups": 3}, 3), ({"kind": "group", "groups": 1}, 1)]
CONVOLVED = [({"kind": "layer"}, 1), ({"kind": "group", "groups": 3}, 3), ({"kind": "instance"}, 6), ({"kind": "group", "groups": 6}, 6)]


def convolutional(normalization: dict[str, Any], backend: str, **changes: Any) -> Program:
    """A convolution of one place to 6 channels, normalized, and a dense head."""
    layers = [{"kind": "conv", "channels": 6, "kernel": 1}]
    return program(
        shape=IMAGES, architecture={"layers": layers}, normalization=normalization, backend={"kind": backend},
        **{"activation": {"kind": "identity"}, **changes},
    )  # fmt: skip


def grouped(x: Array, groups: int, epsilon: float = 1e-5) -> Array:
    """x [N, ..., C] with mean 0 and variance 1 over all places and the channels of each group."""
    parts = x.reshape(len(x), -1, groups, x.shape[-1] // groups)
    mean, variance = parts.mean((1, 3), keepdims=True), parts.var((1, 3), keepdims=True)
    result: Array = ((parts - mean) / np.sqrt(variance + epsilon)).reshape(x.shape)
    return result


def moved(made: Program, *names: str) -> dict[str, Array]:
    """The parameters of `made`, with `names` (gamma and beta) changed to random numbers."""
    rng = np.random.default_rng(5)
    p = made.parameters()
    p |= {name: rng.normal(size=p[name].shape) for name in names}
    made.load_parameters(p)
    return p


@BACKENDS
@pytest.mark.parametrize(("normalization", "groups"), DENSE, ids=str)
def test_dense_layers(normalization: dict[str, Any], groups: int, backend: str) -> None:
    prefix = "ln" if normalization["kind"] == "layer" else "gn"
    made = program(12, shape=NUMBERS, activation="identity", normalization=normalization, backend={"kind": backend})
    (x, y), p = data(8, NUMBERS), moved(made, f"{prefix}1.gamma", f"{prefix}1.beta")
    h = grouped(x @ p["fc1.weight"] + p["fc1.bias"], groups) * p[f"{prefix}1.gamma"] + p[f"{prefix}1.beta"]
    expected = h @ p["fc2.weight"] + p["fc2.bias"]
    np.testing.assert_allclose(made.predict(x), expected, rtol=1e-11, atol=1e-12)
    assert made.loss(x, y, training=True) == pytest.approx(float(np.mean((expected - y) ** 2)), rel=1e-11)


@BACKENDS
@pytest.mark.parametrize(("normalization", "groups"), CONVOLVED, ids=str)
def test_images(normalization: dict[str, Any], groups: int, backend: str) -> None:
    prefix = {"layer": "ln", "group": "gn", "instance": "in"}[normalization["kind"]]
    made = convolutional(normalization, backend)
    (x, y), p = data(8, IMAGES), moved(made, f"{prefix}1.gamma", f"{prefix}1.beta")
    z = x @ p["conv1.weight"][0, 0] + p.get("conv1.bias", 0.0)
    h = grouped(z, groups) * p[f"{prefix}1.gamma"] + p[f"{prefix}1.beta"]
    expected = h.reshape(8, -1) @ p["fc1.weight"] + p["fc1.bias"]
    np.testing.assert_allclose(made.predict(x), expected, rtol=1e-11, atol=1e-12)
    assert made.loss(x, y, training=True) == pytest.approx(float(np.mean((expected - y) ** 2)), rel=1e-11)


@BACKENDS
@pytest.mark.parametrize(("normalization", "groups"), CONVOLVED, ids=str)
def test_the_numbers_of_a_group_have_mean_0_and_variance_1(normalization: dict[str, Any], groups: int, backend: str) -> None:
    """A head of the identity shows what the norm makes; a tiny epsilon leaves the variance at 1."""
    layers = [{"kind": "conv", "channels": 6, "kernel": 1}, {"kind": "flatten"}]
    made = program(
        shape=DataShape(input_shape=(4, 5, 3), classes=None, targets=120), architecture={"layers": layers},
        normalization={**normalization, "epsilon": 1e-14}, activation="identity", backend={"kind": backend},
    )  # fmt: skip
    made.load_parameters({**made.parameters(), "fc1.weight": np.eye(120), "fc1.bias": np.zeros(120)})
    parts = made.predict(data(8, IMAGES)[0]).reshape(8, 20, groups, 6 // groups)
    np.testing.assert_allclose(parts.mean((1, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(parts.var((1, 3)), 1, rtol=1e-10)


def _slope(made: Program, x: Array, y: Array) -> tuple[float, float]:
    """The derivative of the training loss along a random direction: by the gradient, and by differences to fourth order."""
    rng, p, gradient = np.random.default_rng(2), made.parameters(), made.gradients(x, y)
    direction = {name: rng.uniform(-1, 1, value.shape) for name, value in p.items()}
    numeric, h = 0.0, 2e-4
    for at, weight in ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0)):
        made.load_parameters({name: value + at * h * direction[name] for name, value in p.items()})
        numeric += weight * made.loss(x, y, training=True) / (12 * h)
    return sum(float(np.sum(gradient[name] * direction[name])) for name in p), numeric


@BACKENDS
@pytest.mark.parametrize("normalization", [n for n, _ in DENSE], ids=str)
@pytest.mark.parametrize("position", ["pre", "post"])
def test_gradients_of_dense_layers(normalization: dict[str, Any], position: str, backend: str) -> None:
    # with a small epsilon a group of two numbers is nearly a sign, which differences cannot follow
    norm = {**normalization, "position": position, "epsilon": 0.1}
    made = program(12, 6, activation="tanh", normalization=norm, backend={"kind": backend})
    exact, numeric = _slope(made, *data(8, CLASSES))
    assert abs(exact - numeric) < 1e-7 * max(1.0, abs(numeric))


@BACKENDS
@pytest.mark.parametrize("normalization", [n for n, _ in CONVOLVED], ids=str)
def test_gradients_of_images(normalization: dict[str, Any], backend: str) -> None:
    made = convolutional({**normalization, "epsilon": 0.1}, backend, activation={"kind": "tanh"})
    exact, numeric = _slope(made, *data(8, IMAGES))
    assert abs(exact - numeric) < 1e-7 * max(1.0, abs(numeric))


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 2e-4), ("float64", 1e-10)])
# 8 rows of 8 groups are as many as there are units: a statistic a group must not be taken for one a unit
@pytest.mark.parametrize("normalization", ["layer", {"kind": "group", "groups": 8}])
def test_ten_steps_of_the_native_program_are_those_of_the_reference(normalization: Any, precision: str, tolerance: float) -> None:
    x, y = data()
    dropout = {"dropout": "inverted", "keep_prob": 0.8}
    made = [
        program(64, 16, normalization=normalization, precision=precision, backend={"kind": kind}, regularization=dropout)
        for kind in ("reference", "numpy")
    ]
    losses = [each.run(x, y, order(10)) for each in made]
    np.testing.assert_allclose(losses[1], losses[0], rtol=tolerance)
    np.testing.assert_allclose(made[1].predict(x), made[0].predict(x), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("normalization", ["layer", {"kind": "group", "groups": 3}, "instance"])
def test_ten_steps_of_a_convolution(normalization: Any) -> None:
    x, y = data(40, IMAGES)
    made = [convolutional(normalization, kind, precision="float32", activation={"kind": "relu"}) for kind in ("reference", "numpy")]
    losses = [each.run(x, y, order(10)) for each in made]
    np.testing.assert_allclose(losses[1], losses[0], rtol=2e-4)


@pytest.mark.parametrize("shape", [NUMBERS, IMAGES], ids=["dense", "image"])
def test_a_large_mean_does_not_cancel_the_variance(shape: DataShape) -> None:
    """In float32, E[x^2] - E[x]^2 at mean 3000 and deviation 1 would be off by 1 and more."""
    layers = [{"kind": "dense", "units": 6}] if shape is NUMBERS else [{"kind": "conv", "channels": 6, "kernel": 1}]
    changes: dict[str, Any] = {"shape": shape, "architecture": {"layers": layers}, "activation": "identity", "normalization": "layer"}
    made = [program(precision=precision, backend={"kind": "numpy"}, **changes) for precision in ("float32", "float64")]
    p = made[0].parameters()
    p |= {name: np.full(value.shape, 3000.0) for name, value in p.items() if name in ("fc1.bias", "conv1.bias") and value.size == 6}
    for each in made:
        each.load_parameters(p)
    x = data(8, shape)[0].astype(np.float32)
    single, double = (each.predict(x) for each in made)
    np.testing.assert_allclose(single, double, atol=5e-3 * float(np.abs(double).max()))


def test_batch_norm_with_gamma_the_deviation_and_beta_the_mean_is_the_identity() -> None:
    """gamma = sqrt(var + epsilon), beta = mean (Ioffe & Szegedy 2015, section 3), exactly only with the epsilon."""
    made, (x, y) = program(5, shape=NUMBERS, normalization={"kind": "batch", "epsilon": 0.1}, activation="tanh"), data(8, NUMBERS)
    plain = program(5, shape=NUMBERS, activation="tanh")
    p = made.parameters()
    z = x @ p["fc1.weight"]
    made.load_parameters({**p, "bn1.gamma": np.sqrt(z.var(0) + 0.1), "bn1.beta": z.mean(0)})
    expected = np.mean((np.tanh(z) @ p["fc2.weight"] + p["fc2.bias"] - y) ** 2)
    assert made.loss(x, y, training=True) == pytest.approx(float(expected), rel=1e-12)
    assert plain.loss(x, y, training=True) == pytest.approx(float(expected), rel=1e-12)


def test_a_bias_goes_where_each_channel_has_its_own_mean_alone() -> None:
    layers = [{"kind": "conv", "channels": 6}]
    kept = {"layer": True, "group": True, "instance": False}
    for kind, stays in kept.items():
        normalization = {"kind": kind, **({"groups": 3} if kind == "group" else {})}
        network, reasons = remove_biases(build(config(architecture={"layers": layers}, normalization=normalization), IMAGES))
        assert ("conv1.bias" in [p.name for p in network.parameters]) == stays
        assert reasons == (() if stays else ("bias of conv1 removed: instance norm follows, its gradient is zero",))
    each = build(config(architecture={"layers": layers}, normalization={"kind": "group", "groups": 6}), IMAGES)
    assert remove_biases(each)[1] == ("bias of conv1 removed: group norm follows, its gradient is zero",)
    dense = build(config(6, normalization={"kind": "layer"}), CLASSES)
    assert remove_biases(dense) == (dense, ())


def test_names_and_no_running_statistics() -> None:
    network = build(config(8, normalization={"kind": "group", "groups": 4}), CLASSES)
    assert [(node.name, node.kind) for node in network.nodes] == [
        ("fc1", "dense"), ("gn1", "group_norm"), ("relu1", "relu"), ("fc2", "dense"),
    ]  # fmt: skip
    assert [(p.name, p.trained) for p in network.nodes[1].parameters] == [("gn1.gamma", True), ("gn1.beta", True)]


def test_epsilon_is_a_value_and_groups_are_structure() -> None:
    digests = [program(8, normalization={"kind": "group", "groups": g, "epsilon": e}).digest for g, e in ((2, 1e-5), (2, 1e-3), (4, 1e-5))]
    assert digests[0] == digests[1] != digests[2]


CONV = {"kind": "conv", "channels": 6}
REJECTED: list[tuple[str, dict[str, Any], DataShape]] = [
    (
        "normalization.groups = 8: must divide the 6 channels of conv1; use 1, 2, 3 or 6",
        {"normalization": "group", "architecture": {"layers": [CONV]}},
        IMAGES,
    ),
    (
        "architecture.layers[1].normalization.groups = 4: must divide the 6 units of fc1; use 1, 2 or 3",
        {"architecture": {"layers": [CONV, {"kind": "dense", "units": 6, "normalization": {"kind": "group", "groups": 4}}]}},
        IMAGES,
    ),
    (
        "normalization.groups = 6: leaves one number a group, whose variance is 0, of the 6 units of relu1; use 1, 2 or 3",
        {"normalization": {"kind": "group", "groups": 6, "position": "post"}, "architecture": {"layers": [{"kind": "dense", "units": 6}]}},
        CLASSES,
    ),
    (
        "normalization.kind = instance: needs images, not the 6 units of fc1; use layer or group",
        {"normalization": "instance", "architecture": {"layers": [{"kind": "dense", "units": 6}]}},
        CLASSES,
    ),
    (
        "normalization.kind = layer: finds one number at a time, whose variance is 0, in the 1 units of fc1; use none or batch",
        {"normalization": "layer", "architecture": {"layers": [{"kind": "dense", "units": 1}]}},
        CLASSES,
    ),
    (
        "normalization.kind = instance: finds one number at a time, whose variance is 0, in the 6 channels of conv1; use none or batch",
        {"normalization": "instance", "architecture": {"layers": [{**CONV, "kernel": [4, 5], "padding": "valid"}]}},
        IMAGES,
    ),
]


@pytest.mark.parametrize(("sentence", "changes", "shape"), REJECTED, ids=[sentence.split(";")[0] for sentence, *_ in REJECTED])
def test_what_has_no_variance_or_no_groups_is_refused_in_one_sentence(sentence: str, changes: dict[str, Any], shape: DataShape) -> None:
    with refused(sentence):
        build(config(**changes), shape)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "prelu"])
def test_with_dropout_every_position_and_activation_trains_like_the_reference(activation: str) -> None:
    """Behind dropout the gradients of gamma and of the layer share values, and gamma may only be replaced once both are made."""
    changes = {"activation": activation, "regularization": {"dropout": "inverted", "keep_prob": 0.7}, "optimizer": {"kind": "sgd"}}
    x, y = data()
    for normalization in ({"kind": "layer", "position": "post"}, {"kind": "layer"}, {"kind": "group", "groups": 2, "position": "post"}):
        losses = [
            program(6, 4, normalization=normalization, backend={"kind": kind}, **changes).run(x, y, order(5))
            for kind in ("reference", "numpy")
        ]
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-10)
