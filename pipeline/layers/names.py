"""The names of layers: given ones stay, the others are counted."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.layers import LAYERS
from pipeline.layers.part import Layer

INPUT = "input"  # what a layer's `input` field calls the rows of the data


def layer_names(layers: Sequence[Layer]) -> tuple[str, ...]:
    """One name a layer: its `name`, or its kind's prefix and its number among the layers with this prefix (`fc1`, `fc2`, ...).

    A layer with a name of its own is counted too, so that naming one does not rename those after it.
    """
    counts: dict[str, int] = {}
    names = []
    for layer in layers:
        prefix = LAYERS.rule(layer).prefix
        counts[prefix] = counts.get(prefix, 0) + 1
        names.append(layer.name or f"{prefix}{counts[prefix]}")
    return tuple(names)
