"""Pooling in numbers: 2 x 2 at stride 2 leaves a quarter of the activations, and what it does to a shifted image."""

# N rows
from __future__ import annotations

import math
from typing import Any

import numpy as np

from pipeline import data
from pipeline.config.experiment import Experiment
from pipeline.demonstrations.figure import Figure, at_most, near
from pipeline.demonstrations.network import described, layers, program
from pipeline.graph.values import Array

ROWS, SIDE, CHANNELS = 200, 16, 8
POOLS: dict[str, tuple[dict[str, Any], ...]] = {
    "none": (),
    "max": ({"kind": "max_pool", "kernel": 2},),
    "average": ({"kind": "average_pool", "kernel": 2},),
    "global average": ({"kind": "global_average_pool"},),
}


def pooling_shift(config: Experiment) -> list[Figure]:
    """Digits amid dark pixels and a random convolution with relu: size of what is pooled, and its relative change when the image moves."""
    dataset = data.load(described(config, data={"kind": "digits"}).data, seed=config.seed)
    x = np.zeros((ROWS, SIDE, SIDE, 1))
    x[:, 4:12, 4:12] = dataset.train.x[:ROWS] / 16  # nothing falls off the edge when it moves
    found = {name: _of(config, x, pool) for name, pool in POOLS.items()}
    whole = SIDE * SIDE * CHANNELS
    sizes = {"none": whole, "max": whole // 4, "average": whole // 4, "global average": CHANNELS}
    figures = [near(f"{name}: activations", size, found[name][0], 0) for name, size in sizes.items()]
    none = found["none"][1]
    figures += [
        at_most(f"{name}: change for a shift of 1, that of none {none:.3f}", 0.9 * none, found[name][1]) for name in ("max", "average")
    ]
    return [*figures, at_most("global average: change for a shift of 1", 1e-12, found["global average"][1])]


def _of(config: Experiment, x: Array, pool: tuple[dict[str, Any], ...]) -> tuple[int, float]:
    """The number of activations, and |f(shifted) - f(x)| / |f(x)| over the rows."""
    conv = {"kind": "conv", "channels": CHANNELS, "kernel": 3, "activation": "relu"}
    count = CHANNELS if "global" in str(pool) else CHANNELS * (SIDE // 2 if pool else SIDE) ** 2
    made = program(
        config, data.DataShape(input_shape=(SIDE, SIDE, 1), targets=count), architecture=layers(conv, *pool, {"kind": "flatten"})
    )
    size = math.prod(made.layers[-2][2])
    values, shifted = made.predict(x), made.predict(np.roll(x, 1, axis=2))
    return size, float(np.linalg.norm(shifted - values) / np.linalg.norm(values))
