"""Activations: one record each."""

from __future__ import annotations

from pipeline.records import record, setting


@record
class Identity:
    """y = x."""


@record
class Relu:
    """y = max(0, x)  (Nair & Hinton 2010)."""


@record
class Tanh:
    """y = tanh(x)."""


@record
class Sigmoid:
    """y = 1 / (1 + exp(-x))."""


@record
class LeakyRelu:
    """y = x where x > 0, else negative_slope * x  (Maas, Hannun & Ng 2013)."""

    negative_slope: float = setting(0.01, least=0, below=1)


ACTIVATIONS: dict[str, type] = {"identity": Identity, "relu": Relu, "tanh": Tanh, "sigmoid": Sigmoid, "leaky_relu": LeakyRelu}
