"""The jobs of a sweep, each met once: run by an engine, gone on with where they were stopped, or only read where they are over."""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from pipeline import tasks
from pipeline.config.jobs import Composed, Composing
from pipeline.config.sweep_settings import SweepSettings
from pipeline.errors import ConfigError, DataError, DivergedError, PipelineError, complain, sentence
from pipeline.sweeps.again import command_of
from pipeline.sweeps.doing import Doing, result_of
from pipeline.sweeps.engines import engine
from pipeline.sweeps.jobs import Job, JobResult, Trial
from pipeline.sweeps.journal import PRUNED, SweepJournal, identity
from pipeline.tasks.context import RunContext, Senders
from pipeline.tasks.job import described
from pipeline.tracking.journal import Journal, Tags, read_journal, series
from pipeline.tracking.store import locate

if TYPE_CHECKING:
    from pipeline.tasks.shelf import Shelf


class Worker:
    """Works through jobs, `count` in all; `stops`: a failure has stopped the sweep; `first`: job -> an earlier one of the same values."""

    def __init__(self, *, journal: SweepJournal, senders: Senders | None, shelf: Shelf, count: int = 0) -> None:
        self.journal, self.senders, self.shelf = journal, senders, shelf
        self.doing = Doing(journal, failed=self._failed)
        self._sweep = SweepSettings()  # of the jobs that are done now
        self.stops = False
        self.count = count
        self.first: dict[int, int] = {}
        self._told: Counter[str] = Counter()  # how often each error came
        self._numbers: dict[str, int] = {}  # trial -> the job that it was first met in
        self._values: dict[str, set[str | None]] = {}  # path -> what it is in the jobs so far
        self._planned = 0
        self._timed = False  # how long all will take was said with the first batch
        self._twice = 0  # jobs of the batch whose values another had

    def plan(self, jobs: Sequence[Job]) -> None:
        """Takes note of jobs that are to be done: what they differ in is how each is called."""
        for job in jobs:
            own = job.values
            for path in own.keys() - self._values.keys():
                self._values[path] = {None} if self._planned else set()
            for path, met in self._values.items():
                met.add(own.get(path))
            self._planned += 1

    def work(self, jobs: Sequence[Job], configs: Composing, until: Mapping[int, int] = MappingProxyType({})) -> Iterator[JobResult]:
        """Does the jobs; a failure is told at once, and whether the others go on, `sweep.on_error` says.

        until  job -> the epoch at which it pauses
        """
        yield from self._batch([(job, self._composed(job, configs)) for job in jobs], until)
        if self.stops:
            complain("the sweep stops at its first failure, as sweep.on_error = stop asks")

    def prune(self, result: JobResult, rung: int, why: str) -> None:
        """Writes down, in the journal and for MLflow, that a trial stays at the rung to which it came."""
        folder, end = self.journal.runs[result.trial], self.journal.ends.get(result.trial)
        if end is not None and end["status"] == "pruned":
            return
        self.journal.end(result.trial, "pruned", result.value if isinstance(result.value, Mapping) else {}, why)
        with closing(Journal(folder)) as journal:
            journal.write(Tags(values={PRUNED: str(rung), f"{PRUNED}_because": why}))
        assert result.experiment is not None
        store = locate(result.experiment.tracking, Path.cwd())
        if store is not None and self.senders is not None:
            self.senders.get(result.experiment.tracking, Path.cwd()).add(folder, store)

    def context(self, job: Job) -> RunContext:
        """What its task is told of a job."""
        varied = tuple(text for text in job.asked if len(self._values.get(text.partition("=")[0], ())) > 1)
        return RunContext(
            sweep=str(self.journal.head["id"]),
            job=job.number,
            overrides=job.asked,
            varied=varied,
            senders=self.senders,
            said=self.doing.said,
            shelf=self.shelf,
        )

    def _batch(self, batch: Sequence[tuple[Job, Composed | JobResult]], until: Mapping[int, int]) -> list[JobResult]:
        """The jobs of a batch, in their order."""
        results: dict[int, JobResult] = {}
        waiting: list[Trial] = []
        settings = [made.sweep for _, made in batch if isinstance(made, Composed)] or [self._sweep]
        self._sweep = replace(settings[0], stack=all(one.stack for one in settings), dry_run=any(one.dry_run for one in settings))
        for job, made in batch:
            met = self._met(job, made, until.get(job.number)) if isinstance(made, Composed) else made
            if isinstance(met, JobResult):
                results[job.number] = met
            elif met is not None:
                waiting.append(met)
        self._tell_how_many()
        if self._twice > 1:
            complain(f"note: {self._twice - 1} more {'have' if self._twice > 2 else 'has'} the values of others, too")
        self._twice = 0
        if self._sweep.dry_run:
            refused = [result for result in (*results.values(), *self._show(waiting)) if result.error is not None and not result.found]
            self._tell_how_many()
            return refused
        self.doing.left = None if self._timed else len(waiting) + max(0, self.count - self._planned)
        self._timed = True
        for result in self._run(waiting):
            results[result.context.job or 0] = result
        self._tell_how_many()
        return [results[number] for number in sorted(results)]

    def _show(self, trials: Sequence[Trial]) -> list[JobResult]:
        """Names the trials that are left, and says how they would be run -> what is said of those that could not be."""
        from pipeline.sweeps.together import show_together  # noqa: PLC0415  # the command line starts without it

        for trial in trials:
            standing = "goes on" if self.doing.asked(trial)[0].resume is not None else "is new"
            print(f"{trial.context.label}, trial {trial.name}: {standing}", flush=True)
        if not self._sweep.stack:
            return []
        return show_together(self.doing, [trial for trial in trials if tasks.is_training(trial.experiment)])

    def _run(self, trials: Sequence[Trial]) -> Iterator[JobResult]:
        """Does the trials, those that fail again as often as `sweep.on_error` says."""
        left, tries = list(trials), self._sweep.retries
        while left:
            by_name, again = {trial.name: trial for trial in left}, []
            for result in self._once(left):
                if self.stops and isinstance(result.error, KeyboardInterrupt):
                    continue  # stopped because another failed: not over
                if tries and _may_pass(result.error):
                    complain(f"{result.context.label}: is tried again, {tries} more time{'s' if tries > 1 else ''} at most")
                    again.append(by_name[result.trial])
                    continue
                yield result
            left, tries = [] if self.stops else again, tries - 1

    def _once(self, trials: Sequence[Trial]) -> Iterator[JobResult]:
        """Trainings by the engine, the rest here; nothing after a stop."""
        trainings = [trial for trial in trials if tasks.is_training(trial.experiment)]
        stopped = False
        if trainings:
            self.shelf.plan(trial.experiment for trial in trainings)
            for result in engine(self._sweep)(self.doing, trainings, self._sweep):
                yield result
                stopped = stopped or isinstance(result.error, KeyboardInterrupt)
        for trial in [] if stopped or self.stops else [trial for trial in trials if trial not in trainings]:
            result = self.doing.run_alone(trial)
            yield result
            if self.stops or isinstance(result.error, KeyboardInterrupt):
                return

    def _composed(self, job: Job, configs: Composing) -> Composed | JobResult:
        try:
            return configs.of(job.texts)
        except Exception as error:
            return self.refused(job, error)

    def _met(self, job: Job, made: Composed, until: int | None) -> Trial | JobResult | None:
        """The trial of a job, or what came of it where it is over; None where its values are those of an earlier job."""
        context = self.context(job)
        try:
            experiment, plain = described(made.plain())
        except Exception as error:
            return self.refused(job, error)
        name = identity(experiment)
        if self._numbers.get(name, job.number) != job.number:
            self.first[job.number] = self._numbers[name]
            self._twice += 1
            if self._twice == 1:
                complain(f"note: {context.label} has the values of job {self._numbers[name]}, which is run once")
            return None
        self._numbers[name] = job.number
        began = time.perf_counter()
        trial = Trial(context=context, experiment=experiment, plain=plain, name=name, began=began, until=until, texts=job.texts)
        end, folder = self.journal.ends.get(name), self.journal.runs.get(name)
        if end is None or folder is None or not folder.is_dir():
            return trial
        if until is not None and end["status"] in ("finished", "paused", "pruned"):
            values = series(read_journal(folder))
            there = {metric: curve[until] for metric, curve in values.items() if until in curve}
            if there:  # it has been at this rung
                return result_of(trial, there, None, found=True, rung=until)
        if end["status"] not in ("finished", "diverged"):
            return trial
        diverged = DivergedError(str(end["message"])) if end["status"] == "diverged" else None
        return result_of(trial, None if diverged else end["metrics"], diverged, found=True)

    def refused(self, job: Job, error: BaseException) -> JobResult:
        """What came of a job whose values are refused, which is told, with the command that has them."""
        context = self.context(job)
        self._tell(context, error)
        return JobResult(context=context, experiment=None, error=error)

    def _failed(self, trial: Trial, error: BaseException) -> None:
        """Tells at once that a trial failed, and how it is run again by itself; stops the others where that is asked for."""
        self._tell(trial.context, error)
        if self._sweep.on_error == "stop":
            self.stops = True
            if self.doing.interrupt is not None:
                self.doing.interrupt.ask()

    def _tell(self, context: RunContext, error: BaseException) -> None:
        """Says what went wrong with a job, a mistake of ours with its traceback, and how it is run again: what jobs share is said once."""
        told = sentence(error)
        self._told[told] += 1
        if self._told[told] > 1:
            return
        if not isinstance(error, (PipelineError, OSError)):
            traceback.print_exception(error)
        complain(f"{context.label}: error: {told}")
        complain(f"this one again: {command_of(context, self.journal.head.get('flags', ()))}")

    def _tell_how_many(self) -> None:
        for told, count in self._told.items():
            if count > 1:
                complain(f"{count - 1} more job{'s' if count > 2 else ''}: the same error")
            self._told[told] = 1


def _may_pass(error: BaseException | None) -> bool:
    """Whether what went wrong may go well another time: the same values, data and program give the same again."""
    return isinstance(error, Exception) and not isinstance(error, (ConfigError, DataError, DivergedError))
