"""Inputs of one sign make the gradients of a unit's weights agree in sign: descent can only zig-zag (LeCun et al. 1998, section 4.3).

The gradient of weight i for one row is delta * x[i]: its sign is that of x[i] or the opposite, for all i at once.  The notes blame the
positive slope of the sigmoid; it is the inputs, as the centred ones show under the same sigmoid.
"""

# N rows, D features
from __future__ import annotations

import math

import numpy as np

from pipeline import preprocessing, random
from pipeline.config.experiment import Experiment
from pipeline.data import DataShape
from pipeline.demonstrations.figure import Figure, near
from pipeline.demonstrations.network import layers, program
from pipeline.graph.values import Array
from pipeline.preprocessing import Preprocessing

ROWS, FEATURES = 200, 20


def zero_centred(config: Experiment) -> list[Figure]:
    """The share of pairs of weights whose gradients agree in sign, over rows: 1 for positive inputs, 1/2 for centred ones."""
    positive = random.uniform(config.seed, random.GENERATOR, "zero_centred", 0, ROWS * FEATURES).reshape(ROWS, FEATURES) + 0.01
    centred = preprocessing.fit(Preprocessing(steps=("center",)), positive, precision="float64").apply(positive)
    error = math.sqrt(1 / (2 * FEATURES * (FEATURES - 1) * ROWS))  # of the mean over rows, for signs that are independent
    return [
        near("positive inputs: pairs that agree", 1.0, _agreement(config, positive), 0),
        near("centred inputs: pairs that agree", 0.5, _agreement(config, centred), 3 * error),
    ]


def _agreement(config: Experiment, x: Array) -> float:
    """Of the gradients of one sigmoid unit for each row alone."""
    made = program(
        config,
        DataShape(input_shape=(FEATURES,), targets=1),
        architecture=layers({"kind": "dense", "units": 1, "activation": "sigmoid"}),
    )
    signs = np.array([np.sign(made.gradients(x[i : i + 1], np.zeros((1, 1)))["fc1.weight"][:, 0]) for i in range(len(x))])
    together = (signs.sum(axis=1) ** 2 - FEATURES) / (FEATURES * (FEATURES - 1))  # mean of the products over pairs, -1 to 1
    return float(np.mean(1 + together) / 2)
