"""Learning-rate schedules: pure functions of the step, `factor(schedule, steps, total)`; they touch no optimizer state.

The one that watches the loss is in plateau.py; `state_on_change=reset` shows why state is left alone.

Every schedule may be preceded by `warmup` steps, in which the learning rate rises on a line to what the schedule starts with:
step s < warmup has (s + 1) / warmup of it.  The schedule then counts its steps, and what is left of the training, from there.
"""

# step counts from 0; total is the number of steps the run is planned to take
from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.errors import ConfigError
from pipeline.recipe.plateau import ReduceOnPlateau
from pipeline.recipe.schedule import Array, Schedule, ScheduleRule
from pipeline.records import Family, record, setting


@record
class Constant(Schedule):
    """factor = 1."""


@record
class Step(Schedule):
    """factor = factor^floor(step / every): `every` in steps.

    state_on_change  as in reduce_on_plateau; `reset` is an error of the course notes
    """

    every: int = setting(1000, least=1)
    factor: float = setting(0.1, above=0, most=1)
    state_on_change: Literal["keep", "reset"] = setting("keep")


@record
class Exponential(Schedule):
    """factor = factor^(step / every): `every` in steps."""

    every: int = setting(1000, least=1)
    factor: float = setting(0.95, above=0, most=1)


@record
class InverseTime(Schedule):
    """factor = 1 / (1 + decay * step / every): `every` in steps  (Robbins & Monro 1951)."""

    every: int = setting(1000, least=1)
    decay: float = setting(1.0, least=0)


@record
class InverseSqrt(Schedule):
    """factor = 1 / sqrt(1 + step / every): `every` in steps; with every = 1 this is k / sqrt(t), t the number of the step from 1."""

    every: int = setting(1000, least=1)


@record
class Polynomial(Schedule):
    """factor = floor + (1 - floor) * (1 - step / total)^power; power 1 falls on a line."""

    power: float = setting(1.0, above=0)
    floor: float = setting(0.0, least=0, most=1)


@record
class Cosine(Schedule):
    """factor = floor + (1 - floor) * (1 + cos(pi * step / total)) / 2  (Loshchilov & Hutter 2017, eq. 5)."""

    floor: float = setting(0.0, least=0, most=1)


@record
class OneCycle(Schedule):
    """From `start` up to 1 in the share `rise` of the training, then down to `end`, both on half a cosine  (Smith & Topin 2018).

    The learning rate of the optimizer is the largest one.
    """

    rise: float = setting(0.3, above=0, below=1)
    start: float = setting(0.04, above=0, most=1)
    end: float = setting(4e-6, least=0, most=1)


@record
class Cyclic(Schedule):
    """Triangles from `floor` up to 1 in `half_cycle` steps and down again in as many  (Smith 2017, section 3.1)."""

    half_cycle: int = setting(2000, least=1)
    floor: float = setting(0.1, least=0, most=1)


@record
class Rising(Schedule):
    """factor = ratio^(step / (steps - 1)): from 1 to `ratio` in `steps` steps, for the learning-rate range test alone."""

    ratio: float = setting(above=1)
    steps: int = setting(least=2)


def _half_cosine(start: float, end: float, done: Array) -> Array:
    """From start (done = 0) to end (done = 1)."""
    return np.asarray(end + (start - end) * (1 + np.cos(np.pi * done)) / 2)


def _one_cycle(schedule: OneCycle, done: Array) -> Array:
    rising = _half_cosine(schedule.start, 1.0, np.minimum(done / schedule.rise, 1.0))
    falling = _half_cosine(1.0, schedule.end, np.maximum(done - schedule.rise, 0.0) / (1 - schedule.rise))
    return np.where(done < schedule.rise, rising, falling)


def _cyclic(schedule: Cyclic, at: Array) -> Array:
    return np.asarray(1.0 - (1.0 - schedule.floor) * np.abs(1.0 - at % (2 * schedule.half_cycle) / schedule.half_cycle))


# what a config may name
SCHEDULES: Family[Schedule, ScheduleRule] = Family(
    "schedule",
    {
        "constant": (Constant, ScheduleRule(factor=lambda s, at: np.ones_like(at))),
        "step": (Step, ScheduleRule(factor=lambda s, at: s.factor ** np.floor(at / s.every))),
        "exponential": (Exponential, ScheduleRule(factor=lambda s, at: s.factor ** (at / s.every))),
        "inverse_time": (InverseTime, ScheduleRule(factor=lambda s, at: 1.0 / (1.0 + s.decay * at / s.every))),
        "inverse_sqrt": (InverseSqrt, ScheduleRule(factor=lambda s, at: 1.0 / np.sqrt(1.0 + at / s.every))),
        "polynomial": (Polynomial, ScheduleRule(factor=lambda s, done: s.floor + (1 - s.floor) * (1 - done) ** s.power, whole=True)),
        "cosine": (Cosine, ScheduleRule(factor=lambda s, done: s.floor + (1 - s.floor) * (1 + np.cos(np.pi * done)) / 2, whole=True)),
        "one_cycle": (OneCycle, ScheduleRule(factor=_one_cycle, whole=True)),
        "cyclic": (Cyclic, ScheduleRule(factor=_cyclic)),
        # its scale comes with the clock: see plateau.py
        "reduce_on_plateau": (ReduceOnPlateau, ScheduleRule(factor=lambda s, at: np.ones_like(at))),
    },
)
# and one that is no schedule to train with
_ALL: Family[Schedule, ScheduleRule] = Family(
    "schedule", {**SCHEDULES.rows, "rising": (Rising, ScheduleRule(factor=lambda s, at: s.ratio ** (at / (s.steps - 1))))}
)


def factor(schedule: Schedule, steps: npt.ArrayLike, total: int) -> Array:
    """The shares of the base learning rate used at `steps` [S], or one step [], of `total` -> [S], or [].

    Raises ConfigError for a schedule over the whole training when `total` is 0, that is, not known, or no longer than the warm-up.
    """
    # always an array: numpy's power of a lone number may differ in the last bit
    at, warmup = np.asarray(steps, np.float64).reshape(-1), schedule.warmup
    after = np.maximum(at - warmup, 0.0)
    rule = _ALL.rule(schedule)
    if rule.whole:
        left = _left(schedule, total)
        after = np.minimum(after, left) / left
    share = rule.factor(schedule, after)
    return np.asarray(share * np.minimum(at + 1, warmup) / warmup if warmup else share).reshape(np.shape(steps))


def needs_total(schedule: Schedule) -> bool:
    """Whether the schedule runs over the whole training, and so needs to know how many steps that has."""
    return _ALL.rule(schedule).whole


def resets(schedule: Schedule) -> bool:
    """Whether the optimizer's slots go back to their start when the learning rate changes."""
    return isinstance(schedule, Step | ReduceOnPlateau) and schedule.state_on_change == "reset"


def age(schedule: Schedule, steps: npt.NDArray[np.int64], changed: int) -> npt.NDArray[np.int64]:
    """How many updates the optimizer's slots hold at each of `steps` [S] -> [S]: all, or where they are reset those since the last change.

    changed: the step at which a plateau last changed the learning rate.  The steps of a warm-up are no changes.
    """
    if not resets(schedule):
        return steps
    if not isinstance(schedule, Step):
        return np.where(steps >= changed, steps - changed, steps)
    after = steps - schedule.warmup
    return np.where((after >= schedule.every) & (schedule.factor < 1), after % schedule.every, steps)


def _left(schedule: Schedule, total: int) -> int:
    """The steps after the warm-up."""
    if total <= 0:
        hint = "call program.follow(Course(total_steps=...)) of pipeline.recipe.course"
        rule = "needs to know how many steps the training has"
        raise ConfigError(at="schedule.kind", got=SCHEDULES.kind_of(schedule), rule=rule, hint=hint)
    if schedule.warmup >= total:
        rule = f"must be shorter than the training, which has {total} steps"
        raise ConfigError(at="schedule.warmup", got=schedule.warmup, rule=rule)
    return total - schedule.warmup
