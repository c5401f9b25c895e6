"""Normalization of a layer's values: the table of kinds, and batch norm; the others are in group_norm.py."""

# N batch, n numbers that one channel has in a batch, C channels
from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import numpy as np

from pipeline.graph.builder import Builder
from pipeline.graph.values import Array, Clock, Value
from pipeline.layers.graph import LayerNode, Parameter
from pipeline.layers.group_norm import (
    GROUP_NORM,
    INSTANCE_NORM,
    LAYER_NORM,
    RMS_NORM,
    GroupNormalization,
    InstanceNormalization,
    LayerNormalization,
    RmsNormalization,
)
from pipeline.layers.kind import LayerKind, Shape
from pipeline.layers.part import MeanAndVariance, Normalization
from pipeline.records import Family, record, setting


@record
class NoNormalization(Normalization):
    """Values pass unchanged."""


@record
class BatchNormalization(MeanAndVariance):
    """y = gamma * (x - mean) / sqrt(var + epsilon) + beta, statistics over the batch in training (Ioffe & Szegedy 2015).

    position    pre: before the activation; post: after it
    momentum    share of the OLD running statistic kept at each step: running = momentum * running + (1 - momentum) * batch
    statistics  ema: evaluation uses the running mean and the running biased variance;
                population: evaluation uses the mean over steps of the batch means, and of the batch variances times n / (n - 1)
    """

    position: Literal["pre", "post"] = setting("pre")
    momentum: float = setting(0.9, least=0, below=1)
    epsilon: float = setting(1e-5, above=0)
    statistics: Literal["ema", "population"] = setting("ema")


def _parameters(record: BatchNormalization, name: str, shapes: tuple[Shape, ...]) -> tuple[Parameter, ...]:
    """gamma, beta and the running statistics, each [C]."""
    channels = shapes[0][-1:]
    return (
        Parameter(name=f"{name}.gamma", shape=channels, initial=1.0),
        Parameter(name=f"{name}.beta", shape=channels, initial=0.0),
        Parameter(name=f"{name}.running_mean", shape=channels, initial=0.0, trained=False),
        Parameter(name=f"{name}.running_variance", shape=channels, initial=1.0, trained=False),
    )


def _values(node: LayerNode) -> dict[str, Value]:
    """epsilon, and the shares of the old running statistic and of the batch in the new one; `_of_batches`: in a mean over all steps.

    population: the shares make the mean over the steps of the epoch so far; its first step forgets the epoch before.
    """
    norm = node.record
    assert isinstance(norm, BatchNormalization)

    def batch_share(clock: Clock) -> Array:
        return 1.0 / (_step_of_epoch(clock) + 1.0)

    def kept_share(clock: Clock) -> Array:
        step = _step_of_epoch(clock)
        return step / (step + 1.0)

    kept: Value = kept_share if norm.statistics == "population" else norm.momentum
    share: Value = batch_share if norm.statistics == "population" else 1.0 - norm.momentum
    return {
        f"{node.name}.epsilon": norm.epsilon,
        f"{node.name}.kept_share": kept,
        f"{node.name}.batch_share": share,
        f"{node.name}.kept_of_batches": lambda clock: clock.steps / (clock.steps + 1.0),
        f"{node.name}.share_of_batches": lambda clock: 1.0 / (clock.steps + 1.0),
    }


def of_batches(nodes: Iterable[LayerNode]) -> dict[str, str]:
    """Of batch norms, the names of the shares in training -> those that make a running statistic the mean over all steps."""
    norms = [node.name for node in nodes if isinstance(node.record, BatchNormalization)]
    pairs = (("kept_share", "kept_of_batches"), ("batch_share", "share_of_batches"))
    return {f"{name}.{share}": f"{name}.{other}" for name in norms for share, other in pairs}


def _step_of_epoch(clock: Clock) -> Array:
    return np.asarray(clock.steps % clock.steps_per_epoch if clock.steps_per_epoch else clock.steps)


def _lower(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
    norm = node.record
    assert isinstance(norm, BatchNormalization)
    gamma, beta, running_mean, running_variance = (b.input(p.name, p.shape, "state") for p in node.parameters)
    epsilon = b.value(f"{node.name}.epsilon")
    if training:
        y, mean, variance = b.add_many("batch_norm", inputs[0], gamma, beta, epsilon, names=("batch_norm", "mean", "variance"))
        _update(b, node, running_mean, mean, 1.0)
        _update(b, node, running_variance, variance, _variance_scale(norm, b.shape(inputs[0])))
        return y
    # the scale is one number a channel: a row costs a subtraction, a product and a sum
    scale = b.add("div", gamma, b.add("sqrt", b.add("add", running_variance, epsilon)), name="scale")
    centered = b.add("sub", inputs[0], running_mean, name="centered")
    return b.add("add", b.add("mul", centered, scale), beta, name="batch_norm")


def _update(b: Builder, node: LayerNode, running: str, statistic: str, scale: float) -> None:
    """running <- kept_share * running + batch_share * (scale * statistic)."""
    if scale != 1.0:
        statistic = b.add("mul", statistic, b.constant(scale))
    kept = b.add("mul", running, b.value(f"{node.name}.kept_share"))
    b.updates[running] = b.add("add", kept, b.add("mul", statistic, b.value(f"{node.name}.batch_share")), name="running")


def _variance_scale(norm: BatchNormalization, shape: Shape) -> float:
    """n / (n - 1) for population statistics, 1 for the biased ones."""
    n = math.prod(shape[:-1])
    return n / max(n - 1, 1) if norm.statistics == "population" else 1.0


NORMALIZATIONS: Family[Normalization, LayerKind] = Family(
    "normalization",
    {
        "none": (NoNormalization, None),
        "batch": (BatchNormalization, LayerKind(prefix="bn", parameters=_parameters, values=_values, lower=_lower)),
        "layer": (LayerNormalization, LAYER_NORM),
        "group": (GroupNormalization, GROUP_NORM),
        "instance": (InstanceNormalization, INSTANCE_NORM),
        "rms": (RmsNormalization, RMS_NORM),
    },
)
