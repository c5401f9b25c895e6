"""Scores of predictions, by name.  NumPy alone, a few lines each: `import sklearn.metrics` takes 2 s, longer than many a training.

Tests hold every one against scikit-learn's function of that name.
"""

# N rows, C classes, T targets, L labels
from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

BINS = 15
TOP = re.compile(r"top_([1-9]\d*)_accuracy")


def accuracy(p: Array, y: Array) -> float:
    """Share of rows whose most probable class is the label; p [N, C], y [N]."""
    return float(np.mean(p.argmax(axis=1) == y))


def top_k_accuracy(p: Array, y: Array, k: int) -> float:
    """Share of rows whose label is among the k most probable classes; p [N, C], y [N].

    Of equally probable ones the first count, as in `accuracy`.
    """
    own = p[np.arange(len(y)), y][:, None]
    before = np.arange(p.shape[1]) < y[:, None]
    return float(np.mean(np.sum((p > own) | ((p == own) & before), axis=1) < k))


def balanced_accuracy(p: Array, y: Array) -> float:
    """Mean recall of the classes that have rows; p [N, C], y [N]."""
    counts = confusion(y, p.argmax(axis=1), p.shape[1])
    rows = counts.sum(axis=1)
    return float(np.mean(np.diag(counts)[rows > 0] / rows[rows > 0]))


def _macro(name: str) -> Callable[[Array, Array], float]:
    """Mean over the classes that have rows or were predicted."""

    def score(p: Array, y: Array) -> float:
        counts = confusion(y, p.argmax(axis=1), p.shape[1])
        there = counts.sum(axis=0) + counts.sum(axis=1) > 0
        return float(np.mean([row[name] for row, kept in zip(by_class(counts), there, strict=True) if kept]))

    return score


def roc_auc(p: Array, y: Array) -> float:
    """The probability that a row of a class gets more of it than a row of another class: of class 1 of two, else the mean over the classes.

    p [N, C], y [N]; one class against the rest (Hanley & McNeil 1982); every class needs rows.
    """
    classes = p.shape[1]
    return auc(p[:, 1], y == 1) if classes == 2 else float(np.mean([auc(p[:, c], y == c) for c in range(classes)]))


def auc(score: Array, positive: Array) -> float:
    """Mann & Whitney's U over its largest value, (rank sum of the n positives - n (n + 1) / 2) / (n m).

    score [N], positive bool [N]; equal scores share a mean rank.
    """
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place.reshape(-1)]
    n, m = int(positive.sum()), int((~positive).sum())
    return float((rank[positive].sum() - n * (n + 1) / 2) / (n * m))


def log_loss(p: Array, y: Array) -> float:
    """Mean of -log of the probability of the label; p [N, C], y [N].

    Each row is scaled to sum 1 and kept above 2.2e-16; weights do not enter.
    """
    shares = p.astype(np.float64) / p.sum(axis=1, dtype=np.float64, keepdims=True)
    least = np.finfo(np.float64).eps
    return float(-np.mean(np.log(np.clip(shares[np.arange(len(y)), y], least, 1 - least))))


def calibration_error(p: Array, y: Array) -> float:
    """Expected calibration error: sum over bins b of n_b / N * |accuracy_b - mean confidence_b|  (Guo et al. 2017, eq. 3).

    p [N, C], y [N].  BINS bins of one width; the confidence is the probability of the most probable class; a bin holds
    (b / BINS, (b + 1) / BINS].
    """
    confidence, right = p.max(axis=1).astype(np.float64), p.argmax(axis=1) == y
    if not np.isfinite(confidence).all():
        return float("nan")
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, right - confidence, minlength=BINS)  # n_b * (accuracy_b - confidence_b)
    return float(np.abs(gaps).sum() / len(y))


def labels_right(p: Array, y: Array) -> float:
    """Share of labels that are told right, yes from a probability of 1/2 on; p [N, L], y [N, L] of 0 and 1."""
    return float(np.mean((p >= 0.5) == y))


def exact_match(p: Array, y: Array) -> float:
    """Share of rows of which all labels are told right; p [N, L], y [N, L]."""
    return float(np.mean(np.all((p >= 0.5) == y, axis=1)))


def _over_labels(name: str) -> Callable[[Array, Array], float]:
    """Mean over the labels."""

    def score(p: Array, y: Array) -> float:
        return float(np.mean([row[name] for row in by_label(p, y)]))

    return score


def labels_roc_auc(p: Array, y: Array) -> float:
    """Mean over the labels of the probability that a row with the label gets more of it than a row without; p [N, L], y [N, L]."""
    return float(np.mean([auc(p[:, label], y[:, label] == 1) for label in range(y.shape[1])]))


def labels_log_loss(p: Array, y: Array) -> float:
    """Mean over rows and labels of -log of the probability of what is there, kept above 2.2e-16; p [N, L], y [N, L]."""
    least = np.finfo(np.float64).eps
    shares = np.clip(p.astype(np.float64), least, 1 - least)
    return float(-np.mean(np.where(y == 1, np.log(shares), np.log1p(-shares))))


def by_label(p: Array, y: Array) -> list[dict[str, float]]:
    """Precision, recall, F1 and rows of each label; 0 where it was never told or is never there; p [N, L], y [N, L]."""
    yes, there = p >= 0.5, y == 1
    return _shares(np.sum(yes & there, axis=0), np.sum(yes, axis=0), np.sum(there, axis=0))


def _error(value: Array, target: Array) -> Array:
    wanted = np.asarray(target, np.float64).reshape(len(target), -1)
    error: Array = np.asarray(value, np.float64).reshape(wanted.shape) - wanted
    return error


def rmse(value: Array, target: Array) -> float:
    """Root mean squared error over rows and targets [N, T], in units of the target."""
    return float(np.sqrt(np.mean(_error(value, target) ** 2)))


def mae(value: Array, target: Array) -> float:
    """Mean absolute error over rows and targets [N, T], in units of the target."""
    return float(np.mean(np.abs(_error(value, target))))


def r2(value: Array, target: Array) -> float:
    """1 - SSE / SST, mean over the targets; both [N, T]."""
    return float(np.mean(1.0 - np.sum(_error(value, target) ** 2, axis=0) / _spread(target)))


def r2_weighted(value: Array, target: Array) -> float:
    """1 - SSE / SST of all targets [N, T] together, each weighs as much as it varies: the pixel that is nearly always 0 hardly counts."""
    return float(1.0 - np.sum(_error(value, target) ** 2) / np.sum(_spread(target)))


def _spread(target: Array) -> Array:
    wanted = np.asarray(target, np.float64).reshape(len(target), -1)
    spread: Array = np.sum((wanted - wanted.mean(axis=0)) ** 2, axis=0)
    return spread


# probabilities [N, C] and classes [N], probabilities and labels [N, L], or values and targets [N, T] -> a number
SCORES: dict[str, dict[str, Callable[[Array, Array], float]]] = {
    "classification": {
        "accuracy": accuracy,
        "balanced_accuracy": balanced_accuracy,
        "precision": _macro("precision"),
        "recall": _macro("recall"),
        "f1": _macro("f1"),
        "roc_auc": roc_auc,
        "log_loss": log_loss,
        "calibration_error": calibration_error,
    },
    "multilabel": {
        "accuracy": labels_right,
        "exact_match": exact_match,
        "precision": _over_labels("precision"),
        "recall": _over_labels("recall"),
        "f1": _over_labels("f1"),
        "roc_auc": labels_roc_auc,
        "log_loss": labels_log_loss,
    },
    "regression": {"rmse": rmse, "mae": mae, "r2": r2},
    "reconstruction": {"rmse": rmse, "mae": mae, "r2_weighted": r2_weighted},
}
BUILT_IN = {task: tuple(scores) for task, scores in SCORES.items()}  # extensions add to SCORES alone


def score(task: str, name: str, prediction: Array, y: Array) -> float:
    """The score `name` (of SCORES, or top_K_accuracy) of a prediction [N, C] or [N, T]."""
    found = TOP.fullmatch(name)
    return top_k_accuracy(prediction, y, int(found[1])) if found else SCORES[task][name](prediction, y)


def undefined(name: str, y: Array, classes: int | None, names: Sequence[str] = ()) -> str | None:
    """Why the score has no value for labels [N] or targets [N, T] whatever is predicted; None where it has one.  `names` of the classes."""
    if name == "r2":
        return "a target is constant there" if not np.all(_spread(y) > 0) else None
    if name == "r2_weighted":
        return "every target is constant there" if not np.any(_spread(y) > 0) else None
    if name != "roc_auc":
        return None
    if y.ndim == 2:
        constant = np.flatnonzero(np.ptp(y, axis=0) == 0)
        return (
            f"label {names[constant[0]] if names else constant[0]} is {y[0, constant[0]]:g} in every row there" if len(constant) else None
        )
    missing = np.flatnonzero(np.bincount(y, minlength=classes or 0) == 0)
    return f"class {names[missing[0]] if names else missing[0]} has no row there" if len(missing) else None


def confusion(labels: Array, predicted: Array, classes: int) -> npt.NDArray[np.int64]:
    """Counts [C, C]: row = true class, column = predicted class."""
    counts = np.bincount(np.asarray(labels, np.int64) * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def by_class(counts: npt.NDArray[np.int64]) -> list[dict[str, float]]:
    """Precision, recall, F1 and rows of each class from a confusion matrix [C, C]; 0 where nothing was predicted or nothing is there."""
    return _shares(np.diag(counts), counts.sum(axis=0), counts.sum(axis=1))


def _shares(right: Array, predicted: Array, true: Array) -> list[dict[str, float]]:
    """From the counts [C] of rows that are rightly told to be of each class, are told so, and are so."""
    precision, recall = right / np.maximum(predicted, 1), right / np.maximum(true, 1)
    f1 = 2 * right / np.maximum(predicted + true, 1)
    columns = {"precision": precision, "recall": recall, "f1": f1, "rows": true}
    return [{name: float(values[index]) for name, values in columns.items()} for index in range(len(right))]
