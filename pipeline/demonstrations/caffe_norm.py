"""Caffe's fillers: the variance of 784 x 100 weights for each VarianceNorm (Jia et al. 2014, filler.hpp)."""

from __future__ import annotations

import math

from pipeline.config.experiment import Experiment
from pipeline.data import DataShape
from pipeline.demonstrations.figure import Figure, near
from pipeline.demonstrations.network import layers, program

INPUTS, UNITS = 784, 100
N = {"fan_in": INPUTS, "fan_out": UNITS, "average": (INPUTS + UNITS) / 2}


def caffe_norm(config: Experiment) -> list[Figure]:
    """xavier is uniform of variance 1 / n, msra normal of variance 2 / n; the sample agrees within three standard errors."""
    figures = []
    for kind, numerator, kurtosis in (("caffe_xavier", 1.0, 9 / 5), ("caffe_msra", 2.0, 3.0)):
        for norm, n in N.items():
            made = program(
                config,
                DataShape(input_shape=(INPUTS,), targets=UNITS),
                architecture=layers({"kind": "dense", "units": UNITS}),
                initialization={"kind": kind, "variance_norm": norm},
            )
            weight = made.parameters()["fc1.weight"]
            expected = numerator / n
            error = expected * math.sqrt((kurtosis - 1) / weight.size)  # of a sample variance, from the fourth moment
            figures.append(near(f"{kind}, {norm}: variance", expected, float(weight.var()), 3 * error))
    return figures
