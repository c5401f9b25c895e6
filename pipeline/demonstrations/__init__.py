"""Demonstrations: claims about training shown in numbers, where a training run is not the point.

A demonstration is a function (experiment) -> figures. It takes the seed and the backend of the experiment, builds what it needs from
the product's own parts, and says for each figure what a formula or the literature expects. Adding one: a function in the file of its
idea, a row here, and `conf/experiment/NAME.yaml`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from pipeline.config.experiment import Experiment
from pipeline.demonstrations.figure import Figure
from pipeline.errors import ConfigError, nearest

__all__ = ["DEMONSTRATIONS", "Figure", "figures"]

# name -> the module of this package that holds the function of this name
DEMONSTRATIONS: dict[str, str] = {
    "init_depth": "initialization",
    "relu_init": "initialization",
    "rand_for_randn": "initialization",
    "caffe_norm": "caffe_norm",
    "bn_bias": "batch_norm",
    "bn_gradient": "batch_norm",
    "bn_test_stats": "batch_norm",
    "dead_relu": "dead_relu",
    "zero_centred": "zero_centred",
    "preprocessing": "preprocessing",
    "loss_sanity": "softmax",
    "softmax_example": "softmax",
    "ce_example": "softmax",
    "c2_equals_logistic": "softmax",
    "log_scale": "search",
    "random_vs_grid": "search",
    "pandas_caviar": "pandas_caviar",
    "uphill": "quadratic",
    "momentum_ravine": "quadratic",
    "lr_decay_state": "lr_decay_state",
    "wd_vs_l2": "weight_decay",
    "wd_prior": "weight_decay",
    "pooling_shift": "pooling",
    "batch_sharpness": "sharpness",
    "deconv": "deconv",
    "linear_vs_logistic": "linear_vs_logistic",
}


def figures(config: Experiment) -> list[Figure]:
    """What `config.demonstration` shows.  Raises ConfigError for a name that is none."""
    name = config.demonstration
    if name not in DEMONSTRATIONS:
        raise ConfigError(at="demonstration", got=name, rule="unknown demonstration", hint=nearest(str(name), DEMONSTRATIONS))
    module = importlib.import_module(f"{__name__}.{DEMONSTRATIONS[name]}")
    return cast("Callable[[Experiment], list[Figure]]", getattr(module, name))(config)
