"""Images moved and mirrored, image by image and pixel by pixel."""

# N batch, H W image, C channels
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.contract import Array


def _shift(x: Array, draws: Array, *, margin: int, fill: str) -> Array:
    """Row h of the result is row h + dh of the image, column w is column w + dw; beyond the image zeros, or its edge."""
    images, height, width, _ = x.shape
    y = np.zeros_like(x)
    for n in range(images):
        down, right = (int(u * 2**24) * (2 * margin + 1) // 2**24 - margin for u in draws[n])
        for h in range(height):
            for w in range(width):
                row, column = h + down, w + right
                if fill == "edge":
                    row, column = min(max(row, 0), height - 1), min(max(column, 0), width - 1)
                if 0 <= row < height and 0 <= column < width:
                    y[n, h, w] = x[n, row, column]
    return y


def _mirror(x: Array, draws: Array, share: Array) -> Array:
    """The images whose draw is below `share`, left and right exchanged."""
    return np.stack([image[:, ::-1] if u < share else image for image, u in zip(x, draws, strict=True)])


AUGMENT: dict[str, Callable[..., Any]] = {"shift": _shift, "mirror": _mirror}
