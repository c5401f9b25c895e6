"""Learning-rate schedules: pure functions of the step, `factor(schedule, steps, total)`; they touch no optimizer state.

The one that watches the loss is in plateau.py; `state_on_change=reset` shows why state is left alone.

Every schedule may be preceded by `warmup` steps, in which the learning rate rises on a line to what the schedule starts with:
step s < warmup has (s + 1) / warmup of it.  The schedule then counts its steps, and what is left of the training, from there.
"""

# step counts from 0; total is the number of steps the run is planned to take
from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.errors import ConfigError
from pipeline.formula import host
from pipeline.formula.declared import Formula, WithFormulas, check_names, check_used
from pipeline.recipe.plateau import ReduceOnPlateau
from pipeline.recipe.schedule import Array, Schedule, ScheduleRule
from pipeline.records import Family, PerRecord, record, setting


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

    The learning rate of the optimizer is the largest one; the last step of the training has `end` of it.
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
class FormulaSchedule(Schedule, WithFormulas):
    """factor = a formula of t, the step from 0, and of total, the steps of the training, both counted from the end of the warm-up.

    values   numbers of the formula by name, which a sweep may change
    """

    factor: str = setting()
    values: Mapping[str, float] = setting({})

    def formulas(self) -> tuple[Formula, ...]:
        """The one formula."""
        return (Formula(field="factor", text=self.factor, numbers=("t", "total", *self.values)),)

    def check(self) -> None:
        """Whether it gives shares of a learning rate.  Raises ConfigError."""
        (formula,) = self.formulas()
        check_names(self.values, ("t", "total"), at="values")
        formula.check(self.values)
        check_used(self.values, (formula,), at="values")
        self.shares(np.arange(100.0), 100)

    def shares(self, at: Array, total: int) -> Array:
        """The factors at the steps `at` [S] of `total` -> [S].  Raises ConfigError for what is no share of a learning rate."""
        (formula,) = self.formulas()
        made = np.broadcast_to(host.evaluate(formula.tree, {**self.values, "t": at, "total": float(total)}), at.shape)
        bad = np.flatnonzero(~(np.isfinite(made) & (made >= 0)))
        if len(bad):
            rule = f"is {made[bad[0]]:g} at step {at[bad[0]]:.0f}" + (f" of {total}" if "total" in formula.names else "")
            formula.refuse(formula.tree, rule, "a factor is a number of at least 0")
        return made.copy()


@record
class Rising(Schedule):
    """factor = ratio^(step / (steps - 1)): from 1 to `ratio` in `steps` steps, for the learning-rate range test alone."""

    ratio: float = setting(above=1)
    steps: int = setting(least=2)


def _done(at: Array, left: int) -> Array:
    """The share of the training that is done."""
    return at / left


def _half_cosine(start: float, end: float, done: Array) -> Array:
    """From start (done = 0) to end (done = 1)."""
    return np.asarray(end + (start - end) * (1 + np.cos(np.pi * done)) / 2)


def _polynomial(schedule: Polynomial, at: Array, left: int) -> Array:
    return np.asarray(schedule.floor + (1 - schedule.floor) * (1 - _done(at, left)) ** schedule.power)


def _cosine(schedule: Cosine, at: Array, left: int) -> Array:
    return np.asarray(schedule.floor + (1 - schedule.floor) * (1 + np.cos(np.pi * _done(at, left))) / 2)


def _formula(record: FormulaSchedule) -> ScheduleRule:
    (formula,) = record.formulas()
    return ScheduleRule(factor=lambda s, at, left: s.shares(at, left), whole="total" in formula.names)


def _one_cycle(schedule: OneCycle, at: Array, left: int) -> Array:
    done = np.minimum(_done(at, max(left - 1, 1)), 1.0)
    rising = _half_cosine(schedule.start, 1.0, np.minimum(done / schedule.rise, 1.0))
    falling = _half_cosine(1.0, schedule.end, np.maximum(done - schedule.rise, 0.0) / (1 - schedule.rise))
    return np.where(done < schedule.rise, rising, falling)


def _cyclic(schedule: Cyclic, at: Array, left: int) -> Array:
    return np.asarray(1.0 - (1.0 - schedule.floor) * np.abs(1.0 - at % (2 * schedule.half_cycle) / schedule.half_cycle))


# what a config may name
SCHEDULES: Family[Schedule, ScheduleRule] = Family(
    "schedule",
    {
        "constant": (Constant, ScheduleRule(factor=lambda s, at, left: np.ones_like(at))),
        "step": (Step, ScheduleRule(factor=lambda s, at, left: s.factor ** np.floor(at / s.every))),
        "exponential": (Exponential, ScheduleRule(factor=lambda s, at, left: s.factor ** (at / s.every))),
        "inverse_time": (InverseTime, ScheduleRule(factor=lambda s, at, left: 1.0 / (1.0 + s.decay * at / s.every))),
        "inverse_sqrt": (InverseSqrt, ScheduleRule(factor=lambda s, at, left: 1.0 / np.sqrt(1.0 + at / s.every))),
        "polynomial": (Polynomial, ScheduleRule(factor=_polynomial, whole=True)),
        "cosine": (Cosine, ScheduleRule(factor=_cosine, whole=True)),
        "one_cycle": (OneCycle, ScheduleRule(factor=_one_cycle, whole=True)),
        "cyclic": (Cyclic, ScheduleRule(factor=_cyclic)),
        "formula": (FormulaSchedule, PerRecord(_formula)),
        # its scale comes with the clock: see plateau.py
        "reduce_on_plateau": (ReduceOnPlateau, ScheduleRule(factor=lambda s, at, left: np.ones_like(at))),
    },
)
# and one that is no schedule to train with
_ALL: Family[Schedule, ScheduleRule] = Family(
    "schedule", {**SCHEDULES.rows, "rising": (Rising, ScheduleRule(factor=lambda s, at, left: s.ratio ** (at / (s.steps - 1))))}
)


def factor(schedule: Schedule, steps: npt.ArrayLike, total: int) -> Array:
    """The shares of the base learning rate used at `steps` [S], or one step [], of `total` -> [S], or [].

    Raises ConfigError for a schedule over the whole training when `total` is 0, that is, not known, or no longer than the warm-up.
    """
    # always an array: numpy's power of a lone number may differ in the last bit
    at, warmup = np.asarray(steps, np.float64).reshape(-1), schedule.warmup
    after = np.maximum(at - warmup, 0.0)
    rule, left = _ALL.rule(schedule), 0
    if rule.whole:
        left = _left(schedule, total)
        after = np.minimum(after, left)
    share = rule.factor(schedule, after, left)
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
