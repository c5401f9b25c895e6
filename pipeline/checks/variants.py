"""The configured network with one thing changed: what a check compares it with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pipeline.config.experiment import Experiment
from pipeline.layers.dropout import DropoutLayer
from pipeline.layers.part import Layer
from pipeline.layers.weighted import Weighted
from pipeline.recipe.augmentation import Augmentation
from pipeline.recipe.averaging import NoAveraging
from pipeline.recipe.losses import LossOfClasses
from pipeline.recipe.regularization import Regularization


def without_regularization(config: Experiment) -> Experiment:
    """No penalty, decay, clipping, smoothing, dropout, augmentation, averaging and micro-batches, and every class counts the same."""
    loss = config.loss
    plain = replace(loss, class_weights=None) if isinstance(loss, LossOfClasses) else loss
    layers = tuple(replace(layer, rate=0.0) if isinstance(layer, DropoutLayer) else layer for layer in config.architecture.layers)
    config = replace(
        config, loss=plain, augmentation=Augmentation(), averaging=NoAveraging(), training=replace(config.training, accumulate=1)
    )
    config = replace(config, architecture=replace(config.architecture, layers=layers))
    return _regularized(config, lambda part: Regularization())


def with_more_l2(config: Experiment, amount: float) -> Experiment:
    """l2 + amount, in the group and in each layer that has its own regularization."""
    return _regularized(config, lambda part: replace(part, l2=part.l2 + amount))


def _regularized(config: Experiment, change: Callable[[Regularization], Regularization]) -> Experiment:
    def changed(layer: Layer) -> Layer:
        if not isinstance(layer, Weighted) or layer.regularization is None:
            return layer
        return replace(layer, regularization=change(layer.regularization))

    architecture = replace(config.architecture, layers=tuple(map(changed, config.architecture.layers)))
    return replace(config, architecture=architecture, regularization=change(config.regularization))
