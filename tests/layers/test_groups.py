"""Grouped and depthwise convolution against sums written out here, in float64."""

# N batch, H W image, I O channels, g groups
from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from backends.contract import Array
from pipeline.compiler.build import build
from pipeline.data import DataShape
from tests.layers.test_convolution import convolved
from tests.program.configs import config, data, order, program, slope_and_difference
from tests.refusal import refused

SHAPE = DataShape(input_shape=(6, 5, 6), classes=None, targets=3)
BACKENDS = pytest.mark.parametrize("backend", ["reference", "numpy"])


def grouped(x: Array, w: Array, groups: int, stride: int, padding: int, dilation: int) -> Array:
    """Each group is a convolution of its own."""
    inputs, outputs = x.shape[3] // groups, w.shape[3] // groups
    parts = [
        convolved(
            x[..., g * inputs : (g + 1) * inputs],
            w[..., g * outputs : (g + 1) * outputs],
            (stride, stride), (padding,) * 4, (dilation, dilation),
        )
        for g in range(groups)
    ]  # fmt: skip
    return np.concatenate(parts, axis=3)


CONVOLUTIONS = [  # channels, groups, kernel, stride, padding, dilation
    (4, 2, 3, 1, 1, 1),
    (9, 3, 3, 2, 0, 1),
    (6, 3, 2, 1, 1, 2),
    (8, 2, 1, 1, 0, 1),
    (6, 6, 3, 1, 1, 1),  # depthwise
    (6, 6, 3, 2, 2, 2),
    (6, 6, 1, 1, 0, 1),
    (12, 6, 3, 1, 0, 1),  # depthwise, two channels of each
]


@BACKENDS
@pytest.mark.parametrize(("channels", "groups", "kernel", "stride", "padding", "dilation"), CONVOLUTIONS)
def test_each_group_is_a_convolution_of_its_own(
    channels: int, groups: int, kernel: int, stride: int, padding: int, dilation: int, backend: str
) -> None:
    conv = {"kind": "conv", "channels": channels, "groups": groups, "kernel": kernel, "stride": stride, "padding": padding}
    layers = [{**conv, "dilation": dilation, "activation": "identity"}]
    made, (x, y) = program(shape=SHAPE, architecture={"layers": layers, "head": "auto"}, backend={"kind": backend}), data(4, SHAPE)
    made.load_parameters({**made.parameters(), "conv1.bias": np.linspace(-1, 1, channels)})
    p = made.parameters()
    assert p["conv1.weight"].shape == (kernel, kernel, 6 // groups, channels)
    z = grouped(x, p["conv1.weight"], groups, stride, padding, dilation) + p["conv1.bias"]
    expected = z.reshape(4, -1) @ p["fc1.weight"] + p["fc1.bias"]
    np.testing.assert_allclose(made.predict(x), expected, rtol=1e-11)
    # the loss is linear in no weight but quadratic in each: central differences of it are exact but for rounding
    gradient, rng = made.gradients(x, y)["conv1.weight"], np.random.default_rng(1)
    direction = rng.normal(size=gradient.shape)
    losses = []
    for sign in (1, -1):
        made.load_parameters({**p, "conv1.weight": p["conv1.weight"] + sign * 1e-2 * direction})
        losses.append(made.loss(x, y))
    assert (losses[0] - losses[1]) / 2e-2 == pytest.approx(float(np.vdot(gradient, direction)), rel=1e-10)


BLOCK = (  # a depthwise separable convolution (Chollet 2017) and a grouped one behind it
    {"kind": "conv", "channels": 6, "groups": 6},
    {"kind": "conv", "channels": 8, "kernel": 1},
    {"kind": "conv", "channels": 4, "groups": 2, "stride": 2, "activation": {"kind": "maxout", "pieces": 2}},
    {"kind": "max_pool"},
)


@BACKENDS
def test_gradients_of_a_network_are_those_of_finite_differences(backend: str) -> None:
    changes = {"normalization": {"kind": "batch"}, "activation": {"kind": "tanh"}, "backend": {"kind": backend}}
    made = program(shape=SHAPE, architecture={"layers": list(BLOCK), "head": "auto"}, **changes)
    slope, difference = slope_and_difference(made, *data(8, SHAPE))
    assert difference == pytest.approx(slope, rel=1e-7)


def test_the_native_backend_trains_like_the_reference_and_with_the_same_bits_for_any_threads() -> None:
    x, y = data(shape=SHAPE)
    runs = []
    for settings in ({"kind": "reference"}, {"kind": "numpy", "threads": 1}, {"kind": "numpy", "threads": 3}):
        made = program(shape=SHAPE, architecture={"layers": list(BLOCK), "head": "auto"}, backend=settings)
        runs.append((made.run(x, y, order(6)), made.parameters()))
    np.testing.assert_allclose(runs[1][0], runs[0][0], rtol=1e-9)
    np.testing.assert_array_equal(runs[1][0], runs[2][0])
    assert all(np.array_equal(value, runs[2][1][name]) for name, value in runs[1][1].items())


def test_pieces_of_a_unit_see_the_group_of_the_unit() -> None:
    """Unit 0 of a maxout over two groups changes with the channels of group 0 alone."""
    layers = [{"kind": "conv", "channels": 4, "groups": 2, "kernel": 1, "activation": {"kind": "maxout", "pieces": 3}}]
    made, (x, _) = program(shape=SHAPE, architecture={"layers": layers, "head": "auto"}), data(2, SHAPE)
    p = made.parameters()
    low, high = x[..., :3] @ p["conv1.weight"][0, 0], x[..., 3:] @ p["conv1.weight"][0, 0]
    units = [(low, 0), (low, 1), (high, 2), (high, 3)]
    z = np.stack([np.max([side[..., piece * 4 + unit] for piece in range(3)], axis=0) for side, unit in units], axis=-1)
    np.testing.assert_allclose(made.predict(x), z.reshape(2, -1) @ p["fc1.weight"] + p["fc1.bias"], rtol=1e-12)


@pytest.mark.parametrize("initialization", ["he", "lecun", "xavier"])
def test_the_fans_are_those_of_one_group(initialization: str) -> None:
    wide = DataShape(input_shape=(6, 5, 64), classes=None, targets=3)
    layers = [{"kind": "conv", "channels": 128, "groups": 4}]
    changes = {"initialization": {"kind": initialization}}
    (weight, *_) = build(config(architecture={"layers": layers, "head": "auto"}, **changes), wide).parameters
    assert (weight.shape, weight.fan_in, weight.fan_out) == ((3, 3, 16, 128), 144, 288)
    made = program(shape=wide, architecture={"layers": layers, "head": "auto"}, **changes)
    expected = {"he": 2 / 144, "lecun": 1 / 144, "xavier": 2 / (144 + 288)}[initialization]
    w = made.parameters()["conv1.weight"]
    assert abs(w.var() / expected - 1) < 3 * math.sqrt(2 / w.size)  # three standard errors of the variance of a normal sample


REJECTED: list[tuple[str, dict[str, Any]]] = [
    (
        "architecture.layers[0].groups = 4: groups must divide the 6 input channels; use 1 or 2",
        {"kind": "conv", "channels": 8, "groups": 4},
    ),
    (
        "architecture.layers[0].groups = 3: groups must divide the 8 output channels; use 1 or 2",
        {"kind": "conv", "channels": 8, "groups": 3},
    ),
    (
        "architecture.layers[0].groups = 5: groups must divide the 6 input channels; use 1",
        {"kind": "conv", "channels": 5, "groups": 5},
    ),
    (
        "architecture.layers[0].groups = 12: groups must divide the 6 input channels; use 1, 2, 3 or 6",
        {"kind": "conv", "channels": 12, "groups": 12},
    ),
]


@pytest.mark.parametrize(("sentence", "layer"), REJECTED, ids=[sentence.split(":")[0] for sentence, _ in REJECTED])
def test_groups_that_do_not_divide_are_refused_in_one_sentence(sentence: str, layer: dict[str, Any]) -> None:
    with refused(sentence):
        build(config(architecture={"layers": [layer], "head": "auto"}), SHAPE)
