"""Generated sets in the plane, drawn from the counter-based generator."""

# N rows
from __future__ import annotations

import numpy as np

from pipeline import random
from pipeline.data.dataset import Array, Source


def two_moons(*, samples: int, noise: float, seed: int) -> Source:
    """Two interleaved half circles of radius 1 with normal noise of standard deviation `noise`."""
    first = samples // 2
    angle = np.pi * random.uniform(seed, random.GENERATOR, "two_moons/angle", 0, samples)
    upper = np.stack([np.cos(angle[:first]), np.sin(angle[:first])], axis=1)
    lower = np.stack([1 - np.cos(angle[first:]), 0.5 - np.sin(angle[first:])], axis=1)
    return _noisy(np.concatenate([upper, lower]), first, "two_moons", noise, seed)


def rings(*, samples: int, noise: float, seed: int) -> Source:
    """Two circles of radius 1 and 0.5 with normal noise of standard deviation `noise`."""
    first = samples // 2
    angle = 2 * np.pi * random.uniform(seed, random.GENERATOR, "rings/angle", 0, samples)
    radius = np.where(np.arange(samples) < first, 1.0, 0.5)
    return _noisy(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), first, "rings", noise, seed)


def _noisy(points: Array, first: int, name: str, noise: float, seed: int) -> Source:
    spread = random.normal(seed, random.GENERATOR, f"{name}/noise", 0, points.size).reshape(points.shape)
    labels = (np.arange(len(points)) >= first).astype(np.int32)
    x = (points + noise * spread).astype(np.float32)
    return Source(x=x, y=labels, class_names=("0", "1"), feature_names=("x", "y"))
