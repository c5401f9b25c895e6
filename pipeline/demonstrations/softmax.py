"""Softmax and its losses: the worked examples of the course notes, the loss before training, two classes as logistic regression."""

# N rows, C classes
from __future__ import annotations

import math
from typing import Any

import numpy as np

from pipeline import random
from pipeline.config.experiment import Experiment
from pipeline.data import DataShape
from pipeline.demonstrations.figure import Figure, at_least, at_most, near
from pipeline.demonstrations.network import program
from pipeline.graph.values import Array
from pipeline.program.program import Program

ROWS, FEATURES = 500, 20
LINEAR: dict[str, Any] = {"layers": []}


def softmax_example(config: Experiment) -> list[Figure]:
    """z = [5, 2, -1, 3]: t = exp(z) and a = t / sum(t).  The notes print e^1 and 147.4 among the terms; their sum is right."""
    z = np.array([5.0, 2.0, -1.0, 3.0])
    made = _of_logits(config, len(z))
    a, loss = made.evaluate(np.tile(z, (4, 1)), np.arange(4, dtype=np.int32))
    total = np.exp(loss + z)  # loss = log(sum(t)) - z[label], so every label gives the sum
    figures = [near("sum of t", 176.256, float(total.mean()), 5e-4)]
    for index, (t, share) in enumerate(zip((148.413, 7.389, 0.3679, 20.0855), (0.8420, 0.0419, 0.0021, 0.1140), strict=True)):
        figures.append(near(f"t[{index}]", t, float(total[index] * a[index, index]), 5e-4))
        figures.append(near(f"a[{index}]", share, float(a[index, index]), 5e-5))
    return figures


def ce_example(config: Experiment) -> list[Figure]:
    """y_hat = [0.3, 0.2, 0.1, 0.4] and the second class: -ln 0.2 = 1.6094, not 0.693 (ln 2) and not 0.699 (log10 0.2)."""
    prediction = np.array([[0.3, 0.2, 0.1, 0.4]])
    made = _of_logits(config, 4)
    loss = made.loss(np.log(prediction), np.array([1], np.int32))
    figures = [near("loss", 1.6094, loss, 5e-5)]
    return [*figures, *(near(f"y_hat[{i}]", p, made.predict(np.log(prediction))[0, i], 1e-12) for i, p in enumerate(prediction[0]))]


def loss_sanity(config: Experiment) -> list[Figure]:
    """The loss of an untrained network is ln C, and regularization adds to it."""
    x = random.normal(config.seed, random.GENERATOR, "loss_sanity", 0, ROWS * FEATURES).reshape(ROWS, FEATURES)
    figures = []
    for classes in (2, 4, 10):
        y = (np.arange(ROWS) % classes).astype(np.int32)
        shape = DataShape(input_shape=(FEATURES,), classes=classes)
        zero = program(config, shape, architecture=LINEAR, initialization="zeros")
        small = program(config, shape, architecture=LINEAR, initialization={"kind": "normal", "std": 0.01})
        held = program(
            config, shape, architecture=LINEAR, initialization={"kind": "normal", "std": 0.01}, regularization={"l2": 0.1, "l1": 0.01}
        )
        figures += [
            near(f"C = {classes}: loss, weights 0", math.log(classes), zero.loss(x, y), 1e-12),
            near(f"C = {classes}: loss, weights 0.01", math.log(classes), small.loss(x, y), 0.02),
            at_least(f"C = {classes}: rise of the loss with l1 and l2", 1e-4, held.loss(x, y) - small.loss(x, y)),
        ]
    logistic = program(config, DataShape(input_shape=(FEATURES,), classes=2), architecture=LINEAR, initialization="zeros", loss="logistic")
    return [*figures, near("logistic: loss, weights 0", math.log(2), logistic.loss(x, (np.arange(ROWS) % 2).astype(np.int32)), 1e-12)]


def c2_equals_logistic(config: Experiment) -> list[Figure]:
    """Softmax over two classes is logistic regression on the difference of the logits: same loss, same gradient."""
    x = random.normal(config.seed, random.GENERATOR, "c2.x", 0, ROWS * FEATURES).reshape(ROWS, FEATURES)
    w = random.normal(config.seed, random.GENERATOR, "c2.w", 0, FEATURES)
    y = (x @ w + random.normal(config.seed, random.GENERATOR, "c2.noise", 0, ROWS) > 0).astype(np.int32)
    shape = DataShape(input_shape=(FEATURES,), classes=2)
    softmax, logistic = (program(config, shape, architecture=LINEAR, loss=loss) for loss in ("softmax_cross_entropy", "logistic"))
    softmax.load_parameters({"fc1.weight": np.stack([-w / 2, w / 2], axis=1), "fc1.bias": [-0.1, 0.1]})
    logistic.load_parameters({"fc1.weight": w[:, None], "fc1.bias": [0.2]})
    two, one = softmax.gradients(x, y), logistic.gradients(x, y)
    return [
        near("difference of the losses", 0.0, softmax.loss(x, y) - logistic.loss(x, y), 1e-12),
        at_most("largest difference of the probabilities", 1e-12, _apart(softmax.predict(x), logistic.predict(x))),
        at_most("largest difference of the gradients, class 1", 1e-12, _apart(two["fc1.weight"][:, 1], one["fc1.weight"][:, 0])),
        at_most("largest sum of the gradients, class 0 and 1", 1e-12, _apart(two["fc1.weight"][:, 1], -two["fc1.weight"][:, 0])),
        at_least("largest gradient", 1e-3, float(np.abs(one["fc1.weight"]).max())),
    ]


def _of_logits(config: Experiment, classes: int) -> Program:
    """Softmax regression whose logits are its input."""
    made = program(config, DataShape(input_shape=(classes,), classes=classes), architecture=LINEAR)
    made.load_parameters({"fc1.weight": np.eye(classes), "fc1.bias": np.zeros(classes)})
    return made


def _apart(one: Array, other: Array) -> float:
    return float(np.abs(one - other).max())
