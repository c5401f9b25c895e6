"""A schedule that watches the loss: what it keeps from epoch to epoch, and its rule."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from pipeline.recipe.schedule import Schedule
from pipeline.records import record, setting


@record
class ReduceOnPlateau(Schedule):
    """The learning rate is multiplied by `factor` when the loss has not fallen for `patience` epochs.

    The loss is that of the validation part, without one that of training.  It has fallen when it is below (1 - threshold) * best.
    After a change `cooldown` epochs are not counted, nor are the epochs that end within the warm-up.

    minimum          the learning rate does not go below it
    state_on_change  keep; reset sets the optimizer's slots and its own count of steps back to their start at each change, as making a new
                     optimizer does: an error of the course notes, there to show that momentum is lost
    """

    factor: float = setting(0.1, above=0, below=1)
    patience: int = setting(5, least=1)
    threshold: float = setting(1e-4, least=0, below=1)
    cooldown: int = setting(0, least=0)
    minimum: float = setting(0.0, least=0)
    state_on_change: Literal["keep", "reset"] = setting("keep")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plateau:
    """Where the schedule stands after an epoch: part of a checkpoint.

    scale     what the learning rate is multiplied by; changed, the step of the last change, 0 for none
    best      the lowest loss; waited, the epochs counted since; cooling, the epochs that are not counted yet
    """

    scale: float = 1.0
    changed: int = 0
    best: float | None = None
    waited: int = 0
    cooling: int = 0


def watching(schedule: Schedule, learning_rate: float) -> Callable[[Plateau, float, int], Plateau] | None:
    """The rule of a schedule that watches the loss: (where it stands, loss of the epoch, steps in all) -> where it stands then."""
    if not isinstance(schedule, ReduceOnPlateau):
        return None
    return lambda now, loss, steps: after_epoch(schedule, now, loss, steps=steps, learning_rate=learning_rate)


def after_epoch(schedule: ReduceOnPlateau, now: Plateau, loss: float, *, steps: int, learning_rate: float) -> Plateau:
    """`now` after an epoch with this loss that ended after `steps` steps in all; `learning_rate` is the optimizer's, unscaled."""
    cooling = max(now.cooling - 1, 0)
    if math.isfinite(loss) and (now.best is None or loss < (1 - schedule.threshold) * now.best):
        return replace(now, best=loss, waited=0, cooling=cooling)
    if now.cooling or steps <= schedule.warmup:
        return replace(now, waited=0, cooling=cooling)
    if now.waited + 1 < schedule.patience:
        return replace(now, waited=now.waited + 1, cooling=cooling)
    scale = max(now.scale * schedule.factor, schedule.minimum / learning_rate)
    if scale >= now.scale:  # at the minimum: nothing changes, so nothing is reset
        return replace(now, waited=0)
    return replace(now, scale=scale, changed=steps, waited=0, cooling=schedule.cooldown)
