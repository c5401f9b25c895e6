"""The steps and evaluations of a training, wanted by its loop and done by a program: alone, or by a stack of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt

from pipeline.errors import DivergedError
from pipeline.recipe.course import Course
from pipeline.rows import Streamed
from pipeline.training.blocks import Feed
from pipeline.training.checkpoint import State

Array = npt.NDArray[Any]
P = ParamSpec("P")
T = TypeVar("T")


class Trainable(Protocol):
    """What the loop asks of a program; `pipeline.program.Program` is one."""

    @property
    def reestimates(self) -> bool:
        """Whether evaluation needs what `reestimate` makes."""

    def follow(self, course: Course) -> None:
        """From the next step on the training is that of `course`."""

    def run(self, x: Array | Streamed, y: Array | Streamed, order: Array, sample_weight: Array | None = None) -> Array:
        """Trains on the rows order [steps, B] -> losses [steps].  Raises DivergedError."""

    def evaluate(self, x: Array | Streamed, y: Array | Streamed, sample_weight: Array | None = None) -> tuple[Array, Array]:
        """-> (prediction [N, ...], row loss [N])."""

    def reestimate(self, x: Array | Streamed, order: Array) -> None:
        """Sets the statistics that evaluation needs beside the steps, from the batches order [steps, B] of x."""

    def diverged(
        self, x: Array | Streamed, y: Array | Streamed, rows: Array, weight: Array | None, *, losses: Array, after: State | None
    ) -> DivergedError:
        """The error for the next step, on `rows` [B], whose loss is finite and that makes the state `after`, which is not."""

    def state(self) -> dict[str, Array]:
        """A copy of everything that training changes, each tensor in its shape: fc1.weight [I, O]."""

    def load_state(self, state: State) -> None:
        """Goes back to `state`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What came of the steps of a feed: the losses [s] of those that were taken, which may be fewer, and the seconds they took.

    error   the step after them could not be taken
    """

    losses: Array
    seconds: float
    error: DivergedError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What the present state is to be evaluated on."""

    x: Array | Streamed
    y: Array | Streamed
    weight: Array | None


Wanted = Feed | Evaluation
Made = tuple[Array, Array]  # prediction [N, ...], row loss [N]
Done = Taken | Made


def alone(program: Trainable, steps: Generator[Wanted, Done, T]) -> T:
    """Lets `program` do what is yielded -> what comes in the end.  Raises what `steps` raises."""
    with closing(steps):
        try:
            wanted = next(steps)
            while True:
                wanted = steps.send(_taken(program, wanted) if isinstance(wanted, Feed) else evaluated(program, wanted))
        except StopIteration as end:
            return cast(T, end.value)


def evaluated(program: Trainable, rows: Evaluation) -> Made:
    """What one program makes of `rows`."""
    return program.evaluate(rows.x, rows.y, rows.weight)


def _taken(program: Trainable, feed: Feed) -> Taken:
    start = time.perf_counter()
    try:
        losses, error = program.run(feed.x, feed.y, feed.order, feed.weight), None
    except DivergedError as diverged:
        losses, error = np.asarray(diverged.losses), diverged
    return Taken(losses=losses, seconds=time.perf_counter() - start, error=error)


def driven(
    coroutine: Callable[Concatenate[Trainable, P], Generator[Wanted, Done, T]],
) -> Callable[Concatenate[Trainable, P], T]:
    """The same for a program that takes its steps itself."""

    def train(program: Trainable, /, *given: P.args, **named: P.kwargs) -> T:
        """Trains `program` alone; what it is given, and what it raises, is that of `training`."""
        return alone(program, coroutine(program, *given, **named))

    return train
