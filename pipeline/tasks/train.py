"""task=train: data -> program -> training -> a run folder and its record in MLflow.

What can be refused is refused before the run folder is made: config, tracking store, data, batch size, compilation.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT
from typing import Any

from rich.console import Console

import backends
from pipeline import data, files
from pipeline.compiler import loss_weights
from pipeline.config import spec
from pipeline.config.experiment import Experiment
from pipeline.data.prepared import Prepared, prepared
from pipeline.errors import ConfigError, DivergedError, PipelineError, RunError, Stopped
from pipeline.program.make import compile_experiment
from pipeline.program.model import Model
from pipeline.program.program import Program
from pipeline.recipe.plateau import ReduceOnPlateau, after_epoch
from pipeline.screen.console import console_for, say, say_once
from pipeline.screen.tables import results_table
from pipeline.screen.wording import in_words, newest
from pipeline.tasks import trained
from pipeline.tasks.context import RunContext
from pipeline.tracking import tracker as tracking
from pipeline.tracking.folder import read_info
from pipeline.tracking.journal import Metric, end_of, read_journal
from pipeline.tracking.outbox import WAIT, Sender, open_sender
from pipeline.tracking.store import Store, check
from pipeline.tracking.tracker import Receipt, Tracker
from pipeline.training import budget, checkpoint, loop, metrics, progress
from pipeline.training.checkpoint import Checkpoint, Checkpoints, Stored
from pipeline.training.events import EpochEnded, Event, Noted
from pipeline.training.facts import facts_of
from pipeline.training.interrupt import Interrupt
from pipeline.training.loop import LossSchedule, Outcome
from pipeline.training.scores import confusion

LONGEST_NAME = 80  # characters of a job's overrides in its name

# What may be asked of a run that goes on, and what is taken over for it.
RESUMABLE = {
    "resume": "",
    "task": "",
    "training.epochs": "training.epochs",
    **{f"budget.{name}": f"budget.{name}" for name in ("epochs", "steps", "samples", "seconds")},
    "data.root": "data.root",
    "data.path": "data.path",
    "data.stream": "data.stream",
    "backend": "backend",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a training.

    metrics  name -> value, of the epoch whose weights the program holds, and of the test part; history, of each epoch
    run_id   of MLflow; None without tracking or when the store did not answer in time
    """

    metrics: Mapping[str, float]
    history: tuple[Mapping[str, float], ...]
    run_id: str | None
    folder: Path
    program: Model


def run(experiment: Experiment, config: Mapping[str, Any], context: RunContext, *, quiet: bool = False) -> Result:
    """Trains, or goes on with the training of the run folder `experiment.resume`.  Raises PipelineError, Stopped."""
    console = console_for(quiet=quiet)
    if experiment.resume is None:
        return _Session(experiment, context, console).run()
    folder = trained.find(experiment.resume, experiment, at="resume")
    stored = trained.stored_experiment(folder)
    asked = trained.with_overrides(stored, experiment, context.overrides, RESUMABLE, task="resume")
    return _Session(asked, context, console, folder=folder, changed=asked != stored).run()


class _Session:
    """One training from data to receipt; `folder` is that of the run to go on with."""

    def __init__(
        self, experiment: Experiment, context: RunContext, console: Console, *, folder: Path | None = None, changed: bool = False
    ) -> None:
        self.experiment, self.context, self.console, self.folder, self.changed = experiment, context, console, folder, changed
        self.project = Path.cwd()

    def run(self) -> Result:
        """Trains, tests, tells.  Raises PipelineError, Stopped."""
        found = self._checkpoint()
        sender = self._sender()
        try:
            dataset = data.load(self.experiment.data, seed=self.experiment.seed)
            loop.check(dataset, self.experiment.training, self.experiment.budget)
            self._same_data(dataset, found)
            self._check_budget(dataset, found)
            ready = prepared(dataset, self.experiment.preprocessing, precision=self.experiment.precision)
            program = compile_experiment(self.experiment, ready.shape)
            notes = [*dataset.notes, *ready.notes]
            if program.balance(dataset.train.y):
                notes.append(loss_weights.note(program.class_weights, dataset.class_names))
            if crowded := backends.crowded(program.structure.backend.name, self.experiment.backend.threads):
                notes.append(crowded)
            tracker = self._tracker(sender, dataset, notes, program, found)
            outcome, values = self._recorded(program, ready, notes, tracker, found)
            self._tell(dataset, outcome, values, program, tracker.folder)
            receipt = self._finish(tracker, outcome)
        finally:
            if self.context.senders is None:
                sender.close(0.0)  # what it has not sent yet it sends after us
        run_id = receipt.link.run_id if receipt.link is not None else None
        model = Model(program=program, fitted=ready.fitted, target_scale=ready.target_scale)
        return Result(metrics=values, history=outcome.history, run_id=run_id, folder=tracker.folder, program=model)

    @property
    def _wait(self) -> float:
        """Seconds to wait for MLflow: a sweep waits at its end, not after each job."""
        return WAIT if self.context.sweep is None else 0.0

    def _recorded(
        self, program: Program, ready: Prepared, notes: Sequence[str], tracker: Tracker, found: Checkpoint | None
    ) -> tuple[Outcome, dict[str, float]]:
        """Trains and tests; whatever ends it early is recorded as the end of the run."""
        try:
            outcome, signal = self._train(program, ready, notes, tracker, found)
            if outcome.status == "KILLED":
                raise Stopped(signal or SIGINT, f"{outcome.message}; go on with resume={files.shown(tracker.folder)}")
            values = {**outcome.metrics, **test(program, ready, tracker, outcome.epoch)}
        except DivergedError as error:
            kept = checkpoint.exists(tracker.folder / trained.CHECKPOINTS)
            where = f"; the state before that step is kept in {files.shown(tracker.folder)}" if kept else ""
            told = DivergedError(f"{error}{where}", step=error.step, losses=error.losses)
            self._end(tracker, told)
            raise told from None
        except BaseException as error:
            self._end(tracker, error)
            raise
        return outcome, values

    def _end(self, tracker: Tracker, error: BaseException) -> None:
        """Records what ended the run early."""
        with suppress(PipelineError):  # a full disk must not hide what went wrong first
            tracker.finish(*_status(error), wait=self._wait)

    def _train(
        self, program: Program, ready: Prepared, notes: Sequence[str], tracker: Tracker, found: Checkpoint | None
    ) -> tuple[Outcome, int | None]:
        """The outcome, and the signal that asked for an early end."""
        settings = self.experiment.training
        stored = Stored(arrays=ready.arrays(), facts=facts_of(ready.dataset, program.digest))
        checkpoints = Checkpoints(tracker.folder / trained.CHECKPOINTS, stored=stored, final=settings.final)
        if found is not None:
            program.load_state(found.state)
            self._tell_again(tracker, found)
        if self.folder is not None:
            say(self.console, _begin(found))
        with Interrupt() as interrupt, progress.display(self.console, job=self.context.label, said=self.context.said) as display:
            for note in notes if found is None else ():
                display(Noted(text=note))
            program.prepare(weighted=ready.train.weight is not None)  # outside what the epochs, and a budget of seconds, count
            outcome = loop.train(
                program,
                ready,
                settings,
                seed=self.experiment.seed,
                emit=_both(display, tracker),
                checkpoints=checkpoints,
                progress=None if found is None else found.progress,
                best_state=None if found is None else found.best_state,
                learning_rate=program.learning_rate,
                schedule=_loss_schedule(self.experiment),
                budget=self.experiment.budget,
                stop=interrupt,
            )
        return outcome, interrupt.signal

    def _finish(self, tracker: Tracker, outcome: Outcome) -> Receipt:
        """Ends the record of a run that went well; Ctrl-C now ends only the waiting for MLflow."""
        try:
            receipt = tracker.finish("FINISHED", outcome.message, wait=self._wait)
        except KeyboardInterrupt:
            receipt = Receipt(note="MLflow was not waited for; what it lacks, task=sync sends")
        if receipt.link is not None and self.context.sweep is None:  # a sweep prints the link to all its runs
            say(self.console, f"MLflow      {receipt.link}")
        if receipt.note:
            say_once(self.console, receipt.note, self.context.said or set())
        return receipt

    def _checkpoint(self) -> Checkpoint | None:
        """Where the run to go on with stands; None starts from the first step, as also a run that never saved does."""
        if self.folder is None or not checkpoint.exists(self.folder / trained.CHECKPOINTS):
            return None
        found, settings = checkpoint.load(self.folder / trained.CHECKPOINTS), self.experiment.training
        done, at = found.progress, self._asked
        if settings.epochs is not None and (done.epoch > settings.epochs or (done.epoch == settings.epochs and done.step)):
            raise ConfigError(at="training.epochs", got=settings.epochs, rule=f"the run has trained {done.epoch} epochs", hint="give more")
        end = end_of(read_journal(self.folder))
        if end is None or end.status != "FINISHED":
            return found
        if done.epoch == settings.epochs:
            raise RunError(f"{at}: the run has finished its {done.epoch} epochs; give training.epochs above {done.epoch} to go on")
        if settings.early_stopping is not None and done.waited >= settings.early_stopping.patience:
            best = f"its result is epoch {done.best_epoch}"
            raise RunError(f"{at}: the run stopped early after epoch {done.epoch}, {best}; nothing is left to do")
        return found

    def _check_budget(self, dataset: data.Dataset, found: Checkpoint | None) -> None:
        """Whether the run to go on with has something left of its budget."""
        if found is None:
            return
        settings, allowed, done = self.experiment.training, self.experiment.budget, found.progress
        steps = len(dataset.train.x) // settings.batch_size
        taken, end = done.steps(steps), budget.end(settings, allowed, steps)
        if end.steps is not None and taken > end.steps:
            raise ConfigError(at=end.at, got=end.got, rule=f"the run has taken {taken} steps, and this is {end.steps}", hint="give more")
        spent = budget.spent(end, allowed, steps=taken, seconds=done.spent)
        if spent is not None and not self._unfinished():
            raise RunError(f"{self._asked}: the run has used up {spent}; give more to go on")

    @property
    def _asked(self) -> str:
        """Which run shall go on."""
        assert self.folder is not None
        return f"resume = {files.shown(self.folder)}"

    def _unfinished(self) -> bool:
        """Whether the run to go on with was stopped before its end."""
        assert self.folder is not None
        last = end_of(read_journal(self.folder))
        return last is None or last.status != "FINISHED"

    def _sender(self) -> Sender:
        """Started first, so that it loads MLflow while the data are read.  Raises TrackingError if the store refuses."""
        if self.context.senders is not None:
            return self.context.senders.get(self.experiment.tracking, self.project)
        if self.folder is None:
            return open_sender(self.experiment.tracking, self.project)
        info = read_info(self.folder)
        store = None if info.uri is None else Store(uri=info.uri, experiment=info.experiment, artifacts=info.artifacts)
        if store is not None:
            check(store)
        return Sender(self.project, store)

    def _same_data(self, dataset: data.Dataset, found: Checkpoint | None) -> None:
        if found is not None and found.stored.facts.fingerprint != dataset.fingerprint:
            raise RunError(f"{self._asked}: the data has changed since the run began; restore it, or start a new run")

    def _tracker(self, sender: Sender, dataset: data.Dataset, notes: Sequence[str], program: Program, found: Checkpoint | None) -> Tracker:
        """The last thing before training: makes the run folder, or takes up the one there is."""
        if self.folder is not None:
            tracker = tracking.resume(self.folder, step=0 if found is None else found.progress.epoch, project=self.project, sender=sender)
            if self.changed:
                files.write(self.folder / "config.yaml", tracking.config_text(spec.to_plain(self.experiment)))
                tracker.artifact(self.folder / "config.yaml")
            return tracker
        return tracking.start(
            self.experiment.tracking,
            name=self._name(dataset),
            config=spec.to_plain(self.experiment),
            project=self.project,
            output=self.experiment.output,
            seed=self.experiment.seed,
            tags={
                "pipeline.digest": program.digest,
                "pipeline.data": dataset.name,
                "pipeline.data_fingerprint": dataset.fingerprint,
                "pipeline.data_split": dataset.division,
                "pipeline.parameters": str(parameter_count(program)),
                **({"pipeline.data_notes": "\n".join(notes)} if notes else {}),
            },
            sweep=self.context.sweep,
            job=self.context.job,
            sender=sender,
        )

    def _name(self, dataset: data.Dataset) -> str:
        """The experiment's name (the data's where it has none), and in a sweep what sets the job apart: `digits learning_rate=0.1`."""
        name = self.experiment.tracking.experiment
        name = dataset.name if name == "default" else name
        own = self.context.own
        return name if self.context.job is None else f"{name} {own if 0 < len(own) <= LONGEST_NAME else self.context.job}"

    def _tell_again(self, tracker: Tracker, found: Checkpoint) -> None:
        """Metrics that the checkpoint holds and a crash kept from the journal."""
        told = {event.step for event in read_journal(tracker.folder) if isinstance(event, Metric)}
        for epoch, values in enumerate(found.progress.history, start=1):
            if epoch not in told:
                tracker.metrics(epoch, values)

    def _tell(self, dataset: data.Dataset, outcome: Outcome, values: Mapping[str, float], program: Program, folder: Path) -> None:
        notes = [
            *metrics.left_out(metrics.full(dataset.task, dataset.classes), dataset.test.y, dataset.classes, "test", dataset.class_names),
            "loss/train is the mean over the steps of the epoch, while it was trained; task=evaluate measures it with the final weights",
        ]
        seconds = sum(epoch["time/epoch_s"] for epoch in outcome.history)
        if self.context.said is not None:
            say(self.console, f"{self.context.label}: {in_words(newest(values))}; {outcome.message}; {seconds:.2f} s")
            return
        shown = {key: value for key, value in values.items() if not key.startswith("time/")}
        self.console.print()
        self.console.print(results_table(dataset.name, shown))
        for note in notes:
            say(self.console, f"note: {note}")
        say(self.console, f"{outcome.message}; {seconds:.2f} s, {parameter_count(program):,} parameters")
        say(self.console, f"run folder  {files.shown(folder)}")


def test(program: Program, ready: Prepared, tracker: Tracker, epoch: int) -> dict[str, float]:
    """Every metric of the test part, also to the journal, and its classes as a table in classes.csv; nothing without a test part."""
    part, dataset = ready.test, ready.dataset
    if not len(part):
        return {}
    made, row_loss = program.evaluate(part.x, part.targets, part.weight)
    prediction = ready.own_units(made)
    names = metrics.full(dataset.task, dataset.classes)
    values = metrics.measure(dataset.task, prediction, row_loss, part.y, "test", names)
    tracker.metrics(epoch, values)
    if dataset.task == "classification":
        classes = dataset.class_names
        tracker.confusion(classes, confusion(part.y, prediction.argmax(axis=1), len(classes)), part="test")
        tracker.text("classes.csv", _class_csv(classes, metrics.class_table(prediction, part.y)))
    return values


def _class_csv(names: Sequence[str], rows: Sequence[Mapping[str, float]]) -> str:
    """One line a class of the test part; an empty cell where a metric has no value."""
    text, columns = io.StringIO(), ("precision", "recall", "f1", "roc_auc", "rows")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["class", *columns])
    writer.writerows([name, *(row.get(column, "") for column in columns)] for name, row in zip(names, rows, strict=True))
    return text.getvalue()


def parameter_count(program: Program) -> int:
    """How many numbers are trained."""
    return sum(value.size for value in program.parameters().values())


def _begin(found: Checkpoint | None) -> str:
    """Where a run that was stopped is taken up."""
    if found is None:
        return "no checkpoint was saved yet: trains from the start"
    steps = f" and {found.progress.step} steps of the next" if found.progress.step else ""
    return f"goes on after the checkpoint of epoch {found.progress.epoch}{steps}"


def _loss_schedule(experiment: Experiment) -> LossSchedule | None:
    """The rule of a schedule that watches the loss."""
    schedule = experiment.schedule
    if not isinstance(schedule, ReduceOnPlateau):
        return None
    rate = experiment.optimizer.learning_rate
    return lambda now, loss, steps: after_epoch(schedule, now, loss, steps=steps, learning_rate=rate)


def _both(display: progress.Display, tracker: Tracker) -> Callable[[Event], None]:
    """To the journal first, then to the eye."""

    def emit(event: Event) -> None:
        if isinstance(event, EpochEnded):
            tracker.metrics(event.epoch, event.values)
        display(event)

    return emit


def _status(error: BaseException) -> tuple[Any, str]:
    if isinstance(error, KeyboardInterrupt):
        return "KILLED", str(error) or "stopped by Ctrl-C"
    return "FAILED", str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}"
