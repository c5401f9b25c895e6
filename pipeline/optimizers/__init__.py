"""Optimizers by kind."""

from __future__ import annotations

from pipeline.optimizers.adam import Adam
from pipeline.optimizers.momentum import Momentum
from pipeline.optimizers.sgd import SGD

OPTIMIZERS: dict[str, type] = {"sgd": SGD, "momentum": Momentum, "adam": Adam}
