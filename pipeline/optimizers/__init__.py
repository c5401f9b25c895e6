"""Optimizers by kind.  An optimizer is one file with its record and its rule, and a row here."""

from __future__ import annotations

from pipeline.optimizers import adam, momentum, sgd
from pipeline.optimizers.adam import Adam
from pipeline.optimizers.momentum import Momentum
from pipeline.optimizers.rule import Rule
from pipeline.optimizers.sgd import SGD

OPTIMIZERS: dict[str, type] = {"sgd": SGD, "momentum": Momentum, "adam": Adam}
RULES: dict[type, Rule] = {SGD: sgd.RULE, Momentum: momentum.RULE, Adam: adam.RULE}
