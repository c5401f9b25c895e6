"""Normalization within a sample: layer, group, instance and RMS norm.  The same in training and evaluation, no running statistics."""

# N batch, H W image, C channels of an image or units of a dense layer, G groups
from __future__ import annotations

import math

from pipeline.errors import ConfigError
from pipeline.graph.builder import Builder
from pipeline.graph.values import Value
from pipeline.layers.graph import LayerNode, Parameter
from pipeline.layers.kind import LayerKind, Shape
from pipeline.layers.part import MeanAndVariance, Normalization, Part
from pipeline.ops.reduce import mean
from pipeline.records import record, setting


@record
class LayerNormalization(MeanAndVariance):
    """y = gamma * (x - mean) / sqrt(var + epsilon) + beta, statistics over all numbers of a sample (Ba, Kiros & Hinton 2016).

    x [N, C] or [N, H, W, C]; gamma and beta are one number a channel [C]; var is the biased variance.  For an image it is group norm
    with one group.
    """


@record
class GroupNormalization(MeanAndVariance):
    """As layer norm, with statistics of their own for each of `groups` runs of neighbouring channels (Wu & He 2018)."""

    groups: int = setting(8, least=1)


@record
class InstanceNormalization(MeanAndVariance):
    """As layer norm, with statistics of their own for each channel of an image (Ulyanov, Vedaldi & Lempitsky 2016)."""


@record
class RmsNormalization(MeanAndVariance):
    """y = gamma * x / sqrt(mean(x^2) + epsilon), the mean over all numbers of a sample (Zhang & Sennrich 2019, eq. 4).

    The mean of x is taken to be 0, so there is no beta; gamma is one number a channel [C].
    """


def removes_the_mean_of_a_channel(record: Normalization, shape: Shape) -> bool:
    """Whether a number added to a whole channel of `shape` is taken out again: only where every channel has a mean of its own."""
    grouped = isinstance(record, (GroupNormalization, InstanceNormalization))
    return grouped and len(shape) > 1 and _groups(record, shape) == shape[-1]


def _groups(record: Part, shape: Shape) -> int:
    if isinstance(record, InstanceNormalization):
        return shape[-1]
    return record.groups if isinstance(record, GroupNormalization) else 1


def _shape(record: MeanAndVariance, shapes: tuple[Shape, ...]) -> Shape:
    """The shape of the input.  Raises ConfigError where a group would have no variance; the rules end with what the input is."""
    (shape,) = shapes
    channels, numbers, groups = shape[-1], math.prod(shape), _groups(record, shape)
    what = f"the {channels} {'channels' if len(shape) > 1 else 'units'}"
    if isinstance(record, InstanceNormalization) and len(shape) == 1:
        raise ConfigError(at="kind", got="instance", rule=f"needs images, not {what}", hint="use layer or group")
    if channels % groups == 0 and numbers > groups:
        return shape
    fitting = [n for n in range(1, channels + 1) if channels % n == 0 and numbers > n]
    if isinstance(record, GroupNormalization) and fitting:
        rule = "must divide" if channels % groups else "leaves one number a group, whose variance is 0, of"
        raise ConfigError(at="groups", got=groups, rule=f"{rule} {what}", hint=f"use {_listed(fitting)}")
    kind = {LayerNormalization: "layer", GroupNormalization: "group", InstanceNormalization: "instance"}[type(record)]
    raise ConfigError(at="kind", got=kind, rule=f"finds one number at a time, whose variance is 0, in {what}", hint="use none or batch")


def _listed(numbers: list[int]) -> str:
    """1, 2, 4 or 8."""
    *most, last = map(str, numbers)
    return f"{', '.join(most)} or {last}" if most else last


def _parameters(record: Part, name: str, shapes: tuple[Shape, ...]) -> tuple[Parameter, ...]:
    """gamma and beta, each [C]."""
    channels = shapes[0][-1:]
    return Parameter(name=f"{name}.gamma", shape=channels, initial=1.0), Parameter(name=f"{name}.beta", shape=channels, initial=0.0)


def _values(node: LayerNode) -> dict[str, Value]:
    assert isinstance(node.record, MeanAndVariance)
    return {f"{node.name}.epsilon": node.record.epsilon}


def _lower(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
    gamma, beta = (b.input(p.name, p.shape, "state") for p in node.parameters)
    (x,), epsilon, groups = inputs, b.value(f"{node.name}.epsilon"), _groups(node.record, node.shape)
    if len(node.shape) > 1:
        return b.add_many("group_norm", x, gamma, beta, epsilon, groups=groups, names=(node.kind, "mean", "inverse_std"))[0]
    # the units of a group lie side by side, so each group of each sample is a row of its own
    rows, units = b.shape(x)
    grouped = b.reshape(x, (rows * groups, units // groups))
    normal, _ = b.add_many("standardize", grouped, epsilon, names=("normalized", "inverse_std"))
    return b.add("add", b.add("mul", b.reshape(normal, (rows, units)), gamma), beta, name=node.kind)


LAYER_NORM, GROUP_NORM, INSTANCE_NORM = (
    LayerKind(prefix=prefix, shape=_shape, parameters=_parameters, values=_values, lower=_lower) for prefix in ("ln", "gn", "in")
)


def _lower_rms(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
    (x,), shape = inputs, b.shape(inputs[0])
    (gamma,) = (b.input(p.name, p.shape, "state") for p in node.parameters)
    flat = b.reshape(x, (shape[0], math.prod(shape[1:])))
    square = mean(b, b.add("mul", flat, flat), (1,), "mean_square")
    inverse = b.add("div", b.constant(1.0), b.add("sqrt", b.add("add", square, b.value(f"{node.name}.epsilon"))), name="inverse_root")
    normal = b.add("mul", flat, b.reshape(inverse, (shape[0], 1)), name="normalized")
    return b.add("mul", b.reshape(normal, shape), gamma, name=node.kind)


def _rms_parameters(record: Part, name: str, shapes: tuple[Shape, ...]) -> tuple[Parameter, ...]:
    """gamma, [C]."""
    return (Parameter(name=f"{name}.gamma", shape=shapes[0][-1:], initial=1.0),)


RMS_NORM = LayerKind(prefix="rms", parameters=_rms_parameters, values=_values, lower=_lower_rms)
