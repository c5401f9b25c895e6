"""Optimizers by kind.  An optimizer is one file with its record and its rule, and a row here."""

from __future__ import annotations

from pipeline.optimizers import adadelta, adagrad, adam, adamw, amsgrad, momentum, nadam, nesterov, rmsprop, sgd
from pipeline.optimizers.adadelta import Adadelta
from pipeline.optimizers.adagrad import Adagrad
from pipeline.optimizers.adam import Adam
from pipeline.optimizers.adamw import AdamW
from pipeline.optimizers.amsgrad import AMSGrad
from pipeline.optimizers.momentum import Momentum
from pipeline.optimizers.nadam import NAdam
from pipeline.optimizers.nesterov import Nesterov
from pipeline.optimizers.rmsprop import RMSProp
from pipeline.optimizers.rule import Optimizer, Rule
from pipeline.optimizers.sgd import SGD

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": Adagrad,
    "rmsprop": RMSProp,
    "adadelta": Adadelta,
    "adam": Adam,
    "adamw": AdamW,
    "amsgrad": AMSGrad,
    "nadam": NAdam,
}
RULES: dict[type[Optimizer], Rule] = {
    SGD: sgd.RULE,
    Momentum: momentum.RULE,
    Nesterov: nesterov.RULE,
    Adagrad: adagrad.RULE,
    RMSProp: rmsprop.RULE,
    Adadelta: adadelta.RULE,
    Adam: adam.RULE,
    AdamW: adamw.RULE,
    AMSGrad: amsgrad.RULE,
    NAdam: nadam.RULE,
}
