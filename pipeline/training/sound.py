"""Whether the state of a training is finite, and which step made it otherwise.

The program's own guard looks at the loss before each step.  A gradient or an update that is not finite while the loss still is leaves the
state damaged, and the guard stops one step late, or never.  So the state is looked at as often as takes a hundredth of the time of the
steps, of which a member of a stack counts its own share, and a copy of each that is sound is kept with the steps since: where one is not,
these are taken again, one by one, to the step that made it so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pipeline.errors import DivergedError
from pipeline.training.blocks import Feed
from pipeline.training.checkpoint import Progress, State
from pipeline.training.steps import Trainable

SHARE = 100  # looking takes at most a hundredth of the time
LARGEST = 2**30  # bytes of a state of which a copy is kept
MOST = 100  # calls between two looks: each is kept until then


@dataclass(frozen=True, kw_only=True)
class Unsound:
    """The step that made the state not finite; the program stands before it again, as `progress` says."""

    error: DivergedError
    progress: Progress


class Watch:
    """Looks at `program` while it trains; `follow` lets it follow the course that a training has at a standing."""

    def __init__(self, program: Trainable, follow: Callable[[Progress], None]) -> None:
        self._program, self._follow = program, follow
        self._state: State | None = None
        self._taken: list[tuple[Feed, Progress]] = []
        self._left = 0.0  # seconds of steps until the next look

    @property
    def state(self) -> State:
        """A copy of the state that was looked at last."""
        return self._program.state() if self._state is None or self._taken else self._state

    def began(self) -> None:
        """The program has another state now, which is sound."""
        self._keep(self._program.state(), time.perf_counter())

    def took(self, feed: Feed, count: int, before: Progress, seconds: float) -> Unsound | None:
        """The first `count` steps of `feed` were taken from `before` on, in so many seconds; looks where it is time."""
        if count and self._state is not None:
            self._taken.append((replace(feed, order=feed.order[:count]), before))
        self._left -= seconds
        return self.look() if self._left <= 0 or len(self._taken) >= MOST else None

    def look(self) -> Unsound | None:
        """The step that made the state not finite, if one did."""
        start = time.perf_counter()
        state = self._program.state()
        if _finite(state):
            self._keep(state, start)
            return None
        return self._found(state)

    def _keep(self, state: State, start: float) -> None:
        small = sum(np.asarray(value).nbytes for value in state.values()) <= LARGEST
        self._state, self._taken = state if small else None, []
        self._left = SHARE * (time.perf_counter() - start)

    def _found(self, damaged: State) -> Unsound | None:
        """Takes the steps since the last sound state again."""
        if self._state is None:
            names = [name for name, value in damaged.items() if not _finite({name: value})]
            step = int(np.max(damaged.get("step", 0)))
            what = f"training diverged before step {step + 1}: {names[0]} holds values that are not finite; lower optimizer.learning_rate"
            raise DivergedError(what, step=step)
        self._program.load_state(self._state)
        for feed, before in self._taken:
            self._follow(before)
            losses = np.zeros(0)
            for rows in feed.order:
                sound = self._program.state()
                made = self._program.run(feed.x, feed.y, rows[None], feed.weight)
                after = self._program.state()
                if not _finite(after):
                    self._program.load_state(sound)
                    error = self._program.diverged(feed.x, feed.y, rows, feed.weight, losses=losses, after=after)
                    done = np.concatenate([before.losses, losses])
                    return Unsound(error=error, progress=replace(before, step=before.step + len(losses), losses=done))
                losses = np.concatenate([losses, np.asarray(made, np.float64)])
        return None


def _finite(state: State) -> bool:
    return all(np.isfinite(value).all() for value in state.values() if np.asarray(value).dtype.kind == "f")
