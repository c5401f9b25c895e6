"""sweep.engine=local: in this process, stack by stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pipeline.config.sweep_settings import SweepSettings
from pipeline.sweeps.doing import Doing
from pipeline.sweeps.expected import of_the_rest
from pipeline.sweeps.jobs import JobResult, Trial
from pipeline.sweeps.objective import objectives


def run(doing: Doing, trials: Sequence[Trial], settings: SweepSettings) -> Iterator[JobResult]:
    """Trains the trials together where they can, or one by one where that is asked for.  Raises ConfigError for an unknown metric."""
    if settings.stack and len(trials) > 1:
        from pipeline.sweeps.together import run_together  # noqa: PLC0415  # one trial alone needs no stacks

        yield from run_together(doing, trials)
        return
    for over, trial in enumerate(trials, start=1):
        result = doing.run_alone(trial)
        yield result
        if isinstance(result.error, KeyboardInterrupt) or (result.error is not None and settings.on_error == "stop"):
            return
        if doing.judged is not None and isinstance(result.value, Mapping):
            objectives(doing.judged, result.value)  # a metric that there is not is told after the first, not after all
            doing.judged = None
        if doing.left is not None and result.error is None:
            doing.tell_time(of_the_rest(result.seconds, doing.left - over))
