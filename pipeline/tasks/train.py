"""task=train: data -> program -> training -> a run folder and its record in MLflow.

What can be refused is refused before the run folder is made: config, tracking store, data, batch size, compilation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from signal import SIGINT
from typing import Any

from rich.console import Console

import backends
from pipeline import data, files
from pipeline.compiler import loss_weights
from pipeline.config import automatic, spec
from pipeline.config.experiment import Experiment
from pipeline.data.frames import Given
from pipeline.data.prepared import Prepared, prepared
from pipeline.errors import DivergedError, PipelineError, Stopped
from pipeline.program.make import compile_experiment
from pipeline.program.model import Model
from pipeline.program.program import Program
from pipeline.recipe.plateau import ReduceOnPlateau, after_epoch
from pipeline.records import record
from pipeline.screen.console import console_for, say
from pipeline.tasks import results, resume, trained
from pipeline.tasks.context import RunContext
from pipeline.tasks.results import Result
from pipeline.tasks.resume import Beginning
from pipeline.tracking import tracker as tracking
from pipeline.tracking.journal import damage
from pipeline.tracking.outbox import WAIT, Sender, open_sender
from pipeline.tracking.tracker import Receipt, Tracker
from pipeline.training import checkpoint, loop, progress
from pipeline.training.checkpoint import Checkpoints, Stored
from pipeline.training.events import EpochEnded, Event, Noted
from pipeline.training.facts import facts_of
from pipeline.training.interrupt import Interrupt
from pipeline.training.loop import LossSchedule, Outcome

LONGEST_NAME = 80  # characters of a job's overrides in its name


@record
class _Training:
    """One training, ready for its first step; `notes` say what was done to the data and how it is set up."""

    begun: Beginning
    context: RunContext
    console: Console
    ready: Prepared
    program: Program
    notes: tuple[str, ...]

    @property
    def wait(self) -> float:
        """Seconds to wait for MLflow: a sweep waits at its end, not after each job."""
        return WAIT if self.context.sweep is None else 0.0


def run(
    experiment: Experiment, config: Mapping[str, Any], context: RunContext, *, quiet: bool = False, given: Given | None = None
) -> Result:
    """Trains, or goes on with the training of the run folder `experiment.resume`; on rows in memory where they are `given`.

    Raises PipelineError, Stopped.
    """
    console = console_for(quiet=quiet)
    with ExitStack() as last:
        begun = resume.beginning(experiment, context.overrides)
        if begun.lock is not None:
            last.callback(begun.lock.release)
        sender = _sender(begun, context)
        if context.senders is None:
            last.callback(sender.close, 0.0)  # what it has not sent yet it sends after us
        return _trained(_made(begun, context, console, given), sender)


def _sender(begun: Beginning, context: RunContext) -> Sender:
    """Started first, so that it loads MLflow while the data are read.  Raises TrackingError if the store refuses."""
    if context.senders is not None:
        return context.senders.get(begun.experiment.tracking, Path.cwd())
    return open_sender(begun.tracking or begun.experiment.tracking, Path.cwd())


def _made(begun: Beginning, context: RunContext, console: Console, given: Given | None) -> _Training:
    """Data and program, or a refusal."""
    asked = begun.experiment
    dataset = data.load(asked.data, seed=asked.seed, given=given)
    asked, settled = automatic.settled(asked, dataset)
    begun = replace(begun, experiment=asked)
    loop.check(dataset, asked.training, asked.budget)
    resume.check_rest(begun, dataset)
    ready = prepared(dataset, asked.preprocessing, precision=asked.precision)
    program = compile_experiment(asked, ready.shape)
    notes = [*dataset.notes, *ready.notes, *settled]
    if program.balance(dataset.train.y):
        notes.append(loss_weights.note(program.class_weights, dataset.class_names))
    if crowded := backends.crowded(program.structure.backend.name, asked.backend.threads):
        notes.append(crowded)
    return _Training(begun=begun, context=context, console=console, ready=ready, program=program, notes=tuple(notes))


def _trained(made: _Training, sender: Sender) -> Result:
    """Trains, tests, tells."""
    tracker = _tracker(made, sender)
    outcome, values = _recorded(made, tracker)
    results.tell(made.console, made.context, made.ready.dataset, made.program, outcome, values, tracker.folder)
    try:
        receipt = tracker.finish("FINISHED", outcome.message, wait=made.wait)
    except KeyboardInterrupt:  # Ctrl-C now ends only the waiting for MLflow
        receipt = Receipt(note="MLflow was not waited for; what it lacks, task=sync sends")
    results.tell_receipt(made.console, made.context, receipt)
    return Result(
        metrics=values,
        history=outcome.history,
        run_id=receipt.link.run_id if receipt.link is not None else None,
        folder=tracker.folder,
        program=Model(
            program=made.program,
            fitted=made.ready.fitted,
            target_scale=made.ready.target_scale,
            known=trained.known_of(facts_of(made.ready.dataset, made.program.digest)),
        ),
    )


def _recorded(made: _Training, tracker: Tracker) -> tuple[Outcome, dict[str, float]]:
    """Trains and tests; whatever ends it early is recorded as the end of the run."""
    try:
        outcome, signal = _train(made, tracker)
        if outcome.status == "KILLED":
            raise Stopped(signal or SIGINT, f"{outcome.message}; go on with resume={files.shown(tracker.folder)}")
        return outcome, {**outcome.metrics, **results.test(made.program, made.ready, tracker, outcome.epoch)}
    except DivergedError as error:
        kept = checkpoint.exists(tracker.folder / trained.CHECKPOINTS)
        where = f"; the state before that step is kept in {files.shown(tracker.folder)}" if kept else ""
        told = DivergedError(f"{error}{where}", step=error.step, losses=error.losses)
        _end(made, tracker, told)
        raise told from None
    except BaseException as error:
        _end(made, tracker, error)
        raise


def _end(made: _Training, tracker: Tracker, error: BaseException) -> None:
    """Records what ended the run early."""
    with suppress(PipelineError):  # a full disk must not hide what went wrong first
        tracker.ended_by(error, wait=made.wait)


def _train(made: _Training, tracker: Tracker) -> tuple[Outcome, int | None]:
    """The outcome, and the signal that asked for an early end."""
    begun, program, ready = made.begun, made.program, made.ready
    asked, found = begun.experiment, begun.found
    stored = Stored(arrays=ready.arrays(), facts=facts_of(ready.dataset, program.digest))
    checkpoints = Checkpoints(tracker.folder / trained.CHECKPOINTS, stored=stored, final=asked.training.final)
    if found is not None:
        program.load_state(found.state)
        resume.tell_again(tracker, found)
    if begun.folder is not None:
        for text in filter(None, (begun.where, damage(begun.folder))):
            say(made.console, text)
    with Interrupt() as interrupt, progress.display(made.console, job=made.context.label, said=made.context.said) as display:
        for note in made.notes if found is None else ():
            display(Noted(text=note))
        program.prepare(weighted=ready.train.weight is not None)  # outside what the epochs, and a budget of seconds, count
        outcome = loop.train(
            program,
            ready,
            asked.training,
            seed=asked.seed,
            emit=_both(display, tracker),
            checkpoints=checkpoints,
            progress=None if found is None else found.progress,
            best_state=None if found is None else found.best_state,
            learning_rate=program.learning_rate,
            schedule=_loss_schedule(asked),
            budget=asked.budget,
            began=made.context.began,
            stop=interrupt,
        )
    return outcome, interrupt.signal


def _tracker(made: _Training, sender: Sender) -> Tracker:
    """The last thing before training: makes the run folder, or takes up the one there is."""
    begun, dataset, program = made.begun, made.ready.dataset, made.program
    if begun.folder is not None:
        return resume.tracker_of(begun.folder, begun, sender, Path.cwd())
    return tracking.start(
        begun.experiment.tracking,
        name=_name(made),
        config=spec.to_plain(begun.experiment),
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
        },
        sweep=made.context.sweep,
        job=made.context.job,
        sender=sender,
    )


def _name(made: _Training) -> str:
    """The experiment's name (the data's where it has none), and in a sweep what sets the job apart: `digits learning_rate=0.1`."""
    name = made.begun.experiment.tracking.experiment
    name = made.ready.dataset.name if name == "default" else name
    own = made.context.own
    return name if made.context.job is None else f"{name} {own if 0 < len(own) <= LONGEST_NAME else made.context.job}"


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
