"""What an initialization does to the signal: standard deviation of the activations, layer by layer, in a deep network.

The expected values are those of infinitely wide layers (Poole et al. 2016, eq. 3): a unit's input is normal with variance
q(l + 1) = n * var(w) * E[h(l)^2], and h = activation(sqrt(q) * z), z ~ N(0, 1).  The input of the network is N(0, 1).
"""

# N rows, n units a layer
from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from pipeline import random
from pipeline.config.experiment import Experiment
from pipeline.data import DataShape
from pipeline.demonstrations.figure import Figure, at_least, at_most, near
from pipeline.demonstrations.network import layers, program
from pipeline.graph.values import Array

ROWS, UNITS, DEPTH = 1000, 500, 10
SHOWN = (1, 5, 10)
SATURATED = 0.99


def init_depth(config: Experiment) -> list[Figure]:
    """tanh: weights of 0.01 let the signal vanish, weights of 1 saturate it, Xavier keeps it."""
    figures = []
    for name, variance in (("normal 0.01", 1e-4), ("normal 1", 1.0), ("xavier", 1 / UNITS)):
        values = _activations(config, "tanh", _of(name))
        figures += _deviations(f"tanh, {name}", values, _wide(np.tanh, UNITS * variance), 0.01)
        if name == "normal 1":
            share = next(islice(_saturated_when_wide(UNITS * variance), 4, None))
            figures.append(near(f"tanh, {name}: share beyond {SATURATED}, layer 5", share, _saturated(values[4]), 0.02))
    return figures


def relu_init(config: Experiment) -> list[Figure]:
    """relu: Xavier loses half the variance at every layer, He keeps it."""
    figures = []
    for name, variance in (("xavier", 1 / UNITS), ("he", 2 / UNITS)):
        values = _activations(config, "relu", _of(name))
        # E[h^4] / E[h^2]^2 - 1 = 5 for relu: that is the variance of log q that each layer of n units adds, over n
        figures += _deviations(f"relu, {name}", values, _wide(_relu, UNITS * variance), 1.5 * np.sqrt(5 / UNITS))
    return figures


def rand_for_randn(config: Experiment) -> list[Figure]:
    """The notes' rand for randn, at the scale of Xavier: tanh saturates within five layers; randn does not."""
    wrong = _activations(config, "tanh", {"kind": "rand"})[4]
    right = _activations(config, "tanh", {"kind": "lecun"})[4]
    (_, deviation) = next(islice(_wide(np.tanh, 1.0), 4, None))
    return [
        at_least("rand: share beyond 0.99, layer 5", 0.99, _saturated(wrong)),
        near("rand: standard deviation, layer 5", 1.0, float(wrong.std()), 0.01),
        at_most("randn: share beyond 0.99, layer 5", 0.01, _saturated(right)),
        near("randn: standard deviation, layer 5", deviation, float(right.std()), 0.03 * deviation),
    ]


def _of(name: str) -> dict[str, Any]:
    kind, _, std = name.partition(" ")
    return {"kind": kind, "std": float(std)} if std else {"kind": kind}


def _activations(config: Experiment, activation: str, initialization: dict[str, Any]) -> list[Array]:
    """The values of the DEPTH layers for ROWS rows of N(0, 1), each [N, n]."""
    entry = {"kind": "dense", "units": UNITS, "activation": activation}
    made = program(
        config, DataShape(input_shape=(UNITS,), targets=UNITS), architecture=layers(*[entry] * DEPTH), initialization=initialization
    )
    x = random.normal(config.seed, random.GENERATOR, "init_depth", 0, ROWS * UNITS).reshape(ROWS, UNITS)
    values = made.layer_values(x)
    return [values[f"{activation}{layer + 1}"] for layer in range(DEPTH)]


def _wide(activation: Callable[[Array], Array], gain: float) -> Iterator[tuple[float, float]]:
    """(variance q of a unit's input, standard deviation of its output) of layer 1, 2, ... for gain = n * var(w)."""
    z = np.linspace(-10, 10, 200_001)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    q = gain
    while True:
        h = activation(np.sqrt(q) * z)
        mean, square = float(h @ density), float(h**2 @ density)
        yield q, float(np.sqrt(square - mean**2))
        q = gain * square


def _saturated_when_wide(gain: float) -> Iterator[float]:
    """The share of |tanh| beyond SATURATED, layer by layer."""
    for q, _ in _wide(np.tanh, gain):
        yield math.erfc(math.atanh(SATURATED) / math.sqrt(2 * q))


def _deviations(name: str, values: list[Array], wide: Iterator[tuple[float, float]], spread: float) -> list[Figure]:
    """The layers SHOWN; finite width lets the deviation wander by a share of `spread` * sqrt(layer)."""
    expected = [deviation for _, deviation in islice(wide, DEPTH)]
    return [
        near(
            f"{name}: standard deviation, layer {layer}",
            expected[layer - 1],
            float(values[layer - 1].std()),
            expected[layer - 1] * spread * np.sqrt(layer),
        )
        for layer in SHOWN
    ]


def _saturated(h: Array) -> float:
    return float(np.mean(np.abs(h) > SATURATED))


def _relu(z: Array) -> Array:
    return np.maximum(z, 0.0)
