"""L2 regularization and weight decay: the same for plain gradient descent, not for Adam; and L2 as a Gaussian prior."""

# N rows, D features
from __future__ import annotations

from typing import Any

import numpy as np

from pipeline import random
from pipeline.config.experiment import Experiment
from pipeline.data import DataShape
from pipeline.demonstrations.figure import Figure, at_least, at_most
from pipeline.demonstrations.network import descend, layers, program
from pipeline.graph.values import Array
from pipeline.program.program import Program

ROWS, FEATURES, STEPS = 64, 6, 50
STRENGTH = 0.1


def wd_vs_l2(config: Experiment) -> list[Figure]:
    """w <- w - e (g + c w) either way with sgd; of the two, Adam scales c w only as a part of the gradient (Loshchilov & Hutter 2019)."""
    sgd, adam = {"kind": "sgd", "learning_rate": 0.1}, {"kind": "adam", "learning_rate": 0.01}
    return [
        at_most(f"sgd: largest difference of a weight after {STEPS} steps", 1e-12, _apart(config, sgd)),
        at_least(f"adam: largest difference of a weight after {STEPS} steps", 1e-3, _apart(config, adam)),
    ]


def wd_prior(config: Experiment) -> list[Figure]:
    """The weights that minimize squared error with L2 are the mode under a Gaussian prior (MacKay 1992).

    With noise of variance s^2 and w ~ N(0, t^2), the mode solves (X'X / s^2 + I / t^2) w = X'y / s^2; the mean squared error over N rows
    plus c / 2 |w|^2 has its minimum there for c = 2 s^2 / (N t^2).
    """
    noise, spread = 0.5, 0.3
    x, y = _data(config)
    y = x @ np.linspace(-1, 1, FEATURES)[:, None] + noise * y
    strength = 2 * noise**2 / (ROWS * spread**2)
    made = program(
        config,
        DataShape(input_shape=(FEATURES,), targets=1),
        architecture=layers({"kind": "dense", "units": 1}),
        regularization={"l2": strength},
        optimizer={"kind": "momentum", "learning_rate": 0.05},
        training={"batch_size": ROWS},
    )
    descend(made, x, y, 1000)
    found = made.parameters()["fc1.weight"]
    centered, target = x - x.mean(axis=0), y - y.mean()  # the bias has no prior, so it takes up the means
    mode = np.linalg.solve(centered.T @ centered / noise**2 + np.eye(FEATURES) / spread**2, centered.T @ target / noise**2)
    free = np.linalg.lstsq(centered, target, rcond=None)[0]
    return [
        at_most("largest difference of a trained weight and the mode", 1e-9, float(np.abs(found - mode).max())),
        at_least("largest difference of a trained weight and least squares", 1e-2, float(np.abs(found - free).max())),
    ]


def _apart(config: Experiment, optimizer: dict[str, Any]) -> float:
    """The largest difference of a parameter between L2 and decoupled decay of one strength."""
    l2, decay = (
        _trained(config, optimizer, regularization).parameters() for regularization in ({"l2": STRENGTH}, {"weight_decay": STRENGTH})
    )
    return max(float(np.abs(l2[name] - decay[name]).max()) for name in l2)


def _trained(config: Experiment, optimizer: dict[str, Any], regularization: dict[str, Any]) -> Program:
    made = program(
        config,
        DataShape(input_shape=(FEATURES,), targets=1),
        architecture={"layers": [{"kind": "dense", "units": 8}]},
        activation="tanh",
        optimizer=optimizer,
        regularization=regularization,
        training={"batch_size": ROWS},
    )
    descend(made, *_data(config), STEPS)
    return made


def _data(config: Experiment) -> tuple[Array, Array]:
    """x [N, D] and y [N, 1], all N(0, 1)."""
    numbers = random.normal(config.seed, random.GENERATOR, "weight_decay", 0, ROWS * (FEATURES + 1)).reshape(ROWS, FEATURES + 1)
    return numbers[:, :-1], numbers[:, -1:]
