"""How long trials are expected to train: by the model of what a step costs (backends/cost.py), or by those that have trained.

Measured on two quiet cores, beside steps and evaluations: a trial takes 8 ms (run folder, journal, checkpoint, test part), and an epoch of
it 0.25 ms (schedule, journal, checkpoint).
"""

# K trials
from __future__ import annotations

from collections.abc import Sequence

from backends import step_seconds
from pipeline.compiler.structure import Structure
from pipeline.config.experiment import Experiment
from pipeline.data.prepared import Prepared
from pipeline.records import record
from pipeline.training import budget
from pipeline.training.checkpoint import Checkpoint

TRIAL, EPOCH = 8e-3, 0.25e-3
WORTH = 10.0  # seconds that are left when it is worth a line


@record
class Expected:
    """`about 3 s` for trials that train together; where that is not known, `why`.

    most  they may end before
    """

    seconds: float | None = None
    why: str = ""
    most: bool = False

    def __str__(self) -> str:
        return self.why if self.seconds is None else f"about {said(self.seconds)}{' at most' if self.most else ''}"


def expected(structure: Structure, members: Sequence[tuple[Experiment, Prepared, Checkpoint | None]]) -> Expected:
    """Of K trials that train together on a machine that does nothing else, each with its config, its rows, and what it has done."""
    if structure.backend.name != "numpy":
        return Expected(why="its time is not estimated")
    left: list[int] = []  # steps of each
    for asked, data, found in members:
        per_epoch = max(1, len(data.train) // asked.training.rows)
        end = budget.end(asked.training, asked.budget, per_epoch).steps
        if end is None:
            return Expected(why="as long as its budget says")
        left.append(max(0, end - (0 if found is None else found.progress.steps(per_epoch))))
    rows = structure.batch_size
    parts = [(form, size, 1) for form, size in structure.training] if structure.accumulate == 1 else structure.micro_batches(rows)
    of_a_step = sum(count * step_seconds(structure.compiled(form, size).plan, len(members)) for form, size, count in parts)
    total = max(left, default=0) * of_a_step
    for (asked, data, _), steps in zip(members, left, strict=True):
        epochs = -(-steps // max(1, len(data.train) // asked.training.rows))
        batches = -(-len(data.validation) // structure.evaluation_batch) + 1  # and the rows of the training part that are measured
        total += epochs * batches * step_seconds(structure.compiled("evaluate", structure.evaluation_batch).plan, 1)
        total += TRIAL + epochs * EPOCH
    return Expected(seconds=total, most=any(asked.training.early_stopping is not None for asked, *_ in members))


def in_all(parts: Sequence[Expected]) -> Expected:
    """Of stacks that train one after another."""
    unknown = next((part for part in parts if part.seconds is None), None)
    return unknown or Expected(seconds=sum(part.seconds or 0.0 for part in parts), most=any(part.most for part in parts))


def of_all(first: Expected, count: int, jobs: int) -> str:
    """A line for the screen: the first `count` of so many jobs, and all of them."""
    whole = first if first.seconds is None else Expected(seconds=first.seconds * jobs / count, most=first.most)
    if count == jobs or first.seconds is None:
        return f"time        {whole}" if whole.seconds is None else f"time        {whole} for {_jobs(jobs)}"
    return f"time        {first} for the first {count} of {_jobs(jobs)}, {whole} for all of them if the others are like these"


def of_the_rest(seconds: float, left: int) -> str:
    """A line about jobs that train one by one, after one that took so long; empty where it is not worth one."""
    if left * seconds < WORTH:
        return ""
    return f"time        about {said(left * seconds)} for {_jobs(left)} more, if each takes as long as this one"


def said(seconds: float) -> str:
    """Seconds as a person says them of what is not known exactly."""
    return f"{seconds:.1g} s" if seconds < 9.5 else f"{seconds:,.0f} s" if seconds < 600 else f"{seconds / 60:,.0f} min"


def _jobs(count: int) -> str:
    return f"{count:,} job{'s' if count != 1 else ''}"
