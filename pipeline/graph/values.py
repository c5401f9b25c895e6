"""Values: what a step's kernels read as scalars, computed on the host in float64 and handed over as one table a run.

A value is a number, or a function of the clock when it changes from step to step.  Names are those of the graph's `value` inputs
(`optimizer.learning_rate`, `bn1.momentum`); the table has one row a step, so that a kernel never asks which step it is.
"""

# S steps, V values, W words
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The steps of a run: numbers int64 [S], counted from 0 since the first step ever.

    total, steps_per_epoch  how many steps the whole training and one epoch have; 0 where that is not known
    scale                   what a schedule that watches the loss multiplies the learning rate by
    age                     updates that the optimizer's slots hold at each step; None: `steps`, as they hold all
    """

    steps: npt.NDArray[np.int64]
    total: int = 0
    steps_per_epoch: int = 0
    scale: float = 1.0
    age: npt.NDArray[np.int64] | None = None

    @property
    def updates(self) -> npt.NDArray[np.int64]:
        """Updates that the optimizer's slots hold at each step [S]."""
        return self.steps if self.age is None else self.age


Value = float | Callable[[Clock], Array]


def value_table(names: Sequence[str], values: Mapping[str, Value], clock: Clock) -> Array:
    """The values called `names` at every step of `clock` -> float64 [S, V]; the backend rounds them once, to the precision of its plan."""
    table = np.empty((len(clock.steps), len(names)))
    for column, name in enumerate(names):
        value = values[name]
        table[:, column] = value(clock) if callable(value) else value
    return table


def word_table(names: Sequence[str], seed: int, clock: Clock) -> npt.NDArray[np.uint32]:
    """The words `seed`, `step_low` and `step_high` at every step of `clock` -> uint32 [S, W]."""
    if not names:
        return np.empty((len(clock.steps), 0), np.uint32)
    steps = clock.steps.astype(np.uint64)
    words = {"seed": np.uint64(seed), "step_low": steps & np.uint64(0xFFFFFFFF), "step_high": steps >> np.uint64(32)}
    table = np.empty((len(clock.steps), len(names)), np.uint32)
    for column, name in enumerate(names):
        table[:, column] = words[name]
    return table
