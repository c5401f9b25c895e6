"""Gradient descent on a quadratic bowl of condition number 100: when a step goes uphill, and what momentum buys.

The mean squared error of linear regression is such a bowl: f(w) = mean((x w)^2) has the Hessian H = 2 / N x^T x.
"""

# N rows, D weights, g gradient, H Hessian
from __future__ import annotations

import math

import numpy as np

from pipeline.config.experiment import Experiment
from pipeline.data import DataShape
from pipeline.demonstrations.figure import Figure, at_least, at_most, near
from pipeline.demonstrations.network import layers, program
from pipeline.graph.values import Array
from pipeline.program.program import Program

CURVATURE = np.array([1.0, 100.0])
START = np.array([1.0, 1.0])
# in pairs of opposite sign, so that the gradient of the bias is 0; then 2 / N x^T x is diag(CURVATURE)
X = np.concatenate([np.diag(np.sqrt(CURVATURE)), -np.diag(np.sqrt(CURVATURE))])
Y = np.zeros((len(X), 1))
TOLERANCE = 1e-6


def uphill(config: Experiment) -> list[Figure]:
    """A gradient step of size e changes f by -e g'g + e^2 g'Hg / 2: uphill beyond e = 2 g'g / g'Hg (Goodfellow et al. 2016, eq. 4.9)."""
    start = _bowl(config, {"kind": "sgd"})
    g = start.gradients(X, Y)["fc1.weight"][:, 0]
    gg, ghg = float(g @ g), float(g @ (CURVATURE * g))
    turn, best = 2 * gg / ghg, gg / ghg
    figures = [at_most("largest difference of g and H w", 1e-12, float(np.abs(g - CURVATURE * START).max()))]
    for name, size in (("0.5 of the turn", best), ("0.99 of the turn", 0.99 * turn), ("the turn", turn), ("1.01 of the turn", 1.01 * turn)):
        made = _bowl(config, {"kind": "sgd", "learning_rate": size})
        change = -made.step(X, Y) + made.loss(X, Y)
        predicted = -size * gg + size**2 * ghg / 2
        figures.append(near(f"change of f, e = {name}", predicted, change, 1e-10 * max(1.0, abs(predicted))))
    lowest = -(gg**2) / (2 * ghg)
    figures.append(near("change of f, e = 0.5 of the turn, is the largest fall", lowest, figures[1].measured, 1e-10 * abs(lowest)))
    figures += [
        at_most("change of f just before the turn", -1e-6, figures[2].measured),
        at_least("change of f just after the turn", 1e-6, figures[4].measured),
    ]
    return figures


def momentum_ravine(config: Experiment) -> list[Figure]:
    """Steps until |w| < 1e-6, each with its best constants, and swings across the ravine at one learning rate.

    Gradient descent contracts by (k - 1) / (k + 1) a step, momentum by (sqrt(k) - 1) / (sqrt(k) + 1), k = 100 (Polyak 1964).
    The swings are those of the steep weight: the sum of its squared changes. Near the limit of the learning rate the gradient alternates
    there, and an average over steps (momentum 0.9, convention ema) lets it cancel.
    """
    low, high = float(CURVATURE.min()), float(CURVATURE.max())
    contraction, root = (high - low) / (high + low), math.sqrt(high / low)
    slow, fast = 2 / (high + low), 4 / (math.sqrt(high) + math.sqrt(low)) ** 2
    beta = ((root - 1) / (root + 1)) ** 2
    limit = 1.9 / high
    plain = _path(_bowl(config, {"kind": "sgd", "learning_rate": slow}), 800)
    heavy = _path(_bowl(config, {"kind": "momentum", "momentum": beta, "learning_rate": fast}), 200)
    wild = _path(_bowl(config, {"kind": "sgd", "learning_rate": limit}), 300)
    calm = _path(_bowl(config, {"kind": "momentum", "momentum": 0.9, "convention": "ema", "learning_rate": limit}), 300)
    wanted = math.ceil(math.log(TOLERANCE / math.sqrt(2)) / math.log(contraction))
    energy = 1.9**2 / (1 - 0.9**2)
    return [
        near("momentum 0: steps", wanted, _steps(plain), 0),
        near(f"momentum {beta:.2f}: steps", _steps(_recursion(fast, beta, 1.0, 200)), _steps(heavy), 0),
        at_most(f"momentum {beta:.2f}: steps, a fifth of those", wanted / 5, _steps(heavy)),
        near("learning rate 1.9 / h, momentum 0: energy of the swings", energy, _energy(wild), 1e-9),
        near("the same, momentum 0.9: energy of the swings", _energy(_recursion(limit, 0.9, 0.1, 300)), _energy(calm), 1e-9),
        at_most("momentum 0.9: energy of the swings, a fifth of that", energy / 5, _energy(calm)),
    ]


def _bowl(config: Experiment, optimizer: dict[str, object]) -> Program:
    """Linear regression that stands at START; its bias is 0 and stays so."""
    made = program(
        config,
        DataShape(input_shape=(len(START),), targets=1),
        architecture=layers({"kind": "dense", "units": 1}),
        optimizer=optimizer,
        training={"batch_size": len(X)},
    )
    made.load_parameters({"fc1.weight": START[:, None], "fc1.bias": [0.0]})
    return made


def _path(made: Program, steps: int) -> Array:
    """The weights before each of `steps` steps [S, D]."""
    places = []
    for _ in range(steps):
        places.append(made.parameters()["fc1.weight"][:, 0])
        made.step(X, Y)
    return np.array(places)


def _recursion(rate: float, beta: float, share: float, steps: int) -> Array:
    """The same path from powers of the 2 x 2 matrix that takes (w, v) of one axis to the next step [S, D]."""
    columns = []
    for h, start in zip(CURVATURE, START, strict=True):
        matrix = np.array([[1 - rate * share * h, -rate * beta], [share * h, beta]])
        columns.append([np.linalg.matrix_power(matrix, step)[0, 0] * start for step in range(steps)])
    return np.array(columns).T


def _steps(path: Array) -> int:
    """The first step before which |w| is below TOLERANCE."""
    return int(np.argmax(np.linalg.norm(path, axis=1) < TOLERANCE))


def _energy(path: Array) -> float:
    """The sum of the squared changes of the steep weight."""
    return float(np.sum(np.diff(path[:, np.argmax(CURVATURE)]) ** 2))
