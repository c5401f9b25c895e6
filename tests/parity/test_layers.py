"""Each kind of layer, each activation and each loss, trained for ten steps beside PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.data import DataShape
from pipeline.layers import LAYERS
from pipeline.layers.activation import ACTIVATIONS
from pipeline.recipe.losses import LOSSES
from tests.parity.beside import IMAGES, NUMBERS, VECTORS, beside, compiled

pytestmark = pytest.mark.parity
TWO = DataShape(input_shape=(9,), classes=2, targets=None)
LABELS = DataShape(input_shape=(9,), classes=None, targets=3, labels=True)
Forward = Callable[[Any, Any], Any]


def conv(**fields: Any) -> dict[str, Any]:
    return {"kind": "conv", "channels": 5, **fields}


def up(**fields: Any) -> dict[str, Any]:
    return {"kind": "conv_transpose", "channels": 5, **fields}


# over images of 8 x 7 x 3; PyTorch has no padding by word that strides, so `around` says what `same` adds: the odd one behind
LAYER_CASES: dict[str, tuple[list[dict[str, Any]], Forward]] = {
    "dense": ([{"kind": "dense", "units": 11}], lambda n, x: n.dense(n.dense(x, "fc1"), "fc2")),
    "conv": ([conv(kernel=3)], lambda n, x: n.dense(n.conv(x, "conv1", padding=1), "fc1")),
    "conv valid": ([conv(kernel=[2, 3], padding="valid")], lambda n, x: n.dense(n.conv(x, "conv1"), "fc1")),
    "conv 1x1 by 2": ([conv(kernel=1, stride=2)], lambda n, x: n.dense(n.conv(x, "conv1", stride=2), "fc1")),
    "conv same by 2": ([conv(kernel=3, stride=2)], lambda n, x: n.dense(n.conv(x, "conv1", around=(0, 1, 1, 1), stride=2), "fc1")),
    "conv of even windows": ([conv(kernel=[4, 2])], lambda n, x: n.dense(n.conv(x, "conv1", around=(1, 2, 0, 1)), "fc1")),
    "conv padded by numbers": (
        [conv(kernel=[3, 4], stride=[2, 3], padding=[2, 1])],
        lambda n, x: n.dense(n.conv(x, "conv1", stride=(2, 3), padding=(2, 1)), "fc1"),
    ),
    "conv dilated": (
        [conv(kernel=[3, 2], dilation=[2, 3], padding=1)],
        lambda n, x: n.dense(n.conv(x, "conv1", dilation=(2, 3), padding=1), "fc1"),
    ),
    "conv of 3 groups": (
        [{"kind": "conv", "channels": 6, "groups": 3, "stride": 2, "padding": 1}],
        lambda n, x: n.dense(n.conv(x, "conv1", groups=3, stride=2, padding=1), "fc1"),
    ),
    "conv of 2 groups": (
        [conv(kernel=1, channels=4), conv(channels=6, groups=2)],
        lambda n, x: n.dense(n.conv(n.conv(x, "conv1"), "conv2", groups=2, padding=1), "fc1"),
    ),
    "conv depthwise": ([conv(channels=3, groups=3)], lambda n, x: n.dense(n.conv(x, "conv1", groups=3, padding=1), "fc1")),
    "two convs": (
        [conv(kernel=3), {"kind": "conv", "channels": 17, "kernel": 3, "stride": 2, "padding": 1}],
        lambda n, x: n.dense(n.conv(n.conv(x, "conv1", padding=1), "conv2", stride=2, padding=1), "fc1"),
    ),
    "conv_transpose": ([up(kernel=3, padding="valid")], lambda n, x: n.dense(n.conv_transpose(x, "conv_transpose1"), "fc1")),
    "conv_transpose by 2": (
        [up(kernel=3, stride=2, padding=1, output_padding=1)],
        lambda n, x: n.dense(n.conv_transpose(x, "conv_transpose1", stride=2, padding=1, output_padding=1), "fc1"),
    ),
    "conv_transpose by 2 and 3": (
        [up(kernel=[2, 4], stride=[2, 3], padding=[0, 1], output_padding=[1, 2])],
        lambda n, x: n.dense(n.conv_transpose(x, "conv_transpose1", stride=(2, 3), padding=(0, 1), output_padding=(1, 2)), "fc1"),
    ),
    # same: 16 x 14 of the 17 x 15 places that PyTorch gives without padding; the odd one is cut off behind
    "conv_transpose same": (
        [up(kernel=3, stride=2)],
        lambda n, x: n.dense(n.conv_transpose(x, "conv_transpose1", stride=2)[:, :16, :14], "fc1"),
    ),
    "conv_transpose dilated": (
        [up(kernel=3, dilation=2, padding=2)],
        lambda n, x: n.dense(n.conv_transpose(x, "conv_transpose1", dilation=2, padding=2), "fc1"),
    ),
    "max_pool": ([conv(), {"kind": "max_pool"}], lambda n, x: n.dense(n.max_pool(n.conv(x, "conv1", padding=1), 2), "fc1")),
    "max_pool that overlaps": (
        [conv(), {"kind": "max_pool", "kernel": 3, "stride": 2, "padding": 1}],
        lambda n, x: n.dense(n.max_pool(n.conv(x, "conv1", padding=1), 3, 2, 1), "fc1"),
    ),
    "average_pool": (
        [conv(), {"kind": "average_pool", "kernel": [3, 2], "stride": [2, 1], "padding": 1}],
        lambda n, x: n.dense(n.average_pool(n.conv(x, "conv1", padding=1), (3, 2), (2, 1), 1), "fc1"),
    ),
    "global_average_pool": (
        [conv(), {"kind": "global_average_pool"}],
        lambda n, x: n.dense(n.conv(x, "conv1", padding=1).mean((1, 2)), "fc1"),
    ),
    "flatten and reshape": (
        [{"kind": "flatten"}, {"kind": "reshape", "shape": [7, 6, 4]}, conv()],
        lambda n, x: n.dense(n.conv(x.reshape(-1, 7, 6, 4), "conv1", padding=1), "fc1"),
    ),
    "add": (
        [conv(name="a"), conv(name="b"), {"kind": "add", "inputs": ["a", "b"]}],
        lambda n, x: n.dense(n.conv(x, "a", padding=1) + n.conv(n.conv(x, "a", padding=1), "b", padding=1), "fc1"),
    ),
    "concat": (
        [conv(name="a"), {"kind": "concat", "inputs": ["input", "a"]}],
        lambda n, x: n.dense(_joined(x, n.conv(x, "a", padding=1)), "fc1"),
    ),
    "maxout": (
        [{"kind": "conv", "channels": 6}, {"kind": "maxout", "pieces": 2}],
        lambda n, x: n.dense(n.conv(x, "conv1", padding=1).unflatten(-1, (2, 3)).amax(-2), "fc1"),
    ),
    "activation": (
        [conv(), {"kind": "activation", "activation": "tanh"}],
        lambda n, x: n.dense(n.conv(x, "conv1", padding=1).tanh(), "fc1"),
    ),
}


def _joined(*parts: Any) -> Any:
    import torch

    return torch.cat(parts, -1)


@pytest.mark.parametrize("case", LAYER_CASES)
def test_layers(case: str, torch: Any) -> None:
    layers, forward = LAYER_CASES[case]
    beside(torch, IMAGES, compiled(IMAGES, layers), forward)


CATALOGUE = {"normalization", "dropout", "upsample"}  # in test_catalogue.py; a dropout draws its own numbers


def test_every_layer_has_a_case() -> None:
    assert {layer["kind"] for layers, _ in LAYER_CASES.values() for layer in layers} == set(LAYERS) - CATALOGUE


# activation, and PyTorch's function of (peer, its module of functions, x)
ACTIVATION_CASES: list[tuple[dict[str, Any], Callable[[Any, Any, Any], Any]]] = [
    ({"kind": "identity"}, lambda n, f, x: x),
    ({"kind": "relu"}, lambda n, f, x: f.relu(x)),
    ({"kind": "leaky_relu", "negative_slope": 0.2}, lambda n, f, x: f.leaky_relu(x, 0.2)),
    ({"kind": "prelu"}, lambda n, f, x: n.prelu(x, "prelu1")),
    ({"kind": "prelu", "shared": True, "alpha": 0.4}, lambda n, f, x: n.prelu(x, "prelu1")),
    ({"kind": "elu", "alpha": 0.7}, lambda n, f, x: f.elu(x, 0.7)),
    ({"kind": "gelu"}, lambda n, f, x: f.gelu(x, approximate="tanh")),
    ({"kind": "gelu", "approximate": "none"}, lambda n, f, x: f.gelu(x)),
    ({"kind": "silu"}, lambda n, f, x: f.silu(x)),
    ({"kind": "softplus"}, lambda n, f, x: f.softplus(x)),
    ({"kind": "tanh"}, lambda n, f, x: x.tanh()),
    ({"kind": "sigmoid"}, lambda n, f, x: x.sigmoid()),
    ({"kind": "softmax"}, lambda n, f, x: x.softmax(-1)),
    ({"kind": "maxout", "pieces": 3}, lambda n, f, x: x.unflatten(-1, (3, -1)).amax(-2)),
]


@pytest.mark.parametrize("images", [False, True], ids=["vectors", "images"])
@pytest.mark.parametrize(("activation", "function"), ACTIVATION_CASES, ids=lambda v: str(v) if isinstance(v, dict) else "")
def test_activations(activation: dict[str, Any], function: Any, images: bool, torch: Any) -> None:
    f, shape = torch.nn.functional, IMAGES if images else VECTORS
    made = compiled(shape, [conv() if images else {"kind": "dense", "units": 12}], activation=activation)
    if images:
        beside(torch, shape, made, lambda n, x: n.dense(function(n, f, n.conv(x, "conv1", padding=1)), "fc1"))
    else:
        beside(torch, shape, made, lambda n, x: n.dense(function(n, f, n.dense(x, "fc1")), "fc2"))


def test_every_activation_has_a_case() -> None:
    assert {activation["kind"] for activation, _ in ACTIVATION_CASES} == set(ACTIVATIONS) - {"formula"}  # those are in test_formulas.py


# loss, and PyTorch's of (its module of functions, output, y)
LOSS_CASES: list[tuple[dict[str, Any], Callable[[Any, Any, Any], Any]]] = [
    ({"kind": "softmax_cross_entropy"}, lambda f, z, y: f.cross_entropy(z, y)),
    ({"kind": "logistic"}, lambda f, z, y: f.binary_cross_entropy_with_logits(z[:, 0], y.float())),
    # PyTorch's own mean divides by the sum of the weights in the batch, ours by its rows
    (
        {"kind": "softmax_cross_entropy", "class_weights": [0.5, 2.0, 1.0, 1.5]},
        lambda f, z, y: f.cross_entropy(z, y, weight=z.new_tensor([0.5, 2.0, 1.0, 1.5]), reduction="none").mean(),
    ),
    ({"kind": "binary_cross_entropy"}, lambda f, z, y: f.binary_cross_entropy_with_logits(z, y)),
    # PyTorch divides by the classes
    ({"kind": "hinge"}, lambda f, z, y: 4 * f.multi_margin_loss(z, y)),
    ({"kind": "mean_squared_error"}, lambda f, z, y: f.mse_loss(z, y)),
    ({"kind": "mean_absolute"}, lambda f, z, y: f.l1_loss(z, y)),
    ({"kind": "huber", "delta": 0.6}, lambda f, z, y: f.huber_loss(z, y, delta=0.6)),
]


@pytest.mark.parametrize(("loss", "function"), LOSS_CASES, ids=lambda v: str(v) if isinstance(v, dict) else "")
def test_losses(loss: dict[str, Any], function: Any, torch: Any) -> None:
    f = torch.nn.functional
    shapes = {"logistic": TWO, "softmax_cross_entropy": VECTORS, "hinge": VECTORS, "binary_cross_entropy": LABELS}
    shape = shapes.get(loss["kind"], NUMBERS)
    made = compiled(shape, [{"kind": "dense", "units": 12}], activation="tanh", loss=loss)
    beside(torch, shape, made, lambda n, x: n.dense(n.dense(x, "fc1").tanh(), "fc2"), loss=lambda z, y: function(f, z, y))


def test_every_loss_has_a_case() -> None:
    assert {loss["kind"] for loss, _ in LOSS_CASES} == set(LOSSES) - {"formula"} - {"auto"}
