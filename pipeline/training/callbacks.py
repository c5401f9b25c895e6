"""Callbacks: what an extension is asked between the steps of a training.

The order: steps are taken; the state is looked at; the journal and the screen are told; callbacks are asked, in the order of the config;
a checkpoint is written where it is due, with what they keep.  Their time is no part of `time/epoch_s`; the end of a training tells it.
Each training has callbacks of its own, also in a stack.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from pipeline.records import Family
from pipeline.training.checkpoint import Progress

Array = npt.NDArray[Any]
When = Literal["on_step_chunk", "on_epoch_end"]
Guard = Callable[[str, Path | None], AbstractContextManager[None]]
LONGEST = 200  # letters of a reason that are kept


class Told(Sequence[Mapping[str, float]]):
    """The metrics of each epoch, to be read."""

    def __init__(self, history: Sequence[Mapping[str, float]]) -> None:
        self._history = history

    def __len__(self) -> int:
        return len(self._history)

    def __getitem__(self, place: Any) -> Any:
        found = self._history[place]
        return [MappingProxyType(dict(one)) for one in found] if isinstance(place, slice) else MappingProxyType(dict(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingState:
    """Where a training stands, for a callback to read.

    epoch          whole epochs trained;  step, the steps done of the next one, of `steps_per_epoch`
    metrics        of the last epoch that ended, {} before the first;  history, of each
    losses         of the steps of the epoch under way, float64 [step]
    learning_rate  of the last step; None where nobody knows it
    best_epoch     the best so far, counted from 1; 0: none yet
    tensors        () -> a copy of every tensor that training changes, by name: fc1.weight [I, O]
    stop           (reason) ends the training after this call; the reason stands in the journal
    """

    epoch: int
    step: int
    steps_per_epoch: int
    metrics: Mapping[str, float]
    history: Sequence[Mapping[str, float]]
    losses: Array
    learning_rate: float | None
    best_epoch: int
    tensors: Callable[[], Mapping[str, Array]]
    stop: Callable[[str], None]


@dataclass(kw_only=True)
class Callback:
    """A callback: its fields are its settings, what else it notes on itself is of one training.

    every_steps   on_step_chunk is asked at multiples of so many steps; None: after each chunk of about a tenth of a second, whose
                  length the clock decides
    """

    every_steps: ClassVar[int | None] = None

    def on_step_chunk(self, state: TrainingState) -> None:
        """After some steps."""

    def on_epoch_end(self, state: TrainingState) -> None:
        """After a whole epoch, when its metrics are known and in the journal."""

    def state(self) -> Any:
        """What it has noted, as JSON can hold it: kept in each checkpoint.  None: nothing."""
        return None

    def restore(self, saved: Any) -> None:
        """Takes back what `state` gave, before a training goes on."""


CALLBACKS: Family[Callback, Guard] = Family("callback", {})  # extensions add to it


@dataclass(kw_only=True)
class Callbacks:
    """Those of one training.

    asked    as the config has them;  saved, what they kept, of a training that goes on;  folder, of the run, for tracebacks
    stopped  why one of them ended the training; empty: none did
    seconds  that each has taken
    """

    asked: Sequence[Callback] = ()
    saved: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    stopped: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._own = {f"{place}.{CALLBACKS.kind_of(one)}": one for place, one in enumerate(self.asked)}
        for name, one in self._own.items():
            with self._guarded(name, "__post_init__()"):
                self._own[name] = replace(one)  # with its settings alone: what the one of the config noted is of no training
        for name, own in self._own.items():
            if name in self.saved:
                with self._guarded(name, "restore()"):
                    own.restore(copy.deepcopy(self.saved[name]))

    def until(self, steps: int) -> int | None:
        """How many of the steps after `steps` come before one is to be asked; None where the clock says when."""
        every = [own.every_steps for own in self._own.values() if own.every_steps]
        return min((count - steps % count for count in every), default=None)

    def ask(self, when: When, steps: int, state: Callable[[Callable[[str], None]], TrainingState]) -> None:
        """Asks each, after `steps` steps in all; `state` makes what it is shown, given what stops the training.  Raises ExtensionError."""
        for name, own in self._own.items():
            if when == "on_step_chunk" and own.every_steps and steps % own.every_steps:
                continue
            start = time.perf_counter()
            try:
                with self._guarded(name, when):
                    getattr(own, when)(state(lambda reason, name=name: self._stop(name, reason)))  # type: ignore[misc]  # bound now
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def states(self) -> dict[str, Any]:
        """What they keep, for a checkpoint.  Raises ExtensionError where JSON cannot hold it."""
        kept = {}
        for name, own in self._own.items():
            with self._guarded(name, "state()"):
                value = json.loads(json.dumps(own.state()))
            if value is not None:
                kept[name] = value
        return kept

    @property
    def told(self) -> str:
        """The time that they took, in words."""
        each = ", ".join(f"{name.partition('.')[2]} {seconds:.2f} s" for name, seconds in self.seconds.items())
        return f"callbacks took {sum(self.seconds.values()):.2f} s, which no time of an epoch counts: {each}"

    def _stop(self, name: str, reason: str) -> None:
        text = " ".join(str(reason).split())[:LONGEST] or "it gave no reason"
        self.stopped = self.stopped or f"callback {name.partition('.')[2]} stopped it: {text}"

    def _guarded(self, name: str, what: str) -> AbstractContextManager[None]:
        return CALLBACKS.rule(self._own[name])(f"callback {name.partition('.')[2]}, {what}", self.folder)


def shown(
    progress: Progress, steps_per_epoch: int, learning_rate: float | None, tensors: Callable[[], Mapping[str, Array]]
) -> Callable[[Callable[[str], None]], TrainingState]:
    """What a callback is shown, given what stops the training; of losses [step] and metrics nothing can be written to."""
    losses = np.asarray(progress.losses).view()
    losses.flags.writeable = False
    history = Told(progress.history)
    return lambda stop: TrainingState(
        epoch=progress.epoch,
        step=progress.step,
        steps_per_epoch=steps_per_epoch,
        metrics=history[-1] if len(history) else MappingProxyType({}),
        history=history,
        losses=losses,
        learning_rate=learning_rate,
        best_epoch=progress.best_epoch,
        tensors=tensors,
        stop=stop,
    )
