"""The records that the layer graph is made of: layers, and what stands in their slots."""

from __future__ import annotations

from typing import Literal

from pipeline.records import record, setting


@record
class Part:
    """The record of one node of the layer graph."""


@record
class Activation(Part):
    """A function of each value, or of the values of a row."""


@record
class Normalization(Part):
    """How the values of a layer are brought to one scale."""


@record
class MeanAndVariance(Normalization):
    """By mean and variance.  position pre: before the activation; post: after it.  epsilon is added to the variance."""

    position: Literal["pre", "post"] = setting("pre")
    epsilon: float = setting(1e-5, above=0)


@record
class Layer(Part):
    """An entry of `architecture.layers`.  Without a name of its own it is counted: fc1, fc2."""

    name: str | None = setting(None)


@record
class OneInput(Layer):
    """A layer that reads one other: the one before it where `input` is null."""

    name: str | None = setting(None)
    input: str | None = setting(None)


@record
class Merge(Layer):
    """A layer that reads several others."""

    inputs: tuple[str, ...] = setting()
