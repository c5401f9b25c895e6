"""Points in the plane that no straight line separates, for lessons and tests."""

# N points
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import random
from pipeline.data.dataset import Raw
from pipeline.data.settings import Data
from pipeline.data.storage.memory import memory_bytes
from pipeline.errors import ConfigError

SAMPLES, NOISE = 1000, 0.1
INNER_RADIUS = 0.5
_POINT = 100  # bytes that a point takes while it is made

Array = npt.NDArray[Any]


def two_moons(config: Data) -> Raw:
    """Two half circles of radius 1 that reach into each other; the second is turned round and moved by (1, 0.5)."""
    y, angle = _labels_and_angles("two_moons", config, turn=np.pi)
    outer = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    inner = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    return _points("two_moons", config, np.where(y[:, None] == 0, outer, inner), y, ("upper", "lower"))


def rings(config: Data) -> Raw:
    """Two rings about the origin, of radius 1 (class outer) and 0.5 (class inner)."""
    y, angle = _labels_and_angles("rings", config, turn=2 * np.pi)
    radius = np.where(y == 0, 1.0, INNER_RADIUS)
    return _points("rings", config, np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), y, ("outer", "inner"))


def _labels_and_angles(name: str, config: Data, *, turn: float) -> tuple[Array, Array]:
    """Labels 0 and 1 in turn, and an angle drawn uniformly from [0, turn)."""
    count = config.samples or SAMPLES
    if count * _POINT > memory_bytes():
        rule = f"takes {count * _POINT / 2**30:,.0f} GiB, and this machine has {memory_bytes() / 2**30:,.0f} GiB"
        raise ConfigError(at="data.samples", got=count, rule=rule, hint="use fewer")
    y = (np.arange(count) % 2).astype(np.int32)
    return y, turn * random.uniform(config.seed or 0, random.GENERATOR, f"{name}.angle", 0, count)


def _points(name: str, config: Data, clean: Array, y: Array, class_names: tuple[str, str]) -> Raw:
    """`clean` [N, 2] with normal noise; whoever changes the noise keeps the angles."""
    scale = NOISE if config.noise is None else config.noise
    noise = random.normal(config.seed or 0, random.GENERATOR, f"{name}.noise", 0, clean.size).reshape(clean.shape)
    return Raw(x=clean + scale * noise, y=y, task="classification", class_names=class_names, feature_names=("x", "y"))
