"""Doing a trial in this process: begun, gone on with where it was stopped, and written down how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pipeline import tasks
from pipeline.config.experiment import Experiment
from pipeline.config.sweep_settings import SweepSettings
from pipeline.errors import DivergedError, Paused, RunError, complain, sentence
from pipeline.sweeps.jobs import JobResult, Trial
from pipeline.sweeps.journal import SweepJournal
from pipeline.tasks.context import RunContext
from pipeline.tasks.trained import CHECKPOINTS
from pipeline.tracking.folder import read_info
from pipeline.tracking.journal import FILE
from pipeline.training import checkpoint
from pipeline.training.interrupt import Interrupt

Failed = Callable[[Trial, BaseException], None]


class Doing:
    """Does trials, and keeps a journal of them.

    said       the notes that were said so far: none is said twice
    interrupt  what asks those that train now to stop; None while none does
    failed     told of a trial that failed
    left       how many jobs are to come, where a line shall say how long they will take; None once it was said, and where nobody asks
    judged     what its trials are judged by, where that is still to be held against what they will measure
    """

    def __init__(self, journal: SweepJournal, *, failed: Failed) -> None:
        self.journal, self._failed = journal, failed
        self.said: set[str] = set()
        self.interrupt: Interrupt | None = None
        self.left: int | None = None
        self.judged: SweepSettings | None = None

    @contextmanager
    def asked_by(self, interrupt: Interrupt) -> Iterator[None]:
        """While entered, `interrupt` is what asks the trials to stop."""
        self.interrupt = interrupt
        try:
            yield
        finally:
            self.interrupt = None

    def tell_time(self, line: str) -> None:
        """How long the jobs that are to come will take, said once, where there is anything to say."""
        if line and self.left is not None:
            self.left = None
            print(line, flush=True)

    def asked(self, trial: Trial) -> tuple[Experiment, RunContext]:
        """What its task is given: to go on with the run that was stopped, or to begin one."""
        folder, end = self.journal.runs.get(trial.name), self.journal.ends.get(trial.name)
        number = trial.context.job or 0

        def begun(folder: Path) -> None:
            self.journal.run(trial.name, number, folder)

        context = replace(trial.context, trial=trial.name, began=time.monotonic(), placed=begun, said=self.said, until=trial.until)
        stands = end is None or end["status"] in ("killed", "paused")
        if folder is not None and folder.is_dir() and stands and self._whole(folder, trial):
            return replace(trial.experiment, resume=str(folder)), replace(context, overrides=())
        return trial.experiment, context

    def _whole(self, folder: Path, trial: Trial) -> bool:
        """Whether a run that was stopped can go on; one that a power cut has torn is begun anew, which is told."""
        try:
            read_info(folder)
            if checkpoint.exists(folder / CHECKPOINTS):
                checkpoint.load(folder / CHECKPOINTS)
            return (folder / FILE).exists()
        except RunError as error:
            if (told := f"note: {trial.context.label} is begun anew: {sentence(error)}") not in self.said:
                self.said.add(told)
                complain(told)
            return False

    def over(self, trial: Trial, value: object, error: BaseException | None) -> JobResult:
        """Writes down how a trial ended, and tells a failure."""
        if isinstance(error, Paused):
            self.journal.end(trial.name, "paused", error.metrics, str(error))
            return result_of(trial, error.metrics, None, rung=error.epoch)
        metrics = getattr(value, "metrics", value)  # a training's program would keep its memory to the end of the sweep
        told = metrics if isinstance(metrics, Mapping) else {}
        self.journal.end(trial.name, status_of(error), told, sentence(error) if error else "")
        if error is not None and not isinstance(error, KeyboardInterrupt):
            self._failed(trial, error)
        return result_of(trial, metrics, error)

    def run_alone(self, trial: Trial) -> JobResult:
        """Lets its task do one trial."""
        trial = replace(trial, began=time.perf_counter())
        try:
            if trial.experiment.task != "train":  # a training ends in a line of its own
                print(trial.context.label, flush=True)
            experiment, context = self.asked(trial)
            value = tasks.run(experiment, trial.plain, context)
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            return self.over(trial, None, error)
        return self.over(trial, value, None)


def status_of(error: BaseException | None) -> str:
    """How a trial ended, in the words of the journal."""
    if error is None:
        return "finished"
    return "killed" if isinstance(error, KeyboardInterrupt) else "diverged" if isinstance(error, DivergedError) else "failed"


def result_of(trial: Trial, value: object, error: BaseException | None, *, found: bool = False, rung: int | None = None) -> JobResult:
    """What came of a trial."""
    return JobResult(
        context=trial.context,
        experiment=trial.experiment,
        trial=trial.name,
        value=value,
        error=error,
        seconds=time.perf_counter() - trial.began,
        found=found,
        rung=rung,
    )
