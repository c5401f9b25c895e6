"""The jobs of a sweep, one after another in this process: one that fails is told at once and the others go on.

Hydra composes the configs and walks the grid; what a job returns or raises is kept here, since Hydra would end the sweep.
"""

from __future__ import annotations

import secrets
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from pipeline import tasks
from pipeline.config.arms import ARM, ARMS, check_name
from pipeline.config.compose import asked_overrides, job_number, resolved, run_hydra, sweep_params
from pipeline.config.experiment import Experiment
from pipeline.config.overrides import parsed, planned
from pipeline.config.search import Tried, at_the_end, declared
from pipeline.config.spec import to_plain
from pipeline.errors import PipelineError, complain, sentence
from pipeline.sweeps.jobs import JobResult, SweepResult
from pipeline.tasks.context import RunContext, Senders
from pipeline.tasks.job import described

SOME_FAILED = 3
SWEEPS = Path("runs/sweeps")


class _Refused(BaseException):
    """A mistake that all jobs of a sweep share, told by its first; no Exception, or Hydra would go on with the next job."""

    def __init__(self, error: PipelineError) -> None:
        super().__init__(str(error))
        self.error = error


def run_sweep(flags: list[str], overrides: list[str]) -> int:
    """One run for each combination of values -> exit code.  Raises PipelineError for a mistake that they share."""
    given = [str(parsed(text).value()) for text in overrides if text.startswith("hydra.sweep.dir=")]
    folder = Path(given[-1]) if given else SWEEPS / f"{time.strftime('%Y-%m-%d_%H-%M-%S')}-{secrets.token_hex(2)}"
    placed = [] if given else [f"hydra.sweep.dir={folder}"]
    new = not folder.exists()
    jobs: list[JobResult] = []
    tried: list[Tried] = []
    notes: list[str] = []
    plan: list[dict[str, str]] = []
    senders, said = Senders(), set[str]()

    def job(config: object) -> None:
        if not plan:
            plan.extend(_plan(config, overrides))
            print(f"sweep {folder.name}: {len(plan)} job{'s' if len(plan) > 1 else ''}", flush=True)
        own = asked_overrides()
        varied = tuple(text for text in own if len({job.get(text.partition("=")[0]) for job in plan}) > 1)
        context = RunContext(sweep=folder.name, job=job_number(), overrides=own, varied=varied, senders=senders, said=said)
        jobs.append(_job(config, context, tried))
        notes[:] = _keep(config, jobs[-1], tried)
        if isinstance(jobs[-1].error, KeyboardInterrupt):  # meant for the sweep, not for the job
            raise jobs[-1].error

    stop: KeyboardInterrupt | None = None
    code = 0
    try:
        code = run_hydra([*flags, *overrides, *placed], job)
    except KeyboardInterrupt as interrupt:
        stop = interrupt
    except _Refused as refused:
        raise refused.error from None
    finally:
        started = any(result.experiment is not None for result in jobs)
        if new and not started:  # every job was refused: nothing stays behind
            _remove(folder)
    try:
        if started:
            result = SweepResult(
                id=folder.name, folder=folder, jobs=tuple(jobs), planned=len(plan), stopped=stop is not None, senders=senders
            )
            sweep_finished(result)
        for note in notes:
            print(f"note: {note}", flush=True)
    finally:
        senders.close()
    if stop is not None:
        raise stop
    done = sum(result.error is None for result in jobs)
    return code if done == len(jobs) else SOME_FAILED if done else 1


def sweep_finished(sweep: SweepResult) -> None:
    """Called once when a sweep is over: its table of results and its summary run.  Raises PipelineError."""
    from pipeline.sweeps.finish import finished  # noqa: PLC0415  # the command line starts without it

    finished(sweep)


def _plan(config: object, overrides: Sequence[str]) -> list[dict[str, str]]:
    """The jobs of a sweep, from the config of its first.  Raises _Refused for an arm that the experiment has not."""
    plan = planned(sweep_params(), overrides)
    if len({job.get("experiment") for job in plan}) == 1:  # else each has arms of its own
        arms = cast(Any, config).get(ARMS)
        for name in dict.fromkeys(job[ARM] for job in plan if job.get(ARM, "null") != "null"):
            try:
                check_name(arms, name)
            except PipelineError as error:
                raise _Refused(error) from None
    return plan


def _job(config: object, context: RunContext, tried: Sequence[Tried]) -> JobResult:
    """One job of a sweep, whatever becomes of it; a failure is told at once.  `tried`: the trials of a search before it."""
    began = time.perf_counter()
    experiment: Experiment | None = None
    value: object = None
    failure: BaseException | None = None
    try:
        experiment, plain = described(config, tried)
        if experiment.task != "train":  # a training ends in a line of its own
            print(context.label, flush=True)
        value = tasks.run(experiment, plain, context)
        value = getattr(value, "metrics", value)  # a training's program would keep its memory to the end of the sweep
    except KeyboardInterrupt as stop:
        failure = stop
    except (Exception, SystemExit) as error:
        failure = error
        if not isinstance(error, (PipelineError, OSError)):
            traceback.print_exception(error)
        complain(f"{context.label}: error: {sentence(error)}")
    return JobResult(context=context, experiment=experiment, value=value, error=failure, seconds=time.perf_counter() - began)


def _keep(config: object, job: JobResult, tried: list[Tried]) -> list[str]:
    """Adds what became of a job to the trials of the search, if it is one of them -> what is to be said of the best of them."""
    plain = resolved(config) if job.experiment is not None else {}
    found = declared(plain)
    if found is None or job.experiment is None:
        return []
    from pipeline.sweeps.table import score  # noqa: PLC0415  # the command line starts without it

    search, trial = found
    metrics = job.value if isinstance(job.value, Mapping) else {}
    tried.append(Tried(trial=trial, config=to_plain(job.experiment), score=score(metrics)))
    return at_the_end(search, tried)


def _remove(folder: Path) -> None:
    """Takes back what Hydra wrote for a sweep that cannot start, and the folders that are empty then."""
    (folder / "multirun.yaml").unlink(missing_ok=True)
    for place in (folder, SWEEPS, SWEEPS.parent):
        with suppress(OSError):
            place.rmdir()
