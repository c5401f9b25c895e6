"""What is kept of the jobs of a sweep."""

from __future__ import annotations

from pathlib import Path

from pipeline.config.experiment import Experiment
from pipeline.records import record
from pipeline.tasks.context import RunContext, Senders


@record
class JobResult:
    """One job of a sweep: `value` is what its task returned, of a training its metrics alone; `error` why there is none."""

    context: RunContext
    experiment: Experiment | None
    value: object = None
    error: BaseException | None = None
    seconds: float = 0.0


@record
class SweepResult:
    """A sweep when its last job is over, or when it was stopped: the jobs that ran, of how many, and the sweep's own folder."""

    id: str
    folder: Path
    jobs: tuple[JobResult, ...]
    planned: int
    stopped: bool = False
    senders: Senders | None = None
