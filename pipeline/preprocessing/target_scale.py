"""Numbers to predict, brought to mean 0 and deviation 1 for training and back for the reader.

A network starts with outputs of size 1; prices of 450,000 would take it thousands of steps of a usual learning rate to reach.
Own units are float64 whatever the network computes in: float32 knows a time stamp of 1.7e9 only to 128.
"""

# N rows, T targets
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.rows import Streamed, kept

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class TargetScale:
    """mean and deviation of the training targets, float64 [T] or [1]; a constant target keeps deviation 1."""

    mean: Array
    deviation: Array

    @classmethod
    def fit(cls, y: Array, *, together: bool = False) -> TargetScale:
        """From the training targets y [N, T].  together: one mean and deviation [1] for all of them, as for the pixels of an image."""
        rows = None if together else 0
        mean, deviation = (np.atleast_1d(f(y, axis=rows, dtype=np.float64)) for f in (np.mean, np.std))
        constant = np.atleast_1d(np.ptp(y, axis=rows) == 0)  # rounding leaves a deviation of 1e-15 there
        return cls(mean=mean, deviation=np.where(constant | (deviation == 0), 1.0, deviation))

    @classmethod
    def restore(cls, arrays: Mapping[str, Array]) -> TargetScale | None:
        """What `arrays` gave, mean and deviation [T] or [1], or None where the mapping holds no scale."""
        if "target.mean" not in arrays:
            return None
        return cls(mean=arrays["target.mean"], deviation=arrays["target.deviation"])

    def arrays(self) -> dict[str, Array]:
        """Mean and deviation [T] or [1], for a checkpoint."""
        return {"target.mean": self.mean, "target.deviation": self.deviation}

    def apply(self, y: Array) -> Array:
        """y [N, T] in its own units -> (y - mean) / deviation."""
        scaled: Array = (y - self.mean) / self.deviation
        return scaled

    def view(self, y: Array) -> Streamed:
        """y [N, T] whose rows are scaled when they are asked for."""
        return kept(y).then(self.apply, y.shape[1:], np.float64)

    def undo(self, prediction: Array) -> Array:
        """A prediction [N, T] of the network -> in the units of y, float64."""
        own: Array = prediction * self.deviation + self.mean
        return own

    @property
    def note(self) -> str:
        """What was done, for the reader."""
        pairs = ", ".join(f"mean {m:.6g}, deviation {d:.6g}" for m, d in zip(self.mean, self.deviation, strict=True))
        return f"targets standardized ({pairs}): predictions and metrics are in their own units, the loss is not"
