"""Optimizers by kind.  An optimizer is one file with its record and its rule, and a row here."""

from __future__ import annotations

from pipeline.optimizers import adadelta, adagrad, adam, adamw, amsgrad, formula, momentum, nadam, nesterov, rmsprop, sgd
from pipeline.optimizers.adadelta import Adadelta
from pipeline.optimizers.adagrad import Adagrad
from pipeline.optimizers.adam import Adam
from pipeline.optimizers.adamw import AdamW
from pipeline.optimizers.amsgrad import AMSGrad
from pipeline.optimizers.formula import FormulaOptimizer
from pipeline.optimizers.momentum import Momentum
from pipeline.optimizers.nadam import NAdam
from pipeline.optimizers.nesterov import Nesterov
from pipeline.optimizers.rmsprop import RMSProp
from pipeline.optimizers.rule import Optimizer, Rule
from pipeline.optimizers.sgd import SGD
from pipeline.records import Family, PerRecord

OPTIMIZERS: Family[Optimizer, Rule] = Family(
    "optimizer",
    {
        "sgd": (SGD, sgd.RULE),
        "momentum": (Momentum, momentum.RULE),
        "nesterov": (Nesterov, nesterov.RULE),
        "adagrad": (Adagrad, adagrad.RULE),
        "rmsprop": (RMSProp, rmsprop.RULE),
        "adadelta": (Adadelta, adadelta.RULE),
        "adam": (Adam, adam.RULE),
        "adamw": (AdamW, adamw.RULE),
        "amsgrad": (AMSGrad, amsgrad.RULE),
        "nadam": (NAdam, nadam.RULE),
        "formula": (FormulaOptimizer, PerRecord(formula.rule)),
    },
)
