"""Batch normalization, channel by channel."""

# C channels
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.contract import Array


def _batch_norm(x: Array, gamma: Array, beta: Array, epsilon: Array) -> tuple[Array, Array, Array]:
    """y = gamma * (x - mean) / sqrt(variance + epsilon) + beta (Ioffe & Szegedy 2015, algorithm 1).

    x [..., C], gamma [C], beta [C], epsilon [] -> y [..., C], mean [C], biased variance [C], both over all axes but the last.
    """
    y, mean, variance = np.empty_like(x), np.empty_like(gamma), np.empty_like(gamma)
    for c in range(len(gamma)):
        channel = x[..., c]
        mean[c] = np.mean(channel)
        variance[c] = np.mean((channel - mean[c]) ** 2)
        y[..., c] = gamma[c] * (channel - mean[c]) / np.sqrt(variance[c] + epsilon) + beta[c]
    return y, mean, variance


BATCH_NORM: dict[str, Callable[..., Any]] = {"batch_norm": _batch_norm}
