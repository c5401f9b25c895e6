"""Why classes are not fitted by squared error: one far point moves the boundary of linear regression, not that of logistic regression."""

from __future__ import annotations

import numpy as np

from pipeline.config.experiment import Experiment
from pipeline.data import DataShape
from pipeline.demonstrations.figure import Figure, at_least, near
from pipeline.demonstrations.network import descend, layers, program
from pipeline.graph.values import Array

# one feature, two classes that touch between 0 and 1; the outlier is on the right side, far out
CLASS_0, CLASS_1 = np.array([-4.0, -3.0, -2.0, -1.0, 1.0]), np.array([0.0, 2.0, 3.0, 4.0, 5.0])
OUTLIER = 40.0


def linear_vs_logistic(config: Experiment) -> list[Figure]:
    """Where the predictions cross 1/2, without and with the outlier."""
    found = {}
    for name, far in (("without", ()), ("with", (OUTLIER,))):
        x = np.concatenate([CLASS_0, CLASS_1, far])[:, None]
        y = np.concatenate([np.zeros(len(CLASS_0)), np.ones(len(CLASS_1) + len(far))])
        found[name] = _least_squares(x, y), _linear(config, x, y), _logistic(config, x, y)
    return [
        near("linear regression, without", found["without"][0], found["without"][1], 1e-6),
        near("linear regression, with the outlier", found["with"][0], found["with"][1], 1e-6),
        at_least("linear regression: it moves by", 1.0, abs(found["with"][1] - found["without"][1])),
        near("logistic regression, with minus without", 0.0, found["with"][2] - found["without"][2], 0.01),
    ]


def _least_squares(x: Array, y: Array) -> float:
    """The boundary by the normal equations."""
    slope, offset = np.linalg.lstsq(np.hstack([x, np.ones_like(x)]), y, rcond=None)[0]
    return float((0.5 - offset) / slope)


def _linear(config: Experiment, x: Array, y: Array) -> float:
    """The boundary by gradient descent on the squared error."""
    scale = float(np.abs(x).max())  # brings the feature into [-1, 1], so that the descent is quick
    made = program(
        config,
        DataShape(input_shape=(1,), targets=1),
        architecture=layers({"kind": "dense", "units": 1}),
        optimizer={"kind": "momentum", "learning_rate": 0.2},
        training={"batch_size": len(x)},
    )
    descend(made, x / scale, y[:, None], 1500)
    parameters = made.parameters()
    return scale * (0.5 - float(parameters["fc1.bias"][0])) / float(parameters["fc1.weight"][0, 0])


def _logistic(config: Experiment, x: Array, y: Array) -> float:
    """The boundary by gradient descent on the logistic loss."""
    made = program(
        config,
        DataShape(input_shape=(1,), classes=2),
        architecture={"layers": []},
        loss="logistic",
        optimizer={"kind": "momentum", "learning_rate": 0.05},
        training={"batch_size": len(x)},
    )
    descend(made, x, y.astype(np.int32), 1500)
    parameters = made.parameters()
    return -float(parameters["fc1.bias"][0]) / float(parameters["fc1.weight"][0, 0])
