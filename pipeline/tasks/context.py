"""What a task is told beside its experiment, and what is kept of a job of a sweep."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.records import record
from pipeline.tracking.settings import Tracking

if TYPE_CHECKING:
    from pipeline.tasks.shelf import Shelf
    from pipeline.tracking.outbox import Sender
    from pipeline.training.events import Event
    from pipeline.training.interrupt import Interrupt


class Senders:
    """What the jobs of a sweep share: one sender for each way of tracking, so that MLflow is loaded once and not once a job."""

    def __init__(self) -> None:
        self._open: dict[Tracking, Sender] = {}

    def get(self, settings: Tracking, project: Path) -> Sender:
        """The sender for `settings`, started when first asked for.  Raises TrackingError if the store refuses."""
        from pipeline.tracking.outbox import open_sender  # noqa: PLC0415  # the command line starts without it

        if settings not in self._open:
            self._open[settings] = open_sender(settings, project)
        return self._open[settings]

    def opened(self) -> tuple[Tracking, Sender] | None:
        """The first that was started."""
        return next(iter(self._open.items()), None)

    def close(self) -> None:
        """Lets each end when all is sent, without waiting."""
        for sender in self._open.values():
            sender.close(0.0)


@record
class RunContext:
    """Where a run comes from.

    sweep      the id that all jobs of a sweep share; None for a run of its own
    job        its number within the sweep, from 0
    overrides  what the command line asked for, as `path=value` without Hydra's prefixes; a task that works on a stored run applies these
    varied     those of the overrides in which the jobs of the sweep differ
    senders    those that the jobs of the sweep share
    began      when the command, or the job of a sweep, began, by time.monotonic
    said       the notes that its jobs have said so far: none is said twice
    trial      what its values are known by in the sweep
    placed     told the run folder of a training as soon as it is one
    shelf      the data that its jobs share
    interrupt  what asks all trials of a stack to stop; None: the run listens for signals itself
    watch      told what happens in a training
    until      the epoch after which a training pauses; None: it goes on to its end
    """

    sweep: str | None = None
    job: int | None = None
    overrides: tuple[str, ...] = ()
    varied: tuple[str, ...] = ()
    senders: Senders | None = None
    said: set[str] | None = None
    began: float = field(default_factory=time.monotonic, compare=False)
    trial: str | None = None
    placed: Callable[[Path], None] = lambda folder: None
    shelf: Shelf | None = None
    interrupt: Interrupt | None = None
    watch: Callable[[Event], None] = lambda event: None
    until: int | None = None

    @property
    def own(self) -> str:
        """What sets a job apart, `learning_rate=0.1 seed=1`; empty where nothing does.  Paths that end in one word stay whole."""
        pairs = [text.partition("=")[::2] for text in self.varied]
        short = [path.rpartition(".")[2] for path, _ in pairs]
        return " ".join(f"{word if short.count(word) == 1 else path}={value}" for word, (path, value) in zip(short, pairs, strict=True))

    @property
    def label(self) -> str:
        """How a job is spoken of: `job 3: learning_rate=0.1 seed=1`."""
        return f"job {self.job}: {self.own}" if self.own else f"job {self.job}"
