"""Which task a target is for, by one rule for arrays and tables, and the sentence that says so.

1. `data.task`, `data.classes` and `data.targets` decide where they are given.
2. Words and truth values are classes.
3. Several columns are classes where each row has a single 1 among zeros (one-hot), labels where they hold nothing but 0 and 1, and
   values to predict otherwise.
4. Whole numbers are classes where at most 20 of them differ, each for two rows on average; numbers of an integer type also where they
   are fewer than that, or count 0, 1, ..., C - 1 without a gap, as labels are numbered.
5. All other numbers are values to predict.
"""

# N rows, L labels, T targets
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.dataset import Task
from pipeline.data.settings import Data

Array = npt.NDArray[Any]

MOST_CLASSES = 20  # a target with more different whole numbers is taken for a quantity, unless they are numbered as labels are


def told(y: Array, config: Data, what: str) -> tuple[Task, list[str]]:
    """The task of a target y [N] or [N, T] that is not one-hot; a note that begins with `what` where it could be another one."""
    declared = _declared(config)
    if declared is not None:
        return declared, []
    if y.ndim > 1:
        return _of_columns(y, what)
    if y.dtype.kind not in "iuf":
        return "classification", []
    found = np.unique(y)
    few = len(found) <= MOST_CLASSES
    whole, integers = bool(np.all(found == np.floor(found))), y.dtype.kind in "iu"
    if integers and few:
        return "classification", []
    numbered = integers and len(found) <= len(y) / 2 and int(found[0]) == 0 and int(found[-1]) == len(found) - 1
    if numbered or (whole and few and 2 * len(found) <= len(y)):
        counted = " that count from 0 without a gap" if numbered else ""
        text = f"{len(found)} different whole numbers{counted}, taken as classes; data.task=regression takes them as a quantity"
        return "classification", [f"{what}: {text}"]
    kind = " whole" if integers else ""
    text = f"{len(found)} different{kind} numbers, taken as a quantity; data.task=classification takes them as classes"
    return "regression", [f"{what}: {text}"]


def zeros_and_ones(y: Array) -> npt.NDArray[np.bool_]:
    """Which entries of y [N, L] are 0 or 1, bool [N, L]."""
    fits: npt.NDArray[np.bool_] = (y == 0) | (y == 1)
    return fits


def _declared(config: Data) -> Task | None:
    """What the config says of the task."""
    if config.task != "auto":
        return config.task
    return "classification" if config.classes is not None else None


def _of_columns(y: Array, what: str) -> tuple[Task, list[str]]:
    if y.ndim == 2 and y.dtype.kind in "iufb" and bool(zeros_and_ones(y).all()) and bool(y.any()):
        text = (
            f"{y.shape[1]} columns of 0 and 1, taken as labels of which a row may have several; data.task=regression takes them as numbers"
        )
        return "multilabel", [f"{what}: {text}"]
    return "regression", []
