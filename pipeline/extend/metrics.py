"""A metric of one's own."""

# N rows, C classes, T targets, L labels
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipeline.errors import ExtensionError
from pipeline.extend.declared import declare
from pipeline.extend.guard import guarded
from pipeline.screen.wording import GROWING
from pipeline.training.scores import SCORES, TOP

Array = npt.NDArray[Any]
Score = Callable[[Array, Array], float]
Task = Literal["classification", "multilabel", "regression", "reconstruction"]


def metric(name: str, *, tasks: Sequence[Task], more_is_better: bool) -> Callable[[Score], Score]:
    """Makes a function (prediction, y) -> number a metric that `training.metrics`, early stopping and a sweep may name.

    prediction, y   probabilities [N, C] and classes int [N]; probabilities and labels [N, L]; values and targets [N, T], in own units
    tasks           those whose data it is for
    more_is_better    whether more of it is better
    It is measured where it is asked for: on the validation part after each epoch, on the test part at the end.  Raises ExtensionError.
    """

    def made(function: Score) -> Score:
        module = function.__module__
        if not tasks or (wrong := [task for task in tasks if task not in SCORES]):
            got = wrong[0] if tasks else "[]"
            raise ExtensionError(f"{module}: metric {name}: {got} is no task; use some of {', '.join(SCORES)}")
        if TOP.fullmatch(name) or name in ("loss", "time", "learning_rate"):
            raise ExtensionError(f"{module}: metric {name}: the product has one of this name; use another")
        if name.endswith("accuracy") and not more_is_better:
            raise ExtensionError(f"{module}: metric {name}: of an accuracy more is better; use another name")
        declare("metric", name, function, {each: None for scores in SCORES.values() for each in scores})
        for task in SCORES:
            SCORES[task].pop(name, None)
        for task in tasks:
            SCORES[task][name] = _guarded(name, function)
        (GROWING.add if more_is_better else GROWING.discard)(name)
        return function

    return made


def _guarded(name: str, function: Score) -> Score:
    def score(prediction: Array, y: Array) -> float:
        """Of arrays that it cannot write to."""
        given = [np.asarray(array).view() for array in (prediction, y)]
        for array in given:
            array.flags.writeable = False
        with guarded(f"metric {name}"):
            return float(function(*given))

    return score
