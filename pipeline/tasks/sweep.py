"""The end of a sweep."""

from __future__ import annotations

from pipeline.tasks.context import SweepResult


def finished(sweep: SweepResult) -> None:
    """Says how many jobs of the sweep are done."""
    done = sum(job.error is None for job in sweep.jobs)
    print(f"sweep {sweep.id}: {done} of {len(sweep.jobs)} jobs done", flush=True)
