"""Metrics of a part of the data, in NumPy: a few lines each, so that training needs no further library."""

# N rows, C classes, T targets
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

HIGHER_IS_BETTER = frozenset({"accuracy", "r2"})
NAMES = {"classification": ("loss", "accuracy"), "regression": ("loss", "rmse", "mae", "r2")}


def measure(task: str, prediction: Array, row_loss: Array, y: Array, part: str) -> dict[str, float]:
    """`{"loss/<part>": ..., ...}` from probabilities [N, C] and labels [N], or values [N, T] and targets [N, T]; row_loss [N]."""
    loss = float(np.mean(row_loss, dtype=np.float64))
    values = {"loss": loss} | (classification(prediction, y) if task == "classification" else regression(prediction, y))
    return {f"{name}/{part}": value for name, value in values.items()}


def classification(probabilities: Array, labels: Array) -> dict[str, float]:
    """Share of rows whose most probable class is the label."""
    return {"accuracy": float(np.mean(probabilities.argmax(axis=1) == labels))}


def regression(values: Array, targets: Array) -> dict[str, float]:
    """Root mean squared error and mean absolute error (units of the target), and R2 = 1 - SSE / SST averaged over targets.

    R2 is left out where a target is constant over the part (SST = 0), for it has no value there.
    """
    wanted = np.asarray(targets, dtype=np.float64).reshape(len(targets), -1)
    error = np.asarray(values, dtype=np.float64).reshape(wanted.shape) - wanted
    result = {"rmse": float(np.sqrt(np.mean(error**2))), "mae": float(np.mean(np.abs(error)))}
    spread = np.sum((wanted - wanted.mean(axis=0)) ** 2, axis=0)
    if np.all(spread > 0):
        result["r2"] = float(np.mean(1.0 - np.sum(error**2, axis=0) / spread))
    return result


def confusion(labels: Array, predicted: Array, classes: int) -> npt.NDArray[np.int64]:
    """Counts [C, C]: row = true class, column = predicted class."""
    counts = np.bincount(np.asarray(labels, np.int64) * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def better(metric: str, value: float, than: float | None, min_delta: float) -> bool:
    """Whether `value` of `metric` beats `than` by more than `min_delta`; a value that is not a number never does."""
    if not np.isfinite(value):
        return False
    if than is None:
        return True
    gain = value - than if metric.split("/")[0] in HIGHER_IS_BETTER else than - value
    return gain > min_delta


def by_class(counts: npt.NDArray[np.int64]) -> list[dict[str, float]]:
    """Precision, recall, F1 and rows of each class from a confusion matrix [C, C]; 0 where nothing was predicted or nothing is there."""
    right, predicted, true = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)
    precision, recall = right / np.maximum(predicted, 1), right / np.maximum(true, 1)
    f1 = 2 * right / np.maximum(predicted + true, 1)
    columns = {"precision": precision, "recall": recall, "f1": f1, "rows": true}
    return [{name: float(values[index]) for name, values in columns.items()} for index in range(len(counts))]
