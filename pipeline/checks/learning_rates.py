"""Learning-rate range test: the loss while the learning rate rises from step to step  (Smith 2017, section 3.3)."""

# S steps
from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pipeline.checks.material import Material
from pipeline.config.experiment import Experiment
from pipeline.config.task_settings import LearningRateRange
from pipeline.errors import DivergedError
from pipeline.recipe.course import Course
from pipeline.recipe.schedules import Rising

Array = npt.NDArray[np.float64]
CHUNK = 16  # steps between two looks
LIMIT = 4.0  # times the best smoothed loss: diverged
LEAST_FALL = 0.05  # share by which the loss must fall for a suggestion to mean anything


@dataclass(frozen=True, kw_only=True)
class RangeTest:
    """rates, losses, smoothed  float64 [S] of the steps taken; smoothed is an average of the losses around each, which lags behind nothing
    reach    how many steps the average looks to each side
    window   steps over which a slope is taken
    ended    why there are no more steps
    """

    rates: Array
    losses: Array
    smoothed: Array
    reach: int
    window: int
    ended: str

    @cached_property
    def lowest(self) -> int | None:
        """The step with the lowest smoothed loss; None where the loss never fell by LEAST_FALL of what it began with."""
        if len(self.losses) <= self.reach:
            return None
        step = self.reach + int(np.argmin(self.smoothed[self.reach :]))
        return step if self.smoothed[step] < (1 - LEAST_FALL) * float(np.mean(self.losses[: self.reach])) else None

    @property
    def steepest(self) -> float | None:
        """The learning rate in the middle of the `window` steps, up to the lowest point, over which the loss falls fastest.

        How fast is the slope of the straight line through the losses over log(rate): unlike that of an average it lags behind nothing,
        and over a window it is not the luck of a batch.
        """
        if self.lowest is None:
            return None
        before = self.losses[: self.lowest + 1]
        size = min(self.window, len(before))
        line = np.arange(size) - (size - 1) / 2  # the slope is the inner product with this, but for a factor
        return float(self.rates[int(np.argmin(np.correlate(before, line, mode="valid"))) + size // 2])

    @property
    def tenth(self) -> float | None:
        """A tenth of the learning rate with the lowest smoothed loss."""
        return None if self.lowest is None else float(self.rates[self.lowest]) / 10


def range_test(config: Experiment, material: Material) -> RangeTest:
    """Trains a network of its own, which is thrown away, at most `lr_range.steps` steps; the configured schedule takes no part.

    Ends before where the smoothed loss is above LIMIT times its best, or not finite.  The same config gives the same numbers.
    """
    test = config.lr_range or LearningRateRange()
    rising = Rising(ratio=test.end / test.start, steps=test.steps)
    program = material.program(replace(config, optimizer=replace(config.optimizer, learning_rate=test.start), schedule=rising))
    order = material.order(test.steps, program.batch_size)
    program.follow(Course(total_steps=test.steps, steps_per_epoch=len(material.x) // order.shape[1]))
    losses: list[float] = []
    ended = f"all {test.steps} steps taken"
    while len(losses) < test.steps:
        try:
            chunk = program.run(material.x, material.y, order[len(losses) : len(losses) + CHUNK], material.weight).tolist()
        except DivergedError as error:
            losses += error.losses
            ended = f"the loss is not finite at step {len(losses) + 1}"
            break
        losses += chunk
        beyond = _beyond(np.array(losses), test.smoothing)
        if beyond is not None:
            losses = losses[: beyond + 1]
            ended = f"the loss is above {LIMIT:g} times its best at step {beyond + 1}"
            break
    taken = np.arange(len(losses))
    return RangeTest(
        rates=test.start * (test.end / test.start) ** (taken / (test.steps - 1)),
        losses=np.array(losses, np.float64),
        smoothed=centred(np.array(losses, np.float64), test.smoothing),
        reach=min(round(1 / (1 - test.smoothing)), test.steps // 4),
        window=test.steps // 6,
        ended=ended,
    )


def centred(losses: Array, share: float) -> Array:
    """smoothed_t = sum over u of share^|t - u| loss_u / sum over u of share^|t - u| -> [S]: as much before a step as after it."""

    def one_way(values: Array) -> Array:
        sums, total = np.empty(len(values)), 0.0
        for step, value in enumerate(values.tolist()):
            total = share * total + value
            sums[step] = total
        return sums

    def both_ways(values: Array) -> Array:
        both: Array = one_way(values) + one_way(values[::-1])[::-1] - values
        return both

    smoothed: Array = both_ways(losses) / both_ways(np.ones(len(losses)))
    return smoothed


def smooth(losses: Array, share: float) -> Array:
    """Losses [S] -> what is known at each step [S]: average_t = share * average_(t-1) + (1 - share) * loss_t, over 1 - share^(t+1)."""
    averages, average = np.empty(len(losses)), 0.0
    for step, loss in enumerate(losses):
        average = share * average + (1 - share) * float(loss)
        averages[step] = average / (1 - share ** (step + 1))
    return averages


def _beyond(losses: Array, share: float) -> int | None:
    """The first step whose smoothed loss is above LIMIT times the best before it."""
    averages = smooth(losses, share)
    above = np.flatnonzero(averages > LIMIT * np.minimum.accumulate(averages))
    return int(above[0]) if len(above) else None
