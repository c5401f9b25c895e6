"""Doing the jobs of a sweep: trained together or alone, gone on with where they were stopped, or only read where they are over."""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import tasks
from pipeline.config.experiment import Experiment
from pipeline.config.jobs import Composed, Configs
from pipeline.config.search import Search, Tried, stage_of
from pipeline.config.spec import to_plain
from pipeline.errors import DivergedError, PipelineError, complain, sentence
from pipeline.sweeps.jobs import Job, JobResult, Trial
from pipeline.sweeps.journal import SweepJournal, identity
from pipeline.tasks.context import RunContext, Senders
from pipeline.tasks.job import described

if TYPE_CHECKING:
    from pipeline.tasks.shelf import Shelf


class Worker:
    """Does jobs; `tried` are those of them that were trials of a search, each with that search."""

    def __init__(self, *, journal: SweepJournal, planned: Sequence[Job], senders: Senders | None, shelf: Shelf) -> None:
        self.journal, self.senders, self.shelf = journal, senders, shelf
        self.tried: list[tuple[Search, Tried]] = []
        self.said: set[str] = set()
        self._told: Counter[str] = Counter()  # how often each refusal came
        self._numbers: dict[str, int] = {}  # trial -> the job that it was first met in
        values = [job.values for job in planned]
        self._varied = {path for own in values for path in own if len({other.get(path) for other in values}) > 1}

    def work(self, jobs: Sequence[Job], configs: Configs) -> Iterator[JobResult]:
        """Does the jobs; a failure is told at once, and whether the others go on, `sweep.on_error` says.

        Those of one stage of a search go together: their values do not wait for each other's results.
        """
        composed = ((job, self._composed(job, configs)) for job in jobs)
        for _, group in groupby(composed, key=lambda pair: _batch(pair[1])):
            batch = list(group)
            results = self._batch(batch)
            yield from results
            if any(isinstance(result.error, KeyboardInterrupt) for result in results):
                return
            stops = any(isinstance(made, Composed) and made.sweep.on_error == "stop" for _, made in batch)
            if stops and any(result.error is not None for result in results):
                complain("the sweep stops at its first failure, as sweep.on_error = stop asks")
                return

    def context(self, job: Job) -> RunContext:
        """What its task is told of a job."""
        varied = tuple(text for text in job.asked if text.partition("=")[0] in self._varied)
        return RunContext(
            sweep=str(self.journal.head["id"]),
            job=job.number,
            overrides=job.asked,
            varied=varied,
            senders=self.senders,
            said=self.said,
            shelf=self.shelf,
        )

    def over(self, trial: Trial, value: object, error: BaseException | None) -> JobResult:
        """Writes down how a trial ended, and tells a failure."""
        metrics = getattr(value, "metrics", value)  # a training's program would keep its memory to the end of the sweep
        told = metrics if isinstance(metrics, Mapping) else {}
        self.journal.end(trial.name, _status(error), told, sentence(error) if error else "")
        if error is not None and not isinstance(error, KeyboardInterrupt):
            _tell(trial.context, error)
        return _kept(trial, JobResult(context=trial.context, experiment=trial.experiment, trial=trial.name, value=metrics, error=error))

    def asked(self, trial: Trial) -> tuple[Experiment, RunContext]:
        """What its task is given: to go on with the run that was stopped, or to begin one."""
        folder, end = self.journal.runs.get(trial.name), self.journal.ends.get(trial.name)
        number = trial.context.job or 0

        def begun(folder: Path) -> None:
            self.journal.run(trial.name, number, folder)

        context = replace(trial.context, trial=trial.name, began=time.monotonic(), placed=begun)
        if folder is not None and folder.is_dir() and (end is None or end["status"] == "killed"):
            return replace(trial.experiment, resume=str(folder)), replace(context, overrides=())
        return trial.experiment, context

    def _batch(self, batch: Sequence[tuple[Job, Composed | JobResult]]) -> list[JobResult]:
        """The jobs of a batch, in their order."""
        results: dict[int, JobResult] = {}
        waiting: list[Trial] = []
        stacks, dry = True, False
        for job, made in batch:
            met = self._met(job, made) if isinstance(made, Composed) else made
            if isinstance(made, Composed):
                stacks, dry = stacks and made.sweep.stack, dry or made.sweep.dry_run
            if isinstance(met, JobResult):
                results[job.number] = met
            elif met is not None:
                waiting.append(met)
        for count in self._told.values():
            if count > 1:
                complain(f"{count - 1} more job{'s' if count > 2 else ''}: the same error")
        self._told.clear()
        if dry:
            self._show(waiting, stacks=stacks)
            return []
        for result in self._run(waiting, stacks=stacks):
            results[result.context.job or 0] = result
        ordered = [results[number] for number in sorted(results)]
        self.tried += [(made.search[0], _tried(made.search[1], made)) for made in ordered if made.search is not None]
        return ordered

    def _show(self, trials: Sequence[Trial], *, stacks: bool) -> None:
        """Names the trials that are left, and says how they would be run."""
        from pipeline.sweeps.together import show_together  # noqa: PLC0415  # the command line starts without it

        for trial in trials:
            standing = "goes on" if self.asked(trial)[0].resume is not None else "is new"
            print(f"{trial.context.label}, trial {trial.name}: {standing}", flush=True)
        if stacks:
            show_together(self, [trial for trial in trials if tasks.is_training(trial.experiment)])

    def _run(self, trials: Sequence[Trial], *, stacks: bool) -> Iterator[JobResult]:
        trainings = [trial for trial in trials if tasks.is_training(trial.experiment)]
        if stacks and len(trainings) > 1:
            from pipeline.sweeps.together import run_together  # noqa: PLC0415  # the command line starts without it

            stopped = False
            for result in run_together(self, trainings):
                yield result
                stopped = stopped or isinstance(result.error, KeyboardInterrupt)
            trials = [] if stopped else [trial for trial in trials if trial not in trainings]
        for trial in trials:
            result = self.run_alone(trial)
            yield result
            if isinstance(result.error, KeyboardInterrupt):
                return

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

    def _composed(self, job: Job, configs: Configs) -> Composed | JobResult:
        try:
            return configs.of(job.texts)
        except Exception as error:
            return self._refused(job, error)

    def _met(self, job: Job, made: Composed) -> Trial | JobResult | None:
        """The trial of a job, or what came of it where it is over; None where its values are those of an earlier job."""
        context = self.context(job)
        try:
            experiment, plain = described(made.plain([each for _, each in self.tried]))
        except Exception as error:
            return self._refused(job, error)
        name = identity(experiment)
        if name in self._numbers:
            complain(f"note: {context.label} has the values of job {self._numbers[name]}, which is run once")
            return None
        self._numbers[name] = job.number
        trial = Trial(context=context, experiment=experiment, plain=plain, name=name, began=time.perf_counter(), searched=made.searched)
        end, folder = self.journal.ends.get(name), self.journal.runs.get(name)
        if end is None or folder is None or not folder.is_dir() or end["status"] not in ("finished", "diverged"):
            return trial
        diverged = DivergedError(str(end["message"])) if end["status"] == "diverged" else None
        value = None if diverged else end["metrics"]
        found = JobResult(context=context, experiment=experiment, trial=name, value=value, error=diverged, found=True)
        return _kept(trial, found)

    def _refused(self, job: Job, error: BaseException) -> JobResult:
        context, told = self.context(job), sentence(error)
        self._told[told] += 1
        if self._told[told] == 1:  # what all jobs share is said once
            _tell(context, error)
        return JobResult(context=context, experiment=None, error=error)


def _kept(trial: Trial, result: JobResult) -> JobResult:
    return replace(result, search=trial.searched, seconds=time.perf_counter() - trial.began)


def _batch(made: Composed | JobResult) -> tuple[bool, int]:
    """Jobs that follow each other and have this in common do not wait for each other."""
    if isinstance(made, JobResult) or made.searched is None:
        return False, 0
    return True, stage_of(*made.searched)


def _status(error: BaseException | None) -> str:
    if error is None:
        return "finished"
    return "killed" if isinstance(error, KeyboardInterrupt) else "diverged" if isinstance(error, DivergedError) else "failed"


def _tell(context: RunContext, error: BaseException) -> None:
    """Says at once what went wrong with a job; a mistake of ours with its traceback."""
    if not isinstance(error, (PipelineError, OSError)):
        traceback.print_exception(error)
    complain(f"{context.label}: error: {sentence(error)}")


def _tried(trial: int, result: JobResult) -> Tried:
    """A job as the later stages of its search see it."""
    from pipeline.sweeps.table import score  # noqa: PLC0415  # the command line starts without it

    assert result.experiment is not None
    metrics = result.value if isinstance(result.value, Mapping) else {}
    return Tried(trial=trial, config=to_plain(result.experiment), score=score(metrics))
