"""Metrics of a part of the data: which there are, which are measured when, and which value is the better one."""

# N rows, C classes, T targets, L labels
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import ConfigError, nearest
from pipeline.screen.wording import grows
from pipeline.training.scores import BUILT_IN, SCORES, TOP, auc, by_class, by_label, confusion, score, undefined

Array = npt.NDArray[Any]

EACH_EPOCH = {  # where training.metrics is null
    "classification": ("accuracy",),
    "multilabel": ("accuracy", "f1"),
    "regression": ("rmse", "mae", "r2"),
    "reconstruction": ("rmse", "mae", "r2_weighted"),
}


def full(task: str, classes: int | None, named: Iterable[str] = ()) -> tuple[str, ...]:
    """The table of a final evaluation: all there are, and the accuracy within 5 classes of more than 5, within 2 of 3 to 5.

    named   by the settings of a training: those of extensions are measured where they stand there
    """
    names = BUILT_IN[task]
    own = tuple(name for name in dict.fromkeys(named) if name in SCORES[task] and name not in names)
    if classes is None or classes < 3:
        return (*names, *own)
    return ("accuracy", f"top_{5 if classes > 5 else 2}_accuracy", *names[1:], *own)


def check_names(names: Sequence[str], task: str, classes: int | None, *, at: str) -> None:
    """Whether each of `names` is a metric of `task`.  Raises ConfigError that names its place `at[index]`."""
    for index, name in enumerate(names):
        if name != "loss":
            check_name(name, task, classes, at=f"{at}[{index}]", got=name)


def check_name(name: str, task: str, classes: int | None, *, at: str, got: str, known: Sequence[str] = ()) -> None:
    """Whether `name` is a metric of `task`; `got` is what the config has at `at`, `known` what it may be.  Raises ConfigError."""
    top = TOP.fullmatch(name) if task == "classification" else None
    if top and classes is not None and int(top[1]) >= classes:
        rule = f"is 1 whatever is predicted, as the data has {classes} classes"
        raise ConfigError(at=at, got=got, rule=rule, hint=f"K of top_K_accuracy must be below {classes}")
    if name in SCORES[task] or top:
        return
    choice = known or tuple(SCORES[task]) + (("top_5_accuracy",) if task == "classification" else ())
    of_the_other = any(name in scores for other, scores in SCORES.items() if other != task) or TOP.fullmatch(name)
    hint = f"use one of {', '.join(choice)}" if of_the_other else nearest(got, choice)
    raise ConfigError(at=at, got=got, rule=f"no metric of {task}", hint=hint)


def measure(task: str, prediction: Array, row_loss: Array, y: Array, part: str, names: Sequence[str] | None = None) -> dict[str, float]:
    """`{"loss/<part>": ..., "<name>/<part>": ...}` from probabilities [N, C] and classes [N], probabilities and labels [N, L], or
    values and targets [N, T].

    row_loss   [N], weighted; the other metrics count every row once
    names      what is measured, by default EACH_EPOCH; a metric that has no value for this y is left out (see `left_out`)
    """
    values = {"loss": float(np.mean(row_loss, dtype=np.float64))}
    classes = prediction.shape[1] if task == "classification" else None
    for name in EACH_EPOCH[task] if names is None else names:
        if undefined(name, y, classes) is None:
            values[name] = score(task, name, prediction, y)
    return {f"{name}/{part}": value for name, value in values.items()}


def left_out(names: Sequence[str], y: Array, classes: int | None, part: str, class_names: Sequence[str] = ()) -> list[str]:
    """A sentence for each of `names` that has no value for y [N] or [N, T]; without `class_names` a class is told by its number."""
    reasons = {name: undefined(name, y, classes, class_names) for name in names} if len(y) else {}
    return [f"{name}/{part} is left out: {reason}" for name, reason in reasons.items() if reason is not None]


def class_table(prediction: Array, y: Array) -> list[dict[str, float]]:
    """Prediction [N, C], y [N] -> precision, recall, F1, rows of each class, and the ROC AUC against the rest where it has one.

    Of labels, y [N, L]: of each label.
    """
    classes = prediction.shape[1]
    rows = by_label(prediction, y) if y.ndim == 2 else by_class(confusion(y, prediction.argmax(axis=1), classes))
    for c, row in enumerate(rows):
        if 0 < row["rows"] < len(y):
            row["roc_auc"] = auc(prediction[:, c], y[:, c] == 1 if y.ndim == 2 else y == c)
    return rows


def better(metric: str, value: float, than: float | None, min_delta: float) -> bool:
    """Whether `value` of `metric` beats `than` by more than `min_delta`; a value that is not a number never does."""
    if not np.isfinite(value):
        return False
    if than is None:
        return True
    gain = value - than if grows(metric) else than - value
    return gain > min_delta
