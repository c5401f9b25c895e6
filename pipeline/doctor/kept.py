"""States and losses of a training, kept while it goes on: all looking at them is done when it is over.

A copy of the state is all that a training pays for it, after epochs 1, 2, 4, 8, ...
"""

# S steps
from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Mapping
from contextlib import closing
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.program.program import Program
from pipeline.recipe.course import Course
from pipeline.records import record
from pipeline.training.checkpoint import State
from pipeline.training.events import EpochEnded, Event
from pipeline.training.steps import Done, Taken, Wanted

T = TypeVar("T")
LOSSES = 4096  # of single steps that are kept, of the first ones and of the last ones
SHARE = 32  # all copies take at most this part of the machine's memory


@record
class Moment:
    """The state after `epoch` epochs, and the course that its next step is part of; epoch 0 is before the first step."""

    epoch: int
    state: State
    course: Course


class Kept:
    """What is kept of the training of `program`; nothing where it is not `wanted`."""

    def __init__(self, program: Program, *, wanted: bool) -> None:
        self.wanted, self.program = wanted, program
        self.moments: list[Moment] = []
        self.history: list[Mapping[str, float]] = []
        self._first: list[npt.NDArray[Any]] = []
        self._last: deque[npt.NDArray[Any]] = deque()
        self._room = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // SHARE

    def keep(self, epoch: int) -> None:
        """A copy of the present state, as long as there is room for it."""
        state = self.program.state() if self.wanted and self._room > 0 else None
        if state is not None:
            self._room -= sum(value.nbytes for value in state.values())
            self.moments = [moment for moment in self.moments if moment.epoch != epoch]
            self.moments.append(Moment(epoch=epoch, state=state, course=self.program.tables.course))

    @property
    def epoch(self) -> int:
        """The last epoch that ended."""
        return len(self.history)

    def __call__(self, event: Event) -> None:
        """Takes the events of the training."""
        if isinstance(event, EpochEnded):
            self.history.append(event.values)
            if event.epoch & (event.epoch - 1) == 0:
                self.keep(event.epoch)

    def over(self, steps: Generator[Wanted, Done, T]) -> Generator[Wanted, Done, T]:
        """`steps`, the losses of which are kept."""
        with closing(steps):
            try:
                wanted = next(steps)
                while True:
                    done = yield wanted
                    if self.wanted and isinstance(done, Taken):
                        self._took(np.asarray(done.losses, np.float64))
                    wanted = steps.send(done)
            except StopIteration as end:
                result: T = end.value
                return result

    def _took(self, losses: npt.NDArray[Any]) -> None:
        if sum(map(len, self._first)) < LOSSES:
            self._first.append(losses)
        self._last.append(losses)
        while sum(map(len, self._last)) - len(self._last[0]) >= LOSSES:
            self._last.popleft()

    @property
    def first(self) -> npt.NDArray[Any]:
        """The losses of the first steps of this command [S]."""
        return _joined(self._first)[:LOSSES]

    @property
    def last(self) -> npt.NDArray[Any]:
        """The losses of the last steps [S]."""
        return _joined(self._last)[-LOSSES:]


def _joined(parts: Any) -> npt.NDArray[Any]:
    return np.concatenate([np.zeros(0), *parts])
