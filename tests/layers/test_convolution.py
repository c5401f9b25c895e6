"""Convolution, its transpose and pooling, against sums written out here; adjointness; architectures made of them."""

# N batch, H W image, I O channels, kh kw window
from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from backends.contract import Array, Backend
from pipeline.compiler.build import build
from pipeline.compiler.remove_biases import remove_biases
from pipeline.config.compose import compose
from pipeline.config.spec import experiment
from pipeline.data import DataShape
from pipeline.layers.graph import LayerGraph
from pipeline.program.program import Program
from tests.ops.conftest import PRESENT
from tests.ops.running import builder, run_graph
from tests.program.configs import config, data, order, program, slope_and_difference
from tests.refusal import refused

PAIRS = [pytest.param(backend, id=str(backend)) for backend in ("reference", "numpy")]
IMAGES = DataShape(input_shape=(7, 6, 3), classes=None, targets=4)
LINEAR = {"activation": {"kind": "identity"}}


@pytest.fixture(params=PRESENT[:2], scope="module")
def backend(request: pytest.FixtureRequest) -> Backend:
    """The reference and the native backend."""
    import backends

    return backends.load(request.param)


def convolved(x: Array, w: Array, stride: tuple[int, int], padding: tuple[int, int, int, int], dilation: tuple[int, int]) -> Array:
    """The definition, one number at a time."""
    top, bottom, left, right = padding
    wide = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    kh, kw, _, channels = w.shape
    rows = (wide.shape[1] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    columns = (wide.shape[2] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((len(x), rows, columns, channels))
    for p, q, i, j in itertools.product(range(rows), range(columns), range(kh), range(kw)):
        y[:, p, q] += wide[:, p * stride[0] + i * dilation[0], q * stride[1] + j * dilation[1]] @ w[i, j]
    return y


def network(*layers: dict[str, Any], shape: DataShape = IMAGES, **changes: Any) -> LayerGraph:
    return build(config(architecture={"layers": list(layers), "head": "auto"}, **changes), shape)


def layered(*layers: dict[str, Any], shape: DataShape = IMAGES, backend: str = "reference", **changes: Any) -> Program:
    """The layers, each a linear map unless it says otherwise, and a head on top that the caller makes the identity of a part."""
    return program(shape=shape, architecture={"layers": list(layers), "head": "auto"}, backend={"kind": backend}, **{**LINEAR, **changes})


def features(made: Program, x: Array, shape: tuple[int, ...], name: str) -> Array:
    """What reaches the head: read off column by column through a head that picks one feature for each target."""
    p = made.parameters()
    count, targets = p[f"{name}.weight"].shape
    found = []
    for start in range(0, count, targets):
        pick = np.zeros((count, targets))
        for n in range(min(targets, count - start)):
            pick[start + n, n] = 1.0
        made.load_parameters({**p, f"{name}.weight": pick, f"{name}.bias": np.zeros(targets)})
        found.append(made.predict(x)[:, : min(targets, count - start)])
    made.load_parameters(p)
    return np.concatenate(found, axis=1).reshape(len(x), *shape)


CONVOLUTIONS = [
    ({"kernel": 3}, (1, 1), (1, 1, 1, 1), (1, 1)),
    ({"kernel": [2, 3], "padding": "valid"}, (1, 1), (0, 0, 0, 0), (1, 1)),
    ({"kernel": 3, "stride": 2}, (2, 2), (1, 1, 0, 1), (1, 1)),
    ({"kernel": 4, "stride": [1, 3]}, (1, 3), (1, 2, 0, 1), (1, 1)),
    ({"kernel": 3, "stride": 2, "padding": 2}, (2, 2), (2, 2, 2, 2), (1, 1)),
    ({"kernel": 3, "padding": [2, 1], "dilation": [2, 1]}, (1, 1), (2, 2, 1, 1), (2, 1)),
    ({"kernel": 1}, (1, 1), (0, 0, 0, 0), (1, 1)),
    ({"kernel": 1, "stride": 2}, (2, 2), (0, 0, 0, 0), (1, 1)),
]


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize(("fields", "stride", "padding", "dilation"), CONVOLUTIONS, ids=lambda v: str(v) if isinstance(v, dict) else "")
def test_a_convolution_is_the_sum_over_its_window(kind: str, fields: dict[str, Any], stride: Any, padding: Any, dilation: Any) -> None:
    made, (x, _) = layered({"kind": "conv", "channels": 5, **fields}, backend=kind), data(3, IMAGES)
    made.load_parameters({**made.parameters(), "conv1.bias": np.arange(5.0)})
    expected = convolved(x, made.parameters()["conv1.weight"], stride, padding, dilation) + np.arange(5.0)
    np.testing.assert_allclose(features(made, x, expected.shape[1:], "fc1"), expected, rtol=1e-12, atol=1e-12)


TRANSPOSED = [
    {"kernel": 3, "padding": "valid"},
    {"kernel": 3, "stride": 2},
    {"kernel": [3, 2], "stride": 2, "padding": 1, "output_padding": 1},
    {"kernel": 2, "stride": [3, 2], "padding": "valid", "output_padding": [2, 0]},
    {"kernel": 3, "padding": 2, "dilation": 2},
]


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("fields", TRANSPOSED, ids=str)
def test_a_transposed_convolution_is_the_adjoint_of_the_convolution_with_its_weight(kind: str, fields: dict[str, Any]) -> None:
    small = DataShape(input_shape=(4, 3, 2), classes=None, targets=4)
    made, (x, _) = layered({"kind": "conv_transpose", "channels": 3, **fields}, shape=small, backend=kind), data(3, small)
    shape = network({"kind": "conv_transpose", "channels": 3, **fields}, shape=small).nodes[0].shape
    y, w = features(made, x, shape, "fc1"), made.parameters()["conv_transpose1.weight"]
    forward = {k: v for k, v in fields.items() if k != "output_padding"}
    large = DataShape(input_shape=shape, classes=None, targets=4)
    other, (z, _) = layered({"kind": "conv", "channels": 2, **forward}, shape=large), data(3, large)
    other.load_parameters({**other.parameters(), "conv1.weight": w})
    left, right = np.vdot(features(other, z, (4, 3, 2), "fc1"), x), np.vdot(z, y)
    assert abs(left - right) <= 1e-12 * max(1.0, abs(right))


def test_the_transposed_convolution_of_the_course_notes_makes_4_x_4_of_2_x_2() -> None:
    # a convolution of 2 x 2 padded by 2 with a 3 x 3 kernel; stride 1, so it is the transposed one without padding
    shape = DataShape(input_shape=(2, 2, 1), classes=None, targets=1)
    assert network({"kind": "conv_transpose", "channels": 1, "padding": "valid"}, shape=shape).nodes[0].shape == (4, 4, 1)
    assert network({"kind": "conv", "channels": 1, "padding": 2}, shape=shape).nodes[0].shape == (4, 4, 1)


@pytest.mark.parametrize(("window", "stride", "padding", "dilation"), [
    ((3, 3), (1, 1), (1, 1, 1, 1), (1, 1)),
    ((2, 4), (3, 2), (0, 2, 1, 0), (2, 1)),
    ((5, 1), (2, 1), (4, 3, 0, 0), (1, 1)),
])  # fmt: skip
def test_the_data_and_weight_gradients_are_the_adjoints_of_a_convolution(
    backend: Backend, window: Any, stride: Any, padding: Any, dilation: Any
) -> None:
    attributes = {"stride": stride, "padding": padding, "dilation": dilation}
    b, rng = builder("float64"), np.random.default_rng(3)
    x, w = b.input("x", (3, 9, 8, 5), "state"), b.input("w", (*window, 5, 7), "state")
    y = b.input("y", b.shape(b.add("conv", x, w, **attributes, name="conv")), "state")
    b.outputs["conv"] = "conv"
    b.outputs["data"] = b.add("conv_data_gradient", y, w, size=(9, 8), **attributes)
    b.outputs["weight"] = b.add("conv_weight_gradient", x, y, window=window, parts=2, **attributes)
    arrays = {name: rng.normal(size=b.shape(name)) for name in (x, w, y)}
    found = run_graph(backend, b.graph(), [arrays])
    product = np.vdot(found["conv"][0], arrays["y"])
    assert abs(product - np.vdot(arrays["x"], found["data"][0])) <= 1e-12 * max(1.0, abs(product))
    assert abs(product - np.vdot(arrays["w"], found["weight"][0].sum(0))) <= 1e-12 * max(1.0, abs(product))


@pytest.mark.parametrize("kind", PAIRS)
def test_pools_take_the_largest_or_the_mean_of_each_window(kind: str) -> None:
    x, _ = data(3, IMAGES)
    blocks = x[:, :6].reshape(3, 3, 2, 3, 2, 3)
    for layer, expected in (("max_pool", blocks.max((2, 4))), ("average_pool", blocks.mean((2, 4)))):
        found = features(layered({"kind": layer}, backend=kind), x, (3, 3, 3), "fc1")
        np.testing.assert_allclose(found, expected, rtol=1e-14)
    found = features(layered({"kind": "global_average_pool"}, backend=kind), x, (3,), "fc1")
    np.testing.assert_allclose(found, x.mean((1, 2)), rtol=1e-13)


@pytest.mark.parametrize("kind", PAIRS)
def test_the_gradient_of_a_maximum_goes_to_the_first_of_equal_places(kind: str) -> None:
    import backends

    b = builder("float64")
    x, g = b.input("x", (1, 2, 4, 1), "state"), b.input("g", (1, 1, 2, 1), "state")
    b.outputs["dx"] = b.add("max_pool_gradient", x, g, window=(2, 2), stride=(2, 2), padding=(0, 0, 0, 0))
    arrays = {"x": np.array([[[1.0, 3, 2, 2], [3, 0, 2, 2]]])[..., None], "g": np.array([5.0, 7.0]).reshape(1, 1, 2, 1)}
    found = run_graph(backends.load(kind), b.graph(), [arrays])["dx"][0, 0, ..., 0]
    assert found.tolist() == [[0.0, 5.0, 7.0, 0.0], [0.0, 0.0, 0.0, 0.0]]


def test_adding_two_layers_is_their_sum_and_reshape_moves_nothing() -> None:
    layers = (
        {"kind": "reshape", "shape": [6, 7, 3]},
        {"kind": "conv", "channels": 3, "kernel": 1, "name": "a"},
        {"kind": "add", "inputs": ["a", "reshape1"]},
        {"kind": "flatten"},
    )
    made, (x, _) = layered(*layers), data(3, IMAGES)
    seen = x.reshape(3, 6, 7, 3)
    expected = seen + seen @ made.parameters()["a.weight"][0, 0]
    np.testing.assert_allclose(features(made, x, (6, 7, 3), "fc1"), expected, rtol=1e-12)


SMALL = (
    {"kind": "conv", "channels": 4, "kernel": 3},
    {"kind": "max_pool"},
    {"kind": "conv", "channels": 6, "kernel": 3, "stride": 2, "name": "second"},
    {"kind": "conv_transpose", "channels": 4, "kernel": 3, "stride": 2, "padding": 1},
    {"kind": "average_pool", "kernel": 2, "stride": 1, "padding": "same"},
    {"kind": "add", "inputs": ["pool1", "pool2"]},
    {"kind": "global_average_pool"},
)


def test_layers_are_named_by_kind_and_slots_by_the_number_of_their_layer() -> None:
    made = network(*SMALL, normalization={"kind": "batch"})
    assert [node.name for node in made.nodes] == [
        "conv1", "bn1", "relu1", "pool1", "second", "second_bn", "second_relu", "conv_transpose1", "bn3", "relu3", "pool2", "add1", "relu4",
        "global_pool1", "fc1",
    ]  # fmt: skip
    assert [p.shape for p in made.parameters if p.fan_in] == [(3, 3, 3, 4), (3, 3, 4, 6), (3, 3, 4, 6), (4, 4)]
    without = remove_biases(made)[0]
    assert [p.name for p in without.parameters if p.name.endswith("bias")] == ["fc1.bias"]


def test_gradients_of_a_network_are_those_of_finite_differences() -> None:
    made = layered(*SMALL, normalization={"kind": "batch"}, activation={"kind": "tanh"}, regularization={"l2": 0.1})
    slope, difference = slope_and_difference(made, *data(8, IMAGES))
    assert difference == pytest.approx(slope, rel=1e-7)


def test_the_native_backend_trains_like_the_reference_and_with_the_same_bits_for_any_threads() -> None:
    x, y = data(shape=IMAGES)
    runs = []
    for settings in ({"kind": "reference"}, {"kind": "numpy", "threads": 1}, {"kind": "numpy", "threads": 3}):
        made = program(
            shape=IMAGES, architecture={"layers": list(SMALL), "head": "auto"}, normalization={"kind": "batch"}, backend=settings
        )
        runs.append((made.run(x, y, order(6)), made.parameters()))
    np.testing.assert_allclose(runs[1][0], runs[0][0], rtol=1e-9)
    np.testing.assert_array_equal(runs[1][0], runs[2][0])
    assert all(np.array_equal(value, runs[2][1][name]) for name, value in runs[1][1].items())


def test_a_batch_of_one_image_trains_like_the_reference() -> None:
    """The tensors of a channel are summed over H and W alone there, and over H alone where the image is one column wide."""
    x, y = data(shape=IMAGES)
    for width, activation in ((6, {"kind": "prelu"}), (1, {"kind": "prelu", "shared": True})):
        shape = DataShape(input_shape=(7, width, 3), classes=None, targets=4)
        layers = [{"kind": "conv", "channels": 2}, {"kind": "conv_transpose", "channels": 3}]
        runs = [layered(*layers, shape=shape, backend=kind, activation=activation) for kind in ("reference", "numpy")]
        losses = [made.run(x[:, :, :width], y, order(6, batch=1)) for made in runs]
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-10)


REJECTED = [
    (
        "architecture.layers[0].kernel = 9: with padding=valid it does not fit in the 7 x 6 image; use a smaller one, or padding=same",
        [{"kind": "conv", "channels": 2, "kernel": 9, "padding": "valid"}],
    ),
    (
        "architecture.layers[1].input = [12]: needs images [height, width, channels]; use a reshape layer",
        [{"kind": "dense", "units": 12}, {"kind": "max_pool"}],
    ),
    (
        "architecture.layers[0].stride = [1, 2, 3]: must be one number or two; write stride: [rows, columns]",
        [{"kind": "conv", "channels": 2, "stride": [1, 2, 3]}],
    ),
    (
        "architecture.layers[0].shape = [5, 5]: its input [7, 6, 3] has 126 numbers a row; give a shape with as many",
        [{"kind": "reshape", "shape": [5, 5]}],
    ),
    (
        "architecture.layers[1].inputs = [conv1, input]: conv1 has shape [7, 6, 2] and input [7, 6, 3]; add layers of one shape",
        [{"kind": "conv", "channels": 2}, {"kind": "add", "inputs": ["conv1", "input"]}],
    ),
    (
        "architecture.layers[1].inputs[0] = conv2: no earlier layer has this name; did you mean conv1?",
        [{"kind": "conv", "channels": 2}, {"kind": "add", "inputs": ["conv2", "input"]}],
    ),
    (
        "architecture.layers[0].output_padding = 1: must be below the stride; use a larger stride",
        [{"kind": "conv_transpose", "channels": 2, "output_padding": 1, "padding": 1}],
    ),
    (
        "architecture.layers[0].padding = 2: must be below the kernel; a window would hold padding alone",
        [{"kind": "max_pool", "padding": 2}],
    ),
]


@pytest.mark.parametrize(("sentence", "layers"), REJECTED, ids=[sentence.split(":")[0] for sentence, _ in REJECTED])
def test_what_does_not_fit_is_refused_in_one_sentence(sentence: str, layers: list[dict[str, Any]]) -> None:
    with refused(sentence):
        network(*layers)


@pytest.mark.parametrize(
    ("option", "count"),
    [
        ("cnn_small", 64_800 + 384 + 401_536 + 1_290),  # convolutions, batch norm, dense, head
        ("lenet", 61_706),  # LeCun et al. 1998, with every map of the second convolution connected
        ("resnet20", 269_722 - 9 * 2 * 16 + (512 + 64) + (2_048 + 128)),  # the paper's 0.27M, for 1 channel, with two 1x1 skips
    ],
)
def test_the_architectures_have_their_known_number_of_parameters(option: str, count: int) -> None:
    made = build(experiment(compose([f"architecture={option}"])), DataShape(input_shape=(28, 28, 1), classes=10, targets=None))
    assert sum(node.parameter_count for node in remove_biases(made)[0].nodes) == count
