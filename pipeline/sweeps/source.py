"""Where the jobs of a sweep come from: a grid, all at once, or a search, in batches that follow from what came before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from pipeline.config.jobs import Composing
from pipeline.config.sweep_settings import SweepSettings
from pipeline.sweeps.jobs import Job, JobResult
from pipeline.sweeps.work import Worker


class Source(Protocol):
    """Jobs, one batch after another.

    settings  how they are judged
    planned   the jobs that are known so far
    """

    settings: SweepSettings
    planned: list[Job]

    @property
    def count(self) -> int:
        """How many there will be."""

    def said(self) -> list[str]:
        """What a person is told of it at the start, line by line."""

    def described(self) -> dict[str, Any] | None:
        """What makes it this search; None for a grid, whose jobs say it."""

    def results(self, worker: Worker, configs: Composing) -> Iterator[JobResult]:
        """Lets them be done -> what came of each."""

    def notes(self) -> tuple[str, ...]:
        """What is to be said of the best."""


class Grid:
    """Jobs that are all known."""

    def __init__(self, planned: Sequence[Job]) -> None:
        self.planned, self.settings = list(planned), SweepSettings()

    @property
    def count(self) -> int:
        """See Source."""
        return len(self.planned)

    def said(self) -> list[str]:
        """See Source."""
        return []

    def described(self) -> None:
        """See Source."""

    def results(self, worker: Worker, configs: Composing) -> Iterator[JobResult]:
        """See Source."""
        worker.plan(self.planned)
        return worker.work(self.planned, configs)

    def notes(self) -> tuple[str, ...]:
        """See Source."""
        return ()
