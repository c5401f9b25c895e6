"""What preprocessing does to the shape of the problem: the condition number of x^T x, two features of ranges [1, 1000] and [0, 1].

Gradient descent on squared error takes steps in proportion to that number.  For the ranges a uniform variable has mean m and variance
v = range^2 / 12: centred the number is 999^2, and raw it is that of [[v + m^2, m m'], [m m', v' + m'^2]].
"""

# N rows
from __future__ import annotations

import numpy as np

from pipeline import random
from pipeline.config.experiment import Experiment
from pipeline.demonstrations.figure import Figure, at_most, near
from pipeline.graph.values import Array
from pipeline.preprocessing import Preprocessing, fit

ROWS = 20_000
LOW, RANGE = np.array([1.0, 0.0]), np.array([999.0, 1.0])


def preprocessing(config: Experiment) -> list[Figure]:
    """Raw, centred, standardized, rotated, whitened; and the notes' division by the variance, which repairs nothing."""
    x = LOW + RANGE * random.uniform(config.seed, random.GENERATOR, "preprocessing", 0, 2 * ROWS).reshape(ROWS, 2)
    mean, variance = LOW + RANGE / 2, RANGE**2 / 12
    raw = np.linalg.cond(np.diag(variance) + np.outer(mean, mean))
    measured = {steps: _condition(x, *steps) for steps in ((), ("center",), ("standardize",), ("divide_by_variance",), ("pca",))}
    centred = measured[("center",)]
    white = {step: _covariance(x, step) for step in ("whiten", "zca")}
    return [
        near("raw", raw, measured[()], 0.05 * raw),
        near("centred", 999.0**2, centred, 0.05 * 999.0**2),
        near("standardized", 1.0, measured[("standardize",)], 0.05),
        near("divided by the variance, over centred", 1.0, measured[("divide_by_variance",)] / centred, 1e-6),
        near("rotated to its components, over centred", 1.0, measured[("pca",)] / centred, 1e-6),
        *(at_most(f"{step}: largest difference of the covariance and I", 1e-6, value) for step, value in white.items()),
    ]


def _transformed(x: Array, *steps: str) -> Array:
    settings = Preprocessing(steps=steps, epsilon=0.0) if set(steps) & {"whiten", "zca"} else Preprocessing(steps=steps)
    return fit(settings, x, precision="float64").apply(x)


def _condition(x: Array, *steps: str) -> float:
    """The largest eigenvalue of x^T x over the smallest."""
    values = np.linalg.svd(_transformed(x, *steps), compute_uv=False)
    return float((values[0] / values[-1]) ** 2)


def _covariance(x: Array, step: str) -> float:
    z = _transformed(x, step)
    return float(np.abs(z.T @ z / len(z) - np.eye(2)).max())
