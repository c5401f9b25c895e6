"""Normalization within a sample, group by group."""

# N batch, R rows, C columns or channels, H W image, G groups of channels
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from backends.contract import Array


def _standardize(x: Array, epsilon: Array) -> tuple[Array, Array]:
    """x [R, C] -> (x - mean) / sqrt(variance + epsilon) of each row, and 1 / sqrt(variance + epsilon) [R]."""
    y, inverse = np.empty_like(x), np.empty(len(x))
    for r, row in enumerate(x):
        inverse[r] = 1.0 / np.sqrt(np.mean((row - np.mean(row)) ** 2) + epsilon)
        y[r] = (row - np.mean(row)) * inverse[r]
    return y, inverse


def _groups(samples: int, channels: int, groups: int) -> Iterator[tuple[int, int, slice]]:
    """(sample, group, its channels) of every group of every sample."""
    size = channels // groups
    return ((n, k, slice(k * size, (k + 1) * size)) for n in range(samples) for k in range(groups))


def _group_norm(x: Array, gamma: Array, beta: Array, epsilon: Array, *, groups: int) -> tuple[Array, Array, Array]:
    """y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, statistics over the places and the channels of a group (Wu & He 2018).

    x [N, H, W, C], gamma [C], beta [C], epsilon [] -> y [N, H, W, C], mean [N, G], 1 / sqrt(variance + epsilon) [N, G].
    """
    y, mean, inverse = np.empty_like(x), np.empty((len(x), groups)), np.empty((len(x), groups))
    for n, k, own in _groups(len(x), x.shape[3], groups):
        part = x[n, :, :, own]
        mean[n, k] = np.mean(part)
        inverse[n, k] = 1.0 / np.sqrt(np.mean((part - mean[n, k]) ** 2) + epsilon)
        y[n, :, :, own] = gamma[own] * (part - mean[n, k]) * inverse[n, k] + beta[own]
    return y, mean, inverse


def _group_norm_gradient(x: Array, gamma: Array, mean: Array, inverse: Array, g: Array) -> tuple[Array, Array, Array]:
    """dx = (d - mean(d) - xhat * mean(d * xhat)) / std with d = gamma * g, and the sums of g * xhat and of g over each sample's places.

    x, g [N, H, W, C], gamma [C], mean, 1 / std [N, G] -> [N, H, W, C], [N, C], [N, C].
    """
    dx, gamma_part, beta_part = np.empty_like(x), np.empty((len(x), len(gamma))), np.empty((len(x), len(gamma)))
    for n, k, own in _groups(len(x), x.shape[3], mean.shape[1]):
        normal, sent = (x[n, :, :, own] - mean[n, k]) * inverse[n, k], g[n, :, :, own]
        d = gamma[own] * sent
        dx[n, :, :, own] = (d - np.mean(d) - normal * np.mean(d * normal)) * inverse[n, k]
        gamma_part[n, own], beta_part[n, own] = np.sum(sent * normal, axis=(0, 1)), np.sum(sent, axis=(0, 1))
    return dx, gamma_part, beta_part


GROUP_NORM: dict[str, Callable[..., Any]] = {
    "standardize": _standardize,
    "group_norm": _group_norm,
    "group_norm_gradient": _group_norm_gradient,
}
