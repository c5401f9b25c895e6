"""task=train: data -> program -> training -> a run folder and its record in MLflow.

What can be refused is refused before the run folder is made: config, tracking store, data, batch size, compilation.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from signal import SIGINT
from typing import Any

import numpy as np
from rich.console import Console

import backends
from pipeline import data, files
from pipeline.compiler import loss_weights
from pipeline.config import automatic, spec
from pipeline.config.experiment import Experiment
from pipeline.config.stored import FORK
from pipeline.data.prepared import Prepared, prepared
from pipeline.data.sources.frames import Given
from pipeline.doctor import told
from pipeline.doctor.case import Course
from pipeline.doctor.kept import Kept
from pipeline.errors import DivergedError, Paused, PipelineError, Stopped, sentence
from pipeline.program.make import compile_experiment
from pipeline.program.model import Model
from pipeline.program.program import Program
from pipeline.recipe.averaging import averages, described
from pipeline.recipe.plateau import watching
from pipeline.records import record
from pipeline.screen.console import console_for, say_once
from pipeline.tasks import begin, examined, fork, page, results, resume, served, trained
from pipeline.tasks.context import RunContext
from pipeline.tasks.results import Result
from pipeline.tasks.resume import Beginning
from pipeline.tasks.shelf import Shelf
from pipeline.tracking import tracker as tracking
from pipeline.tracking.folder import read_info
from pipeline.tracking.health import Diagnosis
from pipeline.tracking.journal import damage
from pipeline.tracking.outbox import WAIT, Sender, open_sender
from pipeline.tracking.settings import from_environment
from pipeline.tracking.tracker import Receipt, Tracker
from pipeline.training import checkpoint, fit, loop, progress
from pipeline.training.callbacks import Callbacks
from pipeline.training.checkpoint import State, Stored
from pipeline.training.events import EpochEnded, Event, Noted, Outcome
from pipeline.training.facts import facts_of
from pipeline.training.interrupt import Interrupt
from pipeline.training.saving import Checkpoints
from pipeline.training.steps import Done, Wanted, alone

LONGEST_NAME = 80  # characters of a job's overrides in its name


@record
class Ready:
    """One training whose data are there: it waits for its program; `settled` says what follows the data."""

    begun: Beginning
    context: RunContext
    console: Console
    sender: Sender
    data: Prepared
    settled: tuple[str, ...]

    @property
    def wait(self) -> float:
        """Seconds to wait for MLflow: a sweep waits at its end, not after each job."""
        return WAIT if self.context.sweep is None else 0.0


def run(
    experiment: Experiment, config: Mapping[str, Any], context: RunContext, *, quiet: bool = False, given: Given | None = None
) -> Result:
    """Trains, goes on with the run folder `experiment.resume`, or forks `experiment.run`; on rows in memory where they are `given`.

    Raises PipelineError, Stopped.
    """
    ready = opened(experiment, context, console=console_for(quiet=quiet), given=given)
    try:
        program = compile_experiment(ready.begun.experiment, ready.data.shape)
        return alone(program, steps(ready, program))
    finally:
        close(ready)


def opened(experiment: Experiment, context: RunContext, *, console: Console, given: Given | None = None) -> Ready:
    """All that comes before the program: where the run stands, its data, a sender.  Raises PipelineError; `close` ends it."""
    forks = experiment.task == FORK and experiment.resume is None
    begun = fork.beginning(experiment) if forks else resume.beginning(experiment, context.overrides)
    with ExitStack() as undone:
        if begun.lock is not None:
            undone.callback(begun.lock.release)
        if told := from_environment(begun.tracking or begun.experiment.tracking):
            say_once(console, told, context.said if context.said is not None else set())
        sender = _sender(begun, context)
        undone.callback(_close, sender, context)
        asked, shelf = begun.experiment, context.shelf or Shelf()
        dataset = shelf.dataset(asked) if given is None else data.load(asked.data, seed=asked.seed, given=given)
        asked, settled = automatic.settled(asked, dataset)
        begun = replace(begun, experiment=asked)
        fit.check(dataset, asked.training, asked.budget)
        resume.check_rest(begun, dataset)
        fork.check(begun, dataset)
        rows = shelf.prepared(asked) if given is None else prepared(dataset, asked.preprocessing, precision=asked.precision)
        undone.pop_all()
        return Ready(begun=begun, context=context, console=console, sender=sender, data=rows, settled=tuple(settled))


def close(ready: Ready) -> None:
    """The end of a training, well or not: what its own sender has not sent yet it sends after us."""
    _close(ready.sender, ready.context)
    if ready.begun.lock is not None:
        ready.begun.lock.release()


def _close(sender: Sender, context: RunContext) -> None:
    if context.senders is None:
        sender.close(0.0)


def _sender(begun: Beginning, context: RunContext) -> Sender:
    """Started first, so that it loads MLflow while the data are read.  Raises TrackingError if the store refuses."""
    if context.senders is not None:
        return context.senders.get(begun.experiment.tracking, Path.cwd())
    return open_sender(begun.tracking or begun.experiment.tracking, Path.cwd())


def steps(ready: Ready, program: Program) -> Generator[Wanted, Done, Result]:
    """Trains, tests, tells: yields the steps that `program` is to take, alone or in a stack.  Raises PipelineError, Stopped."""
    dataset, notes = ready.data.dataset, [*ready.data.dataset.notes, *ready.data.notes, *ready.settled]
    if program.balance(dataset.train.y):
        notes.append(loss_weights.note(program.class_weights, dataset.class_names))
    if ready.begun.experiment.backend.kind == "auto":
        notes.append(f"backend={program.backend}")
    free = program.structure.backend.free_bytes()
    if free is not None and (peak := program.structure.peak()) is not None:
        notes.append(f"device memory: {peak / 2**20:,.1f} MiB planned for a trial, {free / 2**20:,.1f} MiB free")
    if crowded := backends.crowded(program.structure.backend.name, ready.begun.experiment.backend.threads):
        notes.append(crowded)
    if program.structure.accumulation:
        notes.append(program.structure.accumulation)
    if averages(program.config.averaging):
        notes.append(described(program.config.averaging))
    if ready.begun.experiment.initialization.from_run is not None and ready.begun.found is None:
        notes.append(begin.take(ready.begun.experiment, program))
    if ready.begun.origin is not None:
        ready = replace(ready, begun=fork.taken(ready.begun, program, ready.data.dataset))
    kept = Kept(program, wanted=examined.wanted(ready.begun.experiment.training, ready.context))
    return (yield from _trained(_Training(ready=ready, program=program, notes=tuple(notes), kept=kept)))


@record
class _Training:
    """One training, ready for its first step; `notes` say what was done to the data and how it is set up, `kept` is for the doctor."""

    ready: Ready
    program: Program
    notes: tuple[str, ...]
    kept: Kept


def _trained(made: _Training) -> Generator[Wanted, Done, Result]:
    """Trains, tests, tells."""
    ready, context = made.ready, made.ready.context
    tracker = _tracker(made)
    context.placed(tracker.folder)
    tracker.sends_log = context.sweep is None
    outcome, values = yield from _recorded(made, tracker)
    course = examined.ended(Course(history=outcome.history, held=outcome.epoch, tested=examined.tested(values)), outcome.message)
    found = _examined(made, tracker, course)
    results.note(tracker, "\n\n".join([outcome.message, *map(told.brief, found)]), values)
    _model(made, tracker)
    results.tell(ready.console, context, ready.data.dataset, made.program, outcome, values, tracker)
    examined.tell(ready.console, tracker, context, found)
    try:
        receipt = tracker.finish("FINISHED", outcome.message, epoch=outcome.epoch, wait=ready.wait)
    except KeyboardInterrupt:  # Ctrl-C now ends only the waiting for MLflow
        receipt = Receipt(note="MLflow was not waited for; what it lacks, task=sync sends")
    results.tell_receipt(ready.console, context, receipt)
    return Result(
        metrics=values,
        epochs=outcome.history,
        message=outcome.message,
        run_id=receipt.link.run_id if receipt.link is not None else None,
        folder=tracker.folder,
        program=Model(
            program=made.program,
            fitted=ready.data.fitted,
            target_scale=ready.data.target_scale,
            known=trained.known_of(facts_of(ready.data.dataset, made.program.digest)),
        ),
    )


def _examined(made: _Training, tracker: Tracker, course: Course) -> tuple[Diagnosis, ...]:
    """What is wrong with the training, by the doctor."""
    ready = made.ready
    anew = ready.begun.origin is None
    course = replace(course, first=tuple(made.kept.first), steps=made.program.steps_done, anew=anew)
    return examined.examine(made.kept, ready.begun.experiment, ready.data, tracker, ready.context, course)


def _model(made: _Training, tracker: Tracker) -> None:
    """The trained model for MLflow; of a sweep that of the best trial is written when that is known."""
    settings, rows = made.ready.begun.tracking or made.ready.begun.experiment.tracking, made.ready.data.dataset.test.x
    alone = made.ready.context.sweep is None
    if tracker.store is None or not (settings.model == "all" or (settings.model == "best" and alone)):
        return
    try:
        folder = served.write(tracker.folder, rows[:1] if isinstance(rows, np.ndarray) or rows.waits else None)
        tracker.model(folder, register=(settings.register or "") if alone else "")
    except (PipelineError, OSError) as error:  # a full disk, say: the run is whole all the same
        say_once(made.ready.console, f"MLflow gets no model: {sentence(error)}", made.ready.context.said or set())


def _recorded(made: _Training, tracker: Tracker) -> Generator[Wanted, Done, tuple[Outcome, dict[str, float]]]:
    """Trains and tests; whatever ends it early is recorded as the end of the run."""
    try:
        outcome, signal = yield from _train(made, tracker)
        if outcome.status == "KILLED" and signal is None and (until := made.ready.context.until) is not None:
            raise Paused(until, outcome.history[until - 1])
        if outcome.status == "KILLED":
            raise Stopped(signal or SIGINT, f"{outcome.message}; go on with resume={files.shown(tracker.folder)}")
        settings = made.ready.begun.experiment.training
        return outcome, {**outcome.metrics, **results.test(made.program, made.ready.data, tracker, outcome.epoch, settings)}
    except DivergedError as error:
        kept = checkpoint.exists(tracker.folder / trained.CHECKPOINTS)
        where = f"; the state before that step is kept in {files.shown(tracker.folder)}" if kept else ""
        told = DivergedError(f"{error}{where}", step=error.step, losses=error.losses)
        course = Course(history=made.kept.history, held=made.kept.epoch + 1, failed=str(error))
        examined.tell(made.ready.console, tracker, made.ready.context, _examined(made, tracker, course))
        _end(made, tracker, told)
        raise told from None
    except BaseException as error:
        _end(made, tracker, error)
        raise


def _end(made: _Training, tracker: Tracker, error: BaseException) -> None:
    """Records what ended the run early."""
    with suppress(PipelineError):  # a full disk must not hide what went wrong first
        tracker.ended_by(error, wait=made.ready.wait)


def _train(made: _Training, tracker: Tracker) -> Generator[Wanted, Done, tuple[Outcome, int | None]]:
    """The outcome, and the signal that asked for an early end."""
    begun, context, program, ready = made.ready.begun, made.ready.context, made.program, made.ready.data
    asked, found = begun.experiment, begun.found
    stored = Stored(arrays=ready.arrays(), facts=facts_of(ready.dataset, program.digest))
    folder, saving = tracker.folder / trained.CHECKPOINTS, asked.training.checkpoints
    checkpoints = Checkpoints(folder, stored=stored, final=asked.training.final, settings=saving)
    start: State | None = program.state() if asked.training.on_divergence == "restore" else None
    if begun.origin is not None or (begun.folder is not None and read_info(begun.folder).origin is not None):
        start = None if found is None or begun.origin is None else found.state  # a fork does not begin where its seed would
    if begun.origin is None:
        made.kept.keep(0)
    if found is not None:
        program.load_state(found.state)
        resume.tell_again(tracker, found)
    if begun.origin is not None and found is not None:
        checkpoints.save(program.state(), found.progress, found.best_state)  # a resumption never begins before it
    if begun.folder is not None or begun.origin is not None:
        for text in filter(None, (begun.where, resume.other_extensions(begun), "" if begun.folder is None else damage(begun.folder))):
            say_once(made.ready.console, text, context.said if context.said is not None else set())
            tracker.log(f"note: {text}")
    shared = context.interrupt
    rung = _Rung(context.until, 0 if found is None else found.progress.epoch)
    shown = progress.display(made.ready.console, job=context.label, said=context.said, bar=shared is None)
    with Interrupt() if shared is None else nullcontext(shared) as interrupt, shown as display:
        for note in made.notes if found is None or begun.origin is not None else ():
            display(Noted(text=note))
            tracker.log(f"note: {note}")
        program.prepare(weighted=ready.train.weight is not None)  # outside what the epochs, and a budget of seconds, count
        steps_of = loop.training(
            program,
            ready,
            asked.training,
            seed=asked.seed,
            emit=_all(display, tracker, context.watch, results.LinkAtStart(made.ready.console, context, tracker), rung, made.kept),
            checkpoints=checkpoints,
            progress=None if found is None else found.progress,
            best_state=None if found is None else found.best_state,
            start_state=start,
            learning_rate=program.learning_rate,
            schedule=watching(asked.schedule, asked.optimizer.learning_rate),
            budget=asked.budget,
            began=context.began,
            stop=lambda: interrupt() or rung.reached,
            callbacks=Callbacks(asked=asked.callbacks, saved={} if found is None else found.progress.callbacks, folder=tracker.folder),
        )
        outcome = yield from made.kept.over(steps_of)
    if program.measured:
        outcome = replace(outcome, message=f"{outcome.message}; {program.measured}")
    return outcome, interrupt.signal


def _tracker(made: _Training) -> Tracker:
    """The last thing before training: makes the run folder, or takes up the one there is."""
    begun, context, dataset, program = made.ready.begun, made.ready.context, made.ready.data.dataset, made.program
    if begun.folder is not None:
        return resume.tracker_of(begun.folder, begun, made.ready.sender, Path.cwd())
    config = spec.to_plain(begun.experiment)
    return tracking.start(
        begun.experiment.tracking,
        name=_name(made),
        config=config,
        project=Path.cwd(),
        output=begun.experiment.output,
        seed=begun.experiment.seed,
        tags={
            "pipeline.digest": program.digest,
            "pipeline.data": dataset.name,
            "pipeline.data_fingerprint": dataset.fingerprint,
            "pipeline.data_split": dataset.division,
            "pipeline.parameters": str(results.parameter_count(program)),
            **({"pipeline.data_notes": "\n".join(made.notes)} if made.notes else {}),
            **({resume.EXTENSIONS: resume.extensions_of(begun.experiment)} if begun.experiment.extensions else {}),
            **({"pipeline.trial": context.trial} if context.trial is not None else {}),
        },
        sweep=context.sweep,
        job=context.job,
        sender=made.ready.sender,
        origin=begun.origin,
        page=page.page(
            config,
            dataset,
            context,
            base=_base(made) if begun.origin is None else f"{_base(made)} fork of {Path(begun.origin.folder).name}",
            parameters=results.parameter_count(program),
            notes=made.notes,
            source=begun.experiment.data.path,
        ),
    )


def _name(made: _Training) -> str:
    """What its folder is called: in a sweep also by what sets the job apart, `digits learning_rate=0.1`."""
    context, origin = made.ready.context, made.ready.begun.origin
    name = _base(made) if origin is None else f"{_base(made)} fork"
    return name if context.job is None else f"{name} {context.own if 0 < len(context.own) <= LONGEST_NAME else context.job}"


def _base(made: _Training) -> str:
    """The experiment's name, the data's where it has none."""
    name = made.ready.begun.experiment.tracking.experiment
    return made.ready.data.dataset.name if name == "default" else name


class _Rung:
    """The epoch at which a training pauses, and whether it is there."""

    def __init__(self, until: int | None, epoch: int) -> None:
        self._until, self.reached = until, until is not None and epoch >= until

    def __call__(self, event: Event) -> None:
        """Takes the events of the training."""
        if isinstance(event, EpochEnded) and self._until is not None:
            self.reached = event.epoch >= self._until


def _all(
    display: progress.Display, tracker: Tracker, watch: Callable[[Event], None], link: results.LinkAtStart, rung: _Rung, kept: Kept
) -> Callable[[Event], None]:
    """To the journal first, then to the log, then to the eye."""
    logged = progress.Epochs(tracker.log)

    def emit(event: Event) -> None:
        if isinstance(event, EpochEnded):
            tracker.metrics(event.epoch, event.values)
        logged(event)
        display(event)
        link.look()
        watch(event)
        rung(event)
        kept(event)

    return emit
