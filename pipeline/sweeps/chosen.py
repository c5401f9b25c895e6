"""Sweeps whose trials a sweeper of others chooses, one batch after the other: hydra/sweeper=ax, nevergrad, ...

Each job gives back what is less where it is better: the loss or the error of the validation part, or minus its accuracy; infinity for a
trial that failed, which such a sweeper takes for a very bad one.  With hydra/launcher=stacked a batch trains together; with another
launcher each job makes its order itself, in a process that knows the folder of the sweep and no more.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.config.compose import asked_overrides, job_config, job_number
from pipeline.config.jobs import Composing, launcher, sweeper
from pipeline.config.launchers import sweep
from pipeline.config.overrides import forgiving
from pipeline.config.sweep_settings import SweepSettings, taken_out
from pipeline.errors import PipelineError, RunError, complain, sentence
from pipeline.records import record
from pipeline.sweeps.engines.driver import Given, new_order, no_more_orders
from pipeline.sweeps.engines.hydra_jobs import here, looked_at
from pipeline.sweeps.engines.orders import do, order_of, trial_of
from pipeline.sweeps.jobs import Job, JobResult, Trial
from pipeline.sweeps.journal import FILE, ORDERS, SweepJournal, identity
from pipeline.sweeps.objective import objectives
from pipeline.sweeps.work import Worker
from pipeline.tasks.context import RunContext
from pipeline.tasks.job import described
from pipeline.tracking.journal import read_journal, series


class _Enough(Exception):
    """A failure stops the sweep: raised through the sweeper, which cannot be asked to stop."""


class Chosen:
    """A source of jobs (pipeline/sweeps/source.py) that another sweeper chooses; `space` is what it chooses from, as it was asked for."""

    def __init__(self, overrides: Sequence[str], space: Mapping[str, str]) -> None:
        self.planned: list[Job] = []
        self.settings = SweepSettings()
        self._overrides, self._space = overrides, dict(space)

    @property
    def count(self) -> int:
        """Of those chosen so far."""
        return len(self.planned)

    def said(self) -> list[str]:
        """See Source."""
        return [f"hydra/sweeper={sweeper()} chooses its jobs"]

    def described(self) -> dict[str, Any]:
        """See Source."""
        return self._space

    def notes(self) -> tuple[str, ...]:
        """See Source."""
        return ()

    def results(self, worker: Worker, configs: Composing) -> Iterator[JobResult]:
        """Lets the sweeper choose jobs until it has enough.  What a sweeper has had done before it breaks stands."""
        together, orders = _Together(worker, configs, self), _Orders(worker, self)
        folder = worker.journal.folder
        job = _Elsewhere(
            folder=str(folder.absolute()),
            project=str(Path.cwd()),
            sweep=worker.journal.head["id"],
            settings=self.settings,
            giver=here(),
        )
        stop: BaseException | None = None
        broken: list[JobResult] = []
        with looked_at(orders) as results:
            try:
                sweep(together if launcher() == "stacked" else job, self._overrides, folder=folder)
            except (_Enough, KeyboardInterrupt) as end:
                stop = end
            except Exception as error:
                told = RunError(f"hydra/sweeper = {sweeper()}: {sentence(error)}")
                complain(f"error: {told}")
                broken = [JobResult(context=RunContext(sweep=job.sweep), experiment=None, error=told)]
        yield from (*together.results, *results, *orders.rest(), *broken)
        if isinstance(stop, KeyboardInterrupt):
            raise stop


class _Together:
    """What hydra/launcher=stacked is given: trains a batch of jobs in this process, or where sweep.engine says."""

    def __init__(self, worker: Worker, configs: Composing, source: Chosen) -> None:
        self._worker, self._configs, self._source = worker, configs, source
        self.results: list[JobResult] = []
        self._values: dict[int, float] = {}

    def __call__(self, config: object) -> float:
        """What Hydra asks of a job function; the launcher calls `together`."""
        raise AssertionError("a batch of jobs is trained together")

    def together(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[float]:
        """The value of each job of the batch.  Raises PipelineError for overrides that cannot be read."""
        jobs = [Job(number=first + at, texts=tuple(forgiving(texts, several=False))) for at, texts in enumerate(job_overrides)]
        self._source.planned += jobs
        self._worker.plan(jobs)
        for result in self._worker.work(jobs, self._configs):
            self.results.append(result)
            self._values[result.context.job or 0] = value_of(
                result.value, self._source.settings, self._worker.journal.runs.get(result.trial)
            )
            if isinstance(result.error, KeyboardInterrupt):
                raise result.error
        if self._worker.stops:
            raise _Enough
        return [self._values[self._worker.first.get(job.number, job.number)] for job in jobs]


@record
class _Elsewhere:
    """The job of a launcher of others: makes an order of its config, and does it, unless its trial is over."""

    folder: str
    project: str
    sweep: str
    settings: SweepSettings
    giver: tuple[str, int]

    def __call__(self, config: object) -> float:
        """The value of its trial."""
        folder, project, number = Path(self.folder), Path(self.project), job_number()
        asked = asked_overrides()
        try:
            experiment, plain = described(taken_out(job_config(config))[0])
        except PipelineError as error:
            with closing(SweepJournal(folder, project=project, file=f"{ORDERS}/{number}-refused.jsonl")) as journal:
                journal.write("refused", job=number, overrides=list(asked), message=str(error))
            return math.inf
        context = RunContext(sweep=self.sweep, job=number, overrides=asked)
        trial = Trial(context=context, experiment=experiment, plain=plain, name=identity(experiment), began=0.0)
        order = new_order(folder, self.sweep, [trial], stack=False)
        end, run = _end(folder / FILE, trial.name)
        with closing(SweepJournal(folder, project=project, file=order.file)) as journal:
            journal.write("order", text=order.text())
            if end is not None:
                journal.write("found", trial=trial.name)
        if end is None:
            do(order, apart=self.giver != here())
            end, run = _end(order.path, trial.name)
        return value_of(end and end["metrics"], self.settings, None if run is None else project / run)


class _Orders:
    """The orders that jobs of others made, as the driver of the sweep meets them."""

    def __init__(self, worker: Worker, source: Chosen) -> None:
        self._worker, self._source = worker, source
        self._met: dict[str, Given | None] = {}
        self._results: list[JobResult] = []

    def __iter__(self) -> Iterator[Given]:
        """Those known by now, new ones first met."""
        for path in sorted((self._worker.journal.folder / ORDERS).glob("*.jsonl")):
            if path.name not in self._met:
                self._meet(path)
        return iter([order for order in self._met.values() if order is not None])

    def _meet(self, path: Path) -> None:
        files.check_kept(path, inside=self._worker.journal.folder)
        text = path.read_bytes().partition(b"\n")
        if not text[1]:
            return  # its first line is being written
        event = json.loads(text[0])
        if event["event"] == "refused":
            self._met[path.name] = None
            self._results.append(self._worker.refused(self._job(event["job"], event["overrides"]), PipelineError(event["message"])))
            path.unlink()
            return
        order = order_of(event["text"])
        made = trial_of(order.trials[0], order, self._worker.senders)
        job = self._job(made.context.job or 0, made.context.overrides)
        trial = Trial(context=self._worker.context(job), experiment=made.experiment, plain=made.plain, name=made.name, began=made.began)
        self._met[path.name] = Given(self._worker.doing, order, [trial], read=0)

    def _job(self, number: int, overrides: Sequence[str]) -> Job:
        job = Job(number=number, texts=tuple(overrides))
        self._source.planned.append(job)
        self._worker.plan([job])
        return job

    def rest(self) -> Iterator[JobResult]:
        """What is left when the sweeper is done: refusals, and jobs whose process died."""
        yield from self._results
        for order in self._met.values():
            if order is not None:
                order.close()
                if order.left:
                    yield order.lost(1)
        no_more_orders(self._worker.journal.folder)


def value_of(metrics: object, settings: SweepSettings, folder: Path | None) -> float:
    """What a job gives back: the first of what trials are judged by, less being better; infinite for one that failed."""
    if not isinstance(metrics, Mapping):
        return math.inf
    objective = objectives(settings, metrics)[0]
    curve = series(read_journal(folder)).get(objective.metric, {}) if objective.best and folder is not None else {}
    return objective.score(objective.value(metrics, curve))


def _end(path: Path, trial: str) -> tuple[dict[str, Any] | None, str | None]:
    """How a trial ended, by the journal at `path`, None where it did not or may do better another time; and its run folder."""
    found, run = None, None
    for line in path.read_bytes().splitlines():
        with suppress(ValueError):
            event = json.loads(line)
            if event.get("trial") == trial and event["event"] == "run":
                found, run = None, event["folder"]
            elif event.get("trial") == trial and event["event"] == "end":
                found = event if event["status"] in ("finished", "diverged") else None
    metrics = {} if found is None else {name: float(value) for name, value in found["metrics"].items()}
    return None if found is None else {**found, "metrics": metrics or None}, run
