"""Normalization, dropout and whole networks for ten steps beside PyTorch."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from pipeline import random
from pipeline.config.compose import compose
from pipeline.config.spec import experiment, to_plain
from pipeline.data import DataShape
from pipeline.layers.dropout import ALPHA
from pipeline.layers.normalization import NORMALIZATIONS
from tests.parity.beside import BATCH, IMAGES, STEPS, VECTORS, beside, compiled

pytestmark = pytest.mark.parity
CONV = {"kind": "conv", "channels": 6}


def batch_norm_case(position: str, images: bool) -> tuple[Any, ...]:
    layers = [CONV if images else {"kind": "dense", "units": 12}]
    made = compiled(
        IMAGES if images else VECTORS, layers, activation="relu", normalization={"kind": "batch", "position": position, "momentum": 0.8}
    )

    def forward(n: Any, x: Any) -> Any:
        z = n.conv(x, "conv1", padding=1) if images else n.dense(x, "fc1")
        h = n.batch_norm(z, "bn1", 0.8).relu() if position == "pre" else n.batch_norm(z.relu(), "bn1", 0.8)
        return n.dense(h, "fc1" if images else "fc2")

    return made, forward


@pytest.mark.parametrize("images", [False, True], ids=["vectors", "images"])
@pytest.mark.parametrize("position", ["pre", "post"])
def test_batch_norm(position: str, images: bool, torch: Any) -> None:
    """PyTorch's running variance is the mean of unbiased ones, ours of the biased ones that the layer divides by: (n - 1) / n of them."""
    made, forward = batch_norm_case(position, images)
    shape = IMAGES if images else VECTORS
    peer, state = beside(torch, shape, made, forward), made.state()
    np.testing.assert_allclose(state["bn1.running_mean"], peer.running["bn1.running_mean"], rtol=1e-4, atol=1e-5)
    n, kept = BATCH * (8 * 7 if images else 1), 0.8**STEPS  # of the variance 1 that both start with
    theirs = (peer.running["bn1.running_variance"].numpy() - kept) * (n - 1) / n + kept
    np.testing.assert_allclose(state["bn1.running_variance"], theirs, rtol=1e-4)


# normalization of images or vectors, and PyTorch's number of groups
WITHIN: list[tuple[dict[str, Any], bool, int]] = [
    ({"kind": "layer", "epsilon": 1e-3}, False, 1),
    ({"kind": "layer", "epsilon": 1e-3}, True, 1),
    ({"kind": "group", "groups": 3}, False, 3),
    ({"kind": "group", "groups": 3}, True, 3),
    ({"kind": "group", "groups": 2, "position": "post"}, False, 2),
    ({"kind": "group", "groups": 2, "position": "post"}, True, 2),
    ({"kind": "instance"}, True, 6),
]
PREFIX = {"layer": "ln1", "group": "gn1", "instance": "in1"}


@pytest.mark.parametrize(("normalization", "images", "groups"), WITHIN, ids=str)
def test_norms_within_a_sample(normalization: dict[str, Any], images: bool, groups: int, torch: Any) -> None:
    """For an image, ours is PyTorch's GroupNorm with one group (gamma and beta a channel), not its LayerNorm over [H, W, C]."""
    shape = IMAGES if images else VECTORS
    layer = CONV if images else {"kind": "dense", "units": 12}
    made = compiled(shape, [layer], activation="tanh", normalization=normalization)

    def forward(n: Any, x: Any) -> Any:
        z, norm = n.conv(x, "conv1", padding=1) if images else n.dense(x, "fc1"), PREFIX[normalization["kind"]]
        post, epsilon = normalization.get("position") == "post", normalization.get("epsilon", 1e-5)
        h = n.group_norm(z.tanh(), norm, groups, epsilon) if post else n.group_norm(z, norm, groups, epsilon).tanh()
        return n.dense(h, "fc1" if images else "fc2")

    beside(torch, shape, made, forward)


def test_every_normalization_has_a_case() -> None:
    rest = {"none", "batch", "rms"}  # rms norm is in test_catalogue.py
    assert set(NORMALIZATIONS) == {*rest, *(normalization["kind"] for normalization, _, _ in WITHIN)}


@pytest.mark.parametrize("dropout", ["inverted", "traditional", "alpha"])
def test_dropout_with_the_masks_of_our_generator(dropout: str, torch: Any) -> None:
    made = compiled(VECTORS, [{"kind": "dense", "units": 12}], activation="relu", regularization={"dropout": dropout, "keep_prob": 0.7})
    step = iter(range(STEPS))

    def forward(n: Any, x: Any) -> Any:
        mask = random.uniform(0, random.DROPOUT, "dropout1", next(step), BATCH * 12).reshape(BATCH, 12) < np.float32(0.7)
        h, kept = n.dense(x, "fc1").relu(), torch.tensor(mask)
        if dropout == "alpha":  # Klambauer et al. 2017, section 3, of what selu makes of minus infinity
            scale = (0.7 * (1 + 0.3 * ALPHA**2)) ** -0.5
            return n.dense(scale * (h * kept + ALPHA * ~kept) - scale * 0.3 * ALPHA, "fc2")
        return n.dense(h * kept / (0.7 if dropout == "inverted" else 1.0), "fc2")

    beside(torch, VECTORS, made, forward)


def layers_of(option: str) -> list[dict[str, Any]]:
    """The layers of `architecture=option`, with its dropout left out: PyTorch draws other masks."""
    plain: Any = to_plain(experiment(compose([f"architecture={option}"])))
    return [{**layer, "regularization": None} if "regularization" in layer else layer for layer in plain["architecture"]["layers"]]


def lenet(n: Any, x: Any) -> Any:
    h = n.average_pool(n.conv(x, "conv1", padding=2).relu(), 2)
    h = n.average_pool(n.conv(h, "conv2").relu(), 2)
    return n.dense(n.dense(n.dense(h, "fc1").relu(), "fc2").relu(), "fc3")


def cnn_small(n: Any, x: Any) -> Any:
    for number in (1, 2, 3, 4):
        x = n.batch_norm(n.conv(x, f"conv{number}", padding=1), f"bn{number}").relu()
        x = x if number % 2 else n.max_pool(x, 2)
    return n.dense(n.dense(x, "fc1").relu(), "fc2")


def resnet20(n: Any, x: Any) -> Any:
    """Over 8 x 8 images: where a stage strides, `same` adds one row and column behind."""
    x = n.batch_norm(n.conv(x, "stem", padding=1), "stem_bn").relu()
    for stage, block in itertools.product((1, 2, 3), (1, 2, 3)):
        name, strides = f"block{stage}{block}", stage > 1 and block == 1
        sizes = {"around": (0, 1, 0, 1), "stride": 2} if strides else {"padding": 1}
        h = n.batch_norm(n.conv(x, f"{name}_a", **sizes), f"{name}_a_bn").relu()
        h = n.batch_norm(n.conv(h, f"{name}_b", padding=1), f"{name}_b_bn")
        x = n.batch_norm(n.conv(x, f"{name}_skip", stride=2), f"{name}_skip_bn") if strides else x
        x = (x + h).relu()
    return n.dense(x.mean((1, 2)), "fc1")


def preact_resnet20(n: Any, x: Any) -> Any:
    x = n.conv(x, "stem", padding=1)
    for stage, block in itertools.product((1, 2, 3), (1, 2, 3)):
        name, strides = f"block{stage}{block}", stage > 1 and block == 1
        sizes = {"around": (0, 1, 0, 1), "stride": 2} if strides else {"padding": 1}
        h = n.batch_norm(x, f"{name}_norm1_bn").relu()
        x = n.conv(h, f"{name}_skip", stride=2) if strides else x
        h = n.batch_norm(n.conv(h, f"{name}_a", **sizes), f"{name}_norm2_bn").relu()
        x = x + n.conv(h, f"{name}_b", padding=1)
    return n.dense(n.batch_norm(x, "last_norm_bn").relu().mean((1, 2)), "fc1")


def densenet_small(n: Any, x: Any) -> Any:
    x = n.conv(x, "stem", padding=1)
    for block in (1, 2, 3):
        for layer in (1, 2, 3):
            name = f"block{block}_{layer}"
            x = n.concat(x, n.conv(n.batch_norm(x, f"{name}_norm_bn").relu(), f"{name}_conv", padding=1))
        x = n.batch_norm(x, f"block{block}_norm_bn").relu()
        x = n.average_pool(n.conv(x, f"transition{block}"), 2) if block < 3 else x.mean((1, 2))
    return n.dense(x, "fc1")


# the function, the image, the learning rate
NETWORKS = {
    "lenet": (lenet, (28, 28, 1), 0.02),
    "cnn_small": (cnn_small, (12, 12, 1), 0.02),
    # at 0.02 the roundoff of float32 grows to 2e-4 within ten steps; that of float64 to 2e-14
    "resnet20": (resnet20, (8, 8, 3), 0.005),
    "preact_resnet20": (preact_resnet20, (8, 8, 3), 0.015),
    "densenet_small": (densenet_small, (8, 8, 3), 0.01),
}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("option", NETWORKS)
def test_networks(option: str, precision: str, torch: Any) -> None:
    forward, size, rate = NETWORKS[option]
    shape = DataShape(input_shape=size, classes=4, targets=None)
    optimizer = {"kind": "momentum", "learning_rate": rate, "momentum": 0.9}
    made = compiled(shape, layers_of(option), activation="relu", optimizer=optimizer, precision=precision)
    beside(torch, shape, made, forward, optimizer=lambda w, b: torch.optim.SGD([*w, *b], lr=rate, momentum=0.9))
