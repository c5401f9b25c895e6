"""A search at work: points are asked for, run, judged, and told; at rungs the worse of them stop, so that their places are free.

Points are written into the journal of the sweep before they are run.  A search that goes on reads them there, finds what came of them,
and asks from where it stood: since nothing else is kept, it has the points of a search that was never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.config.jobs import Composing
from pipeline.config.searched import Asked
from pipeline.config.sweep_settings import SweepSettings
from pipeline.search.border import on_the_border
from pipeline.search.halving import Bracket, brackets, going_on
from pipeline.search.parameters import Point
from pipeline.search.points import ask, start
from pipeline.search.told import Told
from pipeline.sweeps.jobs import Job, JobResult
from pipeline.sweeps.journal import SweepJournal
from pipeline.sweeps.objective import Objective, objectives
from pipeline.sweeps.work import Worker
from pipeline.tracking.journal import read_journal, series


@dataclass(eq=False)
class Searching:
    """One command's work on a search.

    settings  how points are judged
    config    digest of what all jobs have in common, where no command line says it
    planned   the jobs of the points so far
    told      what came of those that are over
    """

    asked: Asked
    settings: SweepSettings = SweepSettings()  # noqa: RUF009  # frozen
    config: str = ""
    planned: list[Job] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    _objectives: tuple[Objective, ...] = ()
    _journal: SweepJournal = field(init=False)

    @property
    def runs(self) -> int:
        """How many jobs a point has."""
        return len(self.asked.repeats)

    @property
    def count(self) -> int:
        """How many jobs there will be."""
        return self.runs * (self.asked.search.trials or len(ask(self.asked.search, self.asked.parameters, ())))

    def said(self) -> list[str]:
        """What is searched, in words."""
        search, runs = self.asked.search, f", {self.runs} runs of each" if self.runs > 1 else ""
        stages = f" in {search.stages} stages" if search.stages > 1 else ""
        lines = [f"search: {search.method}, {self.count // self.runs} points{stages}{runs}{start(search, self.asked.parameters)}"]
        lines += [f"  {each.said}" for each in self.asked.parameters]
        return lines + [f"note: {path} is given one value and not searched" for path in self.asked.fixed]

    def described(self) -> dict[str, Any]:
        """What makes it this search."""
        return {**self.asked.described(), **({"config": self.config} if self.config else {})}

    def results(self, worker: Worker, configs: Composing) -> Iterator[JobResult]:
        """Does the search, batch by batch -> what came of each job that is over.  Raises ConfigError."""
        self._journal = worker.journal
        while points := self._points():
            first = len(self.told)
            jobs = [[self._job(first + k, point, run) for run in range(self.runs)] for k, point in enumerate(points)]
            made = {job.number: job for own in jobs for job in own}
            self.planned += made.values()
            worker.plan(list(made.values()))
            results: dict[int, JobResult] = {}
            rungs: dict[int, int] = {}
            stopped = False
            for wave, until in self._waves(first, points, results, rungs, worker, configs):
                for result in worker.work([made[number] for number in wave], configs, until):
                    results[result.context.job or 0] = result
                    stopped = stopped or isinstance(result.error, KeyboardInterrupt)
                stopped = stopped or worker.stops or self.settings.dry_run
                if stopped:
                    break
            yield from (results[number] for number in sorted(results))
            if self.settings.dry_run and len(self.planned) < self.count:
                print("note: later points follow from the results of these", flush=True)
            if stopped:
                return
            self.told += [self._told(first + k, point, results, rungs.get(first + k)) for k, point in enumerate(points)]

    def notes(self) -> tuple[str, ...]:
        """What is to be said of the best point."""
        return tuple(on_the_border(self.asked.parameters, self.told))

    def _points(self) -> list[Point]:
        """The next points: those that the journal has, or new ones."""
        first = len(self.told)
        if first in self._journal.points:
            return self._journal.points[first]
        points = ask(self.asked.search, self.asked.parameters, self.told)
        if points:
            self._journal.asked_for(first, points)
        return points

    def _job(self, number: int, point: Point, run: int) -> Job:
        return Job(number=number * self.runs + run, texts=self.asked.texts(point, run))

    def _jobs(self, number: int) -> range:
        return range(number * self.runs, (number + 1) * self.runs)

    def _waves(
        self,
        first: int,
        points: Sequence[Point],
        results: Mapping[int, JobResult],
        rungs: dict[int, int],
        worker: Worker,
        configs: Composing,
    ) -> Iterator[tuple[list[int], dict[int, int]]]:
        """The jobs that go on, and the epoch at which each pauses, from rung to rung; what is stopped at one is put into `rungs`."""
        epochs = self._epochs(configs) if self.asked.search.prune != "none" else None
        found = brackets(self.asked.search, first, first + len(points), epochs)
        alive = {bracket: list(range(bracket.first, bracket.end)) for bracket in found}
        for turn in range(max(len(bracket.rungs) for bracket in found) + 1):
            until = {bracket: bracket.rungs[turn] for bracket in found if turn < len(bracket.rungs)}
            going = {number: until.get(bracket) for bracket in found if turn <= len(bracket.rungs) for number in alive[bracket]}
            jobs = [job for number in going for job in self._jobs(number)]
            yield jobs, {job: rung for number, rung in going.items() if rung is not None for job in self._jobs(number)}
            for bracket, rung in until.items():
                alive[bracket] = self._going_on(bracket, alive[bracket], rung, results, rungs, worker)

    def _going_on(
        self, bracket: Bracket, here: Sequence[int], rung: int, results: Mapping[int, JobResult], rungs: dict[int, int], worker: Worker
    ) -> list[int]:
        """The points that go on from a rung, in the order of their numbers; the others are stopped there."""
        scores = [self._score(number, results) for number in here]
        best = [here[place] for place in going_on(scores, self.asked.search.eta)]
        left = [number for number in here if any(self._at_a_rung(results.get(job)) for job in self._jobs(number))]
        stopped = [number for number in left if number not in best]
        for number in stopped:
            rungs[number] = rung
            place = 1 + sum(other < scores[here.index(number)] for other in scores)
            for job in self._jobs(number):
                if job in results and self._at_a_rung(results[job]):
                    worker.prune(results[job], rung, f"{place} of {len(here)} by {self._objectives[0].metric} after epoch {rung}")
        points = f"{len(here)} point{'s' if len(here) != 1 else ''}"
        print(f"rung of epoch {rung}: {points}, of which {len(left) - len(stopped)} go on", flush=True)
        return [number for number in left if number in best]

    @staticmethod
    def _at_a_rung(result: JobResult | None) -> bool:
        return result is not None and result.rung is not None

    def _epochs(self, configs: Composing) -> int | str | None:
        """How many epochs the trials have, as the config says it."""
        training = configs.of(self.planned[-1].texts).plain().get("training")
        return training.get("epochs") if isinstance(training, Mapping) else None

    def _told(self, number: int, point: Point, results: Mapping[int, JobResult], rung: int | None) -> Told:
        scores = tuple(self._score(number, results, which) for which in range(max(1, len(self._objectives))))
        if not any(job in results for job in self._jobs(number)):  # its values were those of an earlier point
            same = next((each for each in self.told if each.point == point), None)
            return replace(same, point=point) if same is not None else Told(point=point, scores=scores)
        rungs = {rung: scores[0]} if rung is not None and math.isfinite(scores[0]) else {}
        return Told(point=point, scores=scores, rung=rung, rungs=rungs)

    def _score(self, number: int, results: Mapping[int, JobResult], which: int = 0) -> float:
        """The mean over the runs of a point, less being better; infinite where one of them has none."""
        found = [results[job] for job in self._jobs(number) if job in results]
        scores = [self._value(result, which) for result in found]
        return math.fsum(scores) / len(scores) if scores else math.inf

    def _value(self, result: JobResult, which: int) -> float:
        metrics = result.value if isinstance(result.value, Mapping) else None
        if result.error is not None or metrics is None:
            return float(result.value) if isinstance(result.value, int | float) else math.inf
        if not self._objectives:
            self._objectives = objectives(self.settings, metrics)
        objective = self._objectives[which]
        curve = {}
        if objective.best and result.trial in self._journal.runs:
            curve = series(read_journal(self._journal.runs[result.trial])).get(objective.metric, {})
            curve = {epoch: value for epoch, value in curve.items() if result.rung is None or epoch <= result.rung}
        return objective.score(objective.value(metrics, curve))
