"""Random small networks, of every layer, norm, activation, loss, optimizer and regularization: the native backend trains as the reference.

Sizes are small and odd on purpose: batches of one, images one place wide, single channels, where kernels take their other ways.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from pipeline.data import DataShape
from pipeline.errors import ConfigError
from pipeline.layers import LAYERS
from pipeline.layers.activation import ACTIVATIONS
from pipeline.layers.normalization import NORMALIZATIONS
from pipeline.optimizers import OPTIMIZERS
from tests.program.configs import program

LOSSES = {"classes": ("softmax_cross_entropy", "hinge"), "two classes": ("logistic",), "numbers": ("mean_squared_error", "huber")}
PENALTIES = {"l1": 0.01, "l2": 0.02, "weight_decay": 0.03, "max_norm": 1.0, "clip_norm": 0.5, "clip_value": 0.1}


def normalization(r: random.Random) -> dict[str, Any]:
    kind = r.choice([*NORMALIZATIONS])
    fields: dict[str, Any] = {} if kind == "none" else {"position": r.choice(["pre", "post"])}
    if kind == "group":
        fields["groups"] = r.choice([1, 2, 3])
    if kind == "batch":
        fields["statistics"] = r.choice(["ema", "population"])
    return {"kind": kind, **fields}


def activation(r: random.Random) -> dict[str, Any]:
    kind = r.choice([*ACTIVATIONS])
    return {"kind": kind, "shared": r.random() < 0.5} if kind == "prelu" else {"kind": kind}


def layer(r: random.Random, earlier: list[str]) -> dict[str, Any]:
    kind = r.choice([*LAYERS, "conv", "conv", "conv_transpose"])
    fields: dict[str, Any] = {"kind": kind}
    if kind in ("conv", "conv_transpose"):
        fields |= {"channels": r.choice([1, 2, 3, 4, 6, 17]), "kernel": [r.randint(1, 3), r.randint(1, 3)], "dilation": r.choice([1, 1, 2])}
        fields |= {"stride": [r.randint(1, 2), r.randint(1, 2)], "padding": r.choice(["same", "valid", 1])}
    if kind == "conv":
        fields["groups"] = r.choice([1, 1, 2, 3])
    if kind in ("max_pool", "average_pool"):
        fields |= {"kernel": [r.randint(1, 3), r.randint(1, 2)], "stride": r.choice([1, 2, None]), "padding": r.choice(["same", "valid"])}
    if kind == "dense":
        fields["units"] = r.choice([1, 2, 5, 33])
    if kind in ("add", "concat"):
        fields["inputs"] = [r.choice(earlier) for _ in range(2)]
    if kind == "activation":
        fields["activation"] = activation(r)
    if kind in ("conv", "conv_transpose", "dense") and r.random() < 0.5:
        fields |= {"activation": activation(r), "normalization": normalization(r)}
    return fields


def network(r: random.Random) -> tuple[DataShape, dict[str, Any]]:
    """The shape of the data, and the groups of a config; many do not fit together."""
    layers: list[dict[str, Any]] = []
    for number in range(r.randint(1, 4)):
        layers.append({**layer(r, ["input", *(entry["name"] for entry in layers)]), "name": f"layer{number}"})
    input_shape = (r.randint(1, 5), r.randint(1, 5), r.choice([1, 2, 3, 6])) if r.random() < 0.85 else (r.randint(1, 7),)
    task = r.choice([*LOSSES])
    classes = {"classes": r.choice([2, 3, 5]), "two classes": 2, "numbers": None}[task]
    regularization = {name: value for name, value in PENALTIES.items() if r.random() < 0.2}
    if r.random() < 0.5:
        regularization |= {"dropout": r.choice(["inverted", "traditional"]), "keep_prob": 0.7}
    groups = {
        "architecture": {"layers": layers, "head": "auto"},
        "loss": r.choice(LOSSES[task]),
        "regularization": regularization,
        "optimizer": {"kind": r.choice([*OPTIMIZERS]), "learning_rate": 0.01},
        "activation": activation(r),
        "normalization": normalization(r),
        "training": {"batch_size": r.choice([1, 1, 2, 3, 5])},
    }
    return DataShape(input_shape=input_shape, classes=classes, targets=None if classes else r.choice([1, 2, 3])), groups


def check_some(first: int, count: int) -> None:
    """The first `count` networks from seed `first` on that fit together: losses of three steps, and predictions after them."""
    seed, done = first, 0
    while done < count:
        shape, groups = network(random.Random(seed))
        seed += 1
        try:
            made = [program(shape=shape, backend={"kind": kind}, **groups) for kind in ("reference", "numpy")]
        except ConfigError:
            continue
        done += 1
        rng, batch = np.random.default_rng(seed), groups["training"]["batch_size"]
        x, rows = rng.normal(size=(6, *shape.input_shape)), rng.integers(0, 6, (3, batch))
        y = rng.integers(0, shape.classes, 6) if shape.classes else rng.normal(size=(6, shape.targets or 0))
        losses = [one.run(x, y, rows) for one in made]
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-7, atol=1e-9, err_msg=f"seed {seed - 1}: {groups}")
        found = [one.predict(x) for one in made]
        np.testing.assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-7, err_msg=f"seed {seed - 1}: {groups}")


@pytest.mark.parametrize("first", range(0, 3000, 1000))
def test_a_few_random_networks(first: int) -> None:
    check_some(first, 2)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(10_000, 20_000, 1000))
def test_many_random_networks(first: int) -> None:
    check_some(first, 30)
