"""Small networks for the checks."""

from __future__ import annotations

from functools import cache

from pipeline.checks.material import Material, material
from pipeline.config import compose, spec
from pipeline.config.experiment import Experiment

MLP = ("data=wine", "architecture.layers=[{kind: dense, units: 16}, {kind: dense, units: 12}]", "training.batch_size=16")
BN = (*MLP, "normalization=batch", "regularization=dropout", "regularization.l2=1e-3", "activation=tanh")
CNN = (
    "data=digits",
    "architecture.layers=[{kind: conv, channels: 4, kernel: 3}, {kind: max_pool, kernel: 2}, {kind: dense, units: 12}]",
    "training.batch_size=16",
)
LENET = (
    "data=digits",
    "architecture.layers=[{kind: conv, channels: 6, kernel: 3}, {kind: average_pool, kernel: 2}, {kind: conv, channels: 8, kernel: 3}, "
    "{kind: average_pool, kernel: 2}, {kind: dense, units: 16}]",
    "normalization=batch",
    "activation=tanh",
    "training.batch_size=32",
)
WEIGHTED = (*MLP, "loss.class_weights=balanced", "preprocessing=whiten", "normalization=layer")
STREAMED = (*CNN, "data.stream=true", "budget=steps", "budget.steps=7")
AUGMENTED = (*CNN, "augmentation.shift=1", "augmentation.flip=0.5")
LINEAR = ("data=diabetes", "architecture=linear_regression", "optimizer=sgd", "regularization=elastic_net")
LOGISTIC = ("data=breast_cancer", "architecture=logistic_regression", "training.batch_size=16")


def experiment(*overrides: str) -> Experiment:
    """The experiment of a command line, on one thread."""
    return spec.experiment(compose.compose(["task=check", "backend.threads=1", *overrides]))


@cache
def rows(*overrides: str) -> Material:
    """What `experiment(*overrides)` is trained on."""
    return material(experiment(*overrides))
