"""Images moved and mirrored: every pixel of the batch taken at once from where it came."""

# N batch, H W image, C channels
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def _shift(xp: Any, x: Any, draws: Any, *, margin: int, fill: str) -> Any:
    """x [N, H, W, C], draws [N, 2] -> [N, H, W, C]."""
    images, height, width, _ = x.shape
    # in integers: in float32 the product could be rounded up to the next whole number
    moves = (draws.astype(np.float64) * 2.0**24).astype(np.int64) * (2 * margin + 1) // 2**24 - margin
    rows = xp.arange(height) + moves[:, :1]
    columns = xp.arange(width) + moves[:, 1:]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    rows, columns = xp.clip(rows, 0, height - 1), xp.clip(columns, 0, width - 1)
    moved = x[xp.arange(images)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved if fill == "edge" else xp.where(inside[..., None], moved, xp.zeros_like(moved))


def _mirror(xp: Any, x: Any, draws: Any, share: Any) -> Any:
    """x [N, H, W, C], draws [N], share [] -> [N, H, W, C]."""
    return xp.where((draws < share)[:, None, None, None], x[:, :, ::-1], x)


AUGMENT: dict[str, Callable[..., Any]] = {"shift": _shift, "mirror": _mirror}
