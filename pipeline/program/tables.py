"""What the steps of a program read as scalars: one row a step, made on the host from its config and the course of its training."""

# S steps, V values, W words
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from backends.contract import Plan
from pipeline.compiler import lower
from pipeline.config.experiment import Experiment
from pipeline.graph.values import Array, Clock, value_table, word_table
from pipeline.layers.graph import LayerGraph
from pipeline.recipe import schedules
from pipeline.recipe.course import Course


class Tables:
    """The scalars of `network`, which `config` describes, along `course`."""

    def __init__(self, network: LayerGraph, config: Experiment) -> None:
        self.course = Course()
        self._config, self._values, self._rate = config, lower.values(network, config), lower.learning_rate(config)

    def follow(self, course: Course) -> None:
        """From now on the training is that of `course`."""
        self.course = course

    def of(self, plan: Plan, steps: npt.NDArray[np.int64]) -> tuple[Array, npt.NDArray[np.uint32]]:
        """What `plan` reads at each of `steps` [S]: values [S, V] and words [S, W]."""
        if not plan.values and not plan.words:  # an evaluation asks no clock
            return np.empty((len(steps), 0)), np.empty((len(steps), 0), np.uint32)
        clock = self.clock(steps, self._config.training.accumulate if plan.name in ("first", "more") else 1)
        return value_table(plan.values, self._values, clock), word_table(plan.words, self._config.seed, clock)

    def learning_rate(self, step: int) -> float:
        """The learning rate of `step`, counted from 0."""
        return float(self._rate(self.clock(np.asarray([step])))[0])

    def clock(self, steps: npt.NDArray[np.int64], parts: int = 1) -> Clock:
        """`steps` [S] in the course of the training; parts: they are micro-batches, so many an update."""
        course = self.course
        return Clock(
            steps=steps,
            total=course.total_steps * parts,
            steps_per_epoch=course.steps_per_epoch * parts,
            scale=course.plateau.scale * course.slowed,
            age=schedules.age(self._config.schedule, steps, course.plateau.changed),
        )
