"""The loss rises when regularization rises, by what the formula says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.checks.finding import Finding
from pipeline.checks.material import Material
from pipeline.checks.variants import with_more_l2
from pipeline.config.experiment import Experiment

ROWS = 8
MORE_L2 = 0.01
TOLERANCE = 1e-6


def check_penalty(config: Experiment, material: Material) -> Finding:
    """The training loss in float64 with MORE_L2 more than configured; the rise shall be MORE_L2 / 2 * sum(w^2) over the weights."""
    rows = material.order(1, ROWS)[0]
    x, y, weight = material.x[rows], material.y[rows], material.weights(rows)
    now, then = (material.program(replace(variant, precision="float64")) for variant in (config, with_more_l2(config, MORE_L2)))
    rise = then.loss(x, y, True, weight) - now.loss(x, y, True, weight)
    weights = [p.name for p in then.structure.network.parameters if p.regularization is not None]
    values = then.parameters()
    wanted = MORE_L2 / 2 * sum(float(np.sum(np.square(values[name]))) for name in weights)
    none = not wanted > 0
    return Finding(
        check="regularization",
        passed=not none and abs(rise - wanted) <= TOLERANCE * wanted,
        measured=f"loss {rise:+.6g} with l2 + {MORE_L2:g}",
        expected="above 0" if none else f"{wanted:+.6g} = {MORE_L2 / 2:g} * sum of squared weights",
        advice="all weights are 0: use another initialization" if none else "the penalty of some weight is missing or counted twice",
    )
