"""Small experiments and data for tests of layers, optimizers and programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.config.experiment import Experiment
from pipeline.config.spec import experiment
from pipeline.data import DataShape
from pipeline.graph.values import Array
from pipeline.program.make import compile_experiment
from pipeline.program.program import Program

CLASSES = DataShape(input_shape=(4,), classes=3, targets=None)
TWO_CLASSES = DataShape(input_shape=(4,), classes=2, targets=None)
NUMBERS = DataShape(input_shape=(4,), classes=None, targets=2)


def config(*units: int, **changes: Any) -> Experiment:
    """An experiment with hidden dense layers of `units`; `changes` replace whole groups.  The backend is the reference, in float64."""
    plain = {
        "precision": "float64",
        "architecture": {"layers": [{"kind": "dense", "units": n} for n in units], "head": "auto"},
        "backend": {"kind": "reference"},
        "training": {"batch_size": 8},
        **changes,
    }
    return experiment(plain)


def program(*units: int, shape: DataShape = CLASSES, **changes: Any) -> Program:
    """The program of `config`."""
    return compile_experiment(config(*units, **changes), shape)


def data(rows: int = 40, shape: DataShape = CLASSES, seed: int = 0) -> tuple[Array, Array]:
    """Random rows and their classes or targets."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, *shape.input_shape))
    y = rng.normal(size=(rows, shape.targets)) if shape.classes is None else rng.integers(0, shape.classes, rows)
    return x, (y > 0).astype(np.float64) if shape.labels else y


def order(steps: int, rows: int = 40, batch: int = 8, seed: int = 1) -> Array:
    """Random row numbers [steps, batch]."""
    return np.random.default_rng(seed).integers(0, rows, (steps, batch))


def slope_and_difference(made: Program, x: Array, y: Array) -> tuple[float, float]:
    """The derivative of the loss along a random direction: by `gradients`, and by central differences."""
    rng = np.random.default_rng(2)
    p, gradient = made.parameters(), made.gradients(x, y)
    direction = {name: rng.normal(size=value.shape) for name, value in p.items()}
    losses = []
    for sign in (1, -1):
        made.load_parameters({name: value + sign * 1e-6 * direction[name] for name, value in p.items()})
        losses.append(made.loss(x, y, training=True))
    made.load_parameters(p)
    return sum(float(np.sum(gradient[name] * direction[name])) for name in p), (losses[0] - losses[1]) / 2e-6
