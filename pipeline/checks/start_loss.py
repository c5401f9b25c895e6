"""The loss before training against that of a network that knows nothing.

It is ln C for classes, ln 2 for labels, the variance of the target for numbers.
"""

# N rows, C classes, T targets
from __future__ import annotations

import math

import numpy as np

from pipeline.checks.finding import Finding
from pipeline.checks.material import Material
from pipeline.checks.variants import without_regularization
from pipeline.compiler.run_once import run_once
from pipeline.config.experiment import Experiment
from pipeline.graph.builder import Builder
from pipeline.graph.values import Array
from pipeline.ops import SHAPE_RULES
from pipeline.ops.reduce import mean
from pipeline.recipe.losses import LOSSES, Loss

ROWS = 256
LEAST = 0.5
# He's 2 / fan_in in the last layer alone raises ln 10 by half, and after max pooling twofold; a squared error threefold, with a heavy tail
MOST = {"classes": 3.0, "numbers": 10.0}


def check_start_loss(config: Experiment, material: Material) -> Finding:
    """The mean data loss over ROWS training rows, with batch statistics, without dropout and penalties."""
    program = material.program(without_regularization(config))
    batch = min(program.batch_size, len(material.x))
    order = material.order(min(-(-ROWS // batch), len(material.x) // batch), batch)
    found = float(np.mean([program.loss(material.x[rows], material.y[rows], training=True) for rows in order]))
    wanted, words = expected(program.structure.network.loss, material)
    numbers = material.shape.classes is None and not material.shape.labels
    most = MOST["numbers" if numbers else "classes"]
    return Finding(
        check="start loss",
        passed=LEAST * wanted <= found <= most * wanted,
        measured=f"{found:.4g}",
        expected=f"{wanted:.4g} = {words}, from {LEAST:g} to {most:g} times",
        advice="weights that start too large or inputs that are not scaled: try initialization=xavier, preprocessing=standardize"
        if not found < LEAST * wanted
        else "the network knows the answer before training: look for the target among the inputs",
    )


def expected(loss: Loss, material: Material) -> tuple[float, str]:
    """The loss of equal scores for all classes or labels, or of the mean target for all rows, and what it is called."""
    kind, classes = LOSSES.kind_of(loss), material.shape.classes
    if classes is not None:
        names = {"softmax_cross_entropy": f"ln {classes}", "logistic": "ln 2"}
        y = np.zeros(1, np.int32)
        return constant_loss(loss, np.zeros((1, LOSSES.rule(loss).units(material.shape))), y), names.get(kind, "equal scores")
    if material.shape.labels:
        return constant_loss(loss, np.zeros_like(material.y), material.y), "ln 2" if kind == "binary_cross_entropy" else "equal scores"
    center = np.broadcast_to(material.y.mean(axis=0), material.y.shape)
    return constant_loss(loss, center, material.y), "variance of the target" if kind == "mean_squared_error" else "the mean as prediction"


def constant_loss(loss: Loss, output: Array, y: Array) -> float:
    """The mean data loss of `output` [N, units] of a network for the targets y [N] or [N, T], by the oracle."""
    rule = LOSSES.rule(loss)
    b = Builder("float64", SHAPE_RULES)
    given = b.input("x", output.shape, "data")
    targets = b.input("y", y.shape, "data", "int32" if rule.classes else None)
    _, row_loss = rule.lower(b, given, targets)
    b.outputs = {"loss": mean(b, row_loss, (0,))}
    found = float(run_once(b.graph(), {"x": output, "y": y}, rule.values(loss))["loss"])
    assert math.isfinite(found)
    return found
