"""The values that the parameters of a program start with."""

from __future__ import annotations

import numpy as np

from pipeline.graph.values import Array
from pipeline.layers.graph import Parameter
from pipeline.recipe.initialization import draw


def initial_values(parameter: Parameter, seed: int) -> Array:
    """The values [*shape of the parameter] that `parameter` starts with."""
    if isinstance(parameter.initial, float):
        return np.full(parameter.shape, parameter.initial)
    fans = {"fan_in": parameter.fan_in, "fan_out": parameter.fan_out}
    return draw(parameter.initial, parameter.shape, **fans, seed=seed, name=parameter.name, outputs=parameter.outputs)
