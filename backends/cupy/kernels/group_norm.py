"""Normalization of groups of channels within a sample, all samples at once."""

# N batch, H W image, C channels, G groups of channels
from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _grouped(x: Any, groups: int) -> Any:
    """x [N, H, W, C] -> [N, H * W, G, C / G]."""
    n, h, w, c = x.shape
    return x.reshape(n, h * w, groups, c // groups)


def _group_norm(xp: Any, x: Any, gamma: Any, beta: Any, epsilon: Any, *, groups: int) -> tuple[Any, Any, Any]:
    """x [N, H, W, C] -> y alike, mean [N, G], 1 / std [N, G]."""
    parts = _grouped(x, groups)
    mean = xp.mean(parts, axis=(1, 3), keepdims=True)
    off = parts - mean
    inverse = 1 / xp.sqrt(xp.mean(off * off, axis=(1, 3), keepdims=True) + epsilon)
    y = gamma * (off * inverse).reshape(x.shape) + beta
    return y, mean.reshape(len(x), groups), inverse.reshape(len(x), groups)


def _group_norm_gradient(xp: Any, x: Any, gamma: Any, mean: Any, inverse: Any, g: Any) -> tuple[Any, Any, Any]:
    """x, g [N, H, W, C], mean, 1 / std [N, G] -> the gradient of x, and the parts of gamma's and beta's [N, C]."""
    groups = mean.shape[1]
    scale = inverse[:, None, :, None]
    normal = (_grouped(x, groups) - mean[:, None, :, None]) * scale
    d = _grouped(g * gamma, groups)
    level, slope = xp.mean(d, axis=(1, 3), keepdims=True), xp.mean(d * normal, axis=(1, 3), keepdims=True)
    dx = ((d - level - normal * slope) * scale).reshape(x.shape)
    return dx, xp.sum(g * normal.reshape(x.shape), axis=(1, 2)), xp.sum(g, axis=(1, 2))


GROUP_NORM: dict[str, Callable[..., Any]] = {"group_norm": _group_norm, "group_norm_gradient": _group_norm_gradient}
