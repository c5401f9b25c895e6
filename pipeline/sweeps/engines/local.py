"""sweep.engine=local: in this process, stack by stack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.config.sweep_settings import SweepSettings
from pipeline.sweeps.doing import Doing
from pipeline.sweeps.jobs import JobResult, Trial


def run(doing: Doing, trials: Sequence[Trial], settings: SweepSettings) -> Iterator[JobResult]:
    """Trains the trials together where they can, or one by one where that is asked for."""
    if settings.stack and len(trials) > 1:
        from pipeline.sweeps.together import run_together  # noqa: PLC0415  # one trial alone needs no stacks

        yield from run_together(doing, trials)
        return
    for trial in trials:
        result = doing.run_alone(trial)
        yield result
        if isinstance(result.error, KeyboardInterrupt) or (result.error is not None and settings.on_error == "stop"):
            return
