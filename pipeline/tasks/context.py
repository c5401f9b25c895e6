"""What a task is told beside its experiment, and what is kept of a job of a sweep."""

from __future__ import annotations

from pathlib import Path

from pipeline.records import record
from pipeline.spec import Experiment


@record
class RunContext:
    """Where a run comes from.

    sweep      the id that all jobs of a sweep share; None for a run of its own
    job        its number within the sweep, from 0
    overrides  what the command line asked for, as `path=value` without Hydra's prefixes; a task that works on a stored run applies these
    """

    sweep: str | None = None
    job: int | None = None
    overrides: tuple[str, ...] = ()


@record
class JobResult:
    """One job of a sweep: `value` is what its task returned, `error` why there is none."""

    context: RunContext
    experiment: Experiment | None
    value: object = None
    error: BaseException | None = None
    seconds: float = 0.0


@record
class SweepResult:
    """A sweep when its last job is over, or when it was stopped: the jobs that ran, in order, and the folder that is the sweep's own."""

    id: str
    folder: Path
    jobs: tuple[JobResult, ...]
    stopped: bool = False
