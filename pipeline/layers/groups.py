"""Grouped convolution: each group of output channels sees its own group of input channels (Krizhevsky et al. 2012, section 3.5)."""

# N batch, H W image, I O channels in and out, Ho Wo output positions, kh kw window, g groups
from __future__ import annotations

import math

from pipeline.errors import ConfigError
from pipeline.graph.builder import Builder
from pipeline.layers.windows import Window
from pipeline.ops.concat import split


def check_groups(groups: int, inputs: int, outputs: int) -> None:
    """Groups divide the channels on both sides.  Raises ConfigError."""
    for count, side in ((inputs, "input"), (outputs, "output")):
        if count % groups:
            *most, last = [n for n in range(1, count + 1) if math.gcd(inputs, outputs) % n == 0]
            fits = f"{', '.join(map(str, most))} or {last}" if most else str(last)
            raise ConfigError(at="groups", got=groups, rule=f"groups must divide the {count} {side} channels", hint=f"use {fits}")


def convolve_groups(b: Builder, x: str, weight: str, window: Window, *, groups: int, blocks: int) -> str:
    """x [N, H, W, I], weight [kh, kw, I / g, O] -> [N, Ho, Wo, O], for `blocks` runs of output channels, block n over group n mod g.

    With one channel a group a convolution would be a single column wide; there the places of the window are multiplied and added, all
    channels at once.
    """
    inputs, outputs = b.shape(x)[3], b.shape(weight)[3]
    if inputs == groups == outputs:
        return _depthwise(b, x, weight, window)
    parts = split(b, x, (inputs // groups,) * groups, 3, "group")
    weights = split(b, weight, (outputs // blocks,) * blocks, 3, "group_weight")
    made = [b.add("conv", parts[number % groups], w, **window.conv, name="group_conv") for number, w in enumerate(weights)]
    return b.add("concat", *made, axis=3, name="conv")


def _depthwise(b: Builder, x: str, weight: str, window: Window) -> str:
    """y = sum over the places of the window of x there times its weight, channel by channel (Chollet 2017)."""
    kh, kw, _, channels = b.shape(weight)
    found = b.add("patches", x, **window.patches)
    rows = b.shape(found)[:3]
    places = split(b, b.reshape(found, (math.prod(rows), kh * kw * channels)), (channels,) * (kh * kw), 1, "place")
    weights = split(b, b.reshape(weight, (kh * kw, channels)), (1,) * (kh * kw), 0, "place_weight")
    total, *rest = (b.add("mul", place, b.reshape(w, (channels,))) for place, w in zip(places, weights, strict=True))
    for term in rest:
        total = b.add("add", total, term, name="conv")
    return b.reshape(total, (*rows, channels))
