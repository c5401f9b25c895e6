"""The training loop: epochs of many-step calls, validation, early stopping, checkpoints, events.  It knows no config file and no tracking.

It is a coroutine: `training` yields the steps that it wants taken and is sent their losses, so that one loop serves a program alone
(`train`) and the programs of a stack, whose steps are taken together.

The order of epoch e is permutation(seed, ORDER, e, N); its first floor(N / B) * B rows are trained, in chunks of about a tenth of a
second, so that Ctrl-C is prompt.  The split into chunks changes no bit of the result.
"""

# N rows, B batch size, S steps of an epoch
from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipeline import random
from pipeline.data import Dataset
from pipeline.data.prepared import Prepared
from pipeline.errors import ConfigError, DataError, RunError
from pipeline.recipe.course import Course
from pipeline.recipe.plateau import Plateau
from pipeline.training import budget as budgets
from pipeline.training import metrics
from pipeline.training.blocks import Blocks, Feed
from pipeline.training.budget import Budget, End
from pipeline.training.checkpoint import Progress, State
from pipeline.training.events import Advanced, EpochEnded, Event, Noted, Saved, Started
from pipeline.training.saving import Checkpoints
from pipeline.training.scores import undefined
from pipeline.training.settings import EarlyStopping, Training
from pipeline.training.steps import Taken, Trainable, driven

Array = npt.NDArray[Any]
LossSchedule = Callable[[Plateau, float, int], Plateau]  # (where it stands, loss of the epoch, steps in all) -> where it stands then
CHUNK_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How training ended.  status KILLED: a stop was asked for.  metrics: of the epoch whose weights the program now holds."""

    status: Literal["FINISHED", "KILLED"]
    history: tuple[Mapping[str, float], ...]
    metrics: Mapping[str, float]
    epoch: int
    best_epoch: int
    message: str


Steps = Generator[Feed, Taken, Outcome]


def check(dataset: Dataset, settings: Training, budget: Budget = Budget()) -> None:  # noqa: B008  # frozen
    """Whether `settings` fit the data.  Raises DataError or ConfigError."""
    budgets.check(settings, budget)
    rows = len(dataset.train.x)
    if settings.batch_size > rows:
        rule = f"larger than the {rows} rows of the training part; use at most {rows}"
        raise DataError(f"training.batch_size = {settings.batch_size}: {rule}")
    metrics.check_names(settings.metrics or (), dataset.task, dataset.classes, at="training.metrics")
    if settings.early_stopping is not None:
        _check_watched(dataset, settings.early_stopping.metric)


def _check_watched(dataset: Dataset, metric: str) -> None:
    """Whether early stopping can watch `metric`: a loss, or what can be measured on the validation part."""
    at, (name, _, part) = "training.early_stopping.metric", metric.partition("/")
    known = ("loss/train", *(f"{n}/validation" for n in ("loss", *metrics.full(dataset.task, dataset.classes))))
    if metric == "loss/train":
        return
    if metric != "loss/validation":
        metrics.check_name(name if part == "validation" else metric, dataset.task, dataset.classes, at=at, got=metric, known=known)
    if len(dataset.validation.x) == 0:
        hint = "set data.split.validation above 0 or use loss/train"
        raise ConfigError(at=at, got=metric, rule="the validation part is empty", hint=hint)
    reason = undefined(name, dataset.validation.y, dataset.classes, dataset.class_names)
    if reason is not None:
        hint = "use another metric, or a larger data.split.validation"
        raise ConfigError(at=at, got=metric, rule=f"has no value on the validation part, as {reason}", hint=hint)


def training(
    program: Trainable,
    data: Prepared,
    settings: Training,
    *,
    seed: int,
    emit: Callable[[Event], None],
    checkpoints: Checkpoints | None = None,
    progress: Progress | None = None,
    best_state: State | None = None,
    learning_rate: Callable[[int], float] | None = None,
    schedule: LossSchedule | None = None,
    budget: Budget = Budget(),  # noqa: B008  # frozen
    began: float | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Steps:
    """The training of `program` on `data.train`, which says to `emit` how it goes.

    progress, best_state   from a checkpoint, to go on from it; the program already holds its state
    learning_rate          the learning rate at a step, for the record
    schedule               lowers the learning rate when the loss stops falling
    budget                 what ends the training beside settings.epochs; it may end within an epoch, and a later call go on there
    began                  when the command began, by time.monotonic; None: now
    stop                   asked after every chunk; when true, a checkpoint is written and the outcome is KILLED
    Raises DataError, ConfigError (see `check`), RunError (a checkpoint that cannot be written) and DivergedError.
    """
    check(data.dataset, settings, budget)
    now = progress or Progress()
    loop = _Loop(
        program=program,
        data=data,
        settings=settings,
        seed=seed,
        emit=emit,
        checkpoints=checkpoints,
        progress=now,
        clock=_clock(now.spent, time.monotonic() if began is None else began),
        best_state=best_state,
        learning_rate=learning_rate,
        schedule=schedule,
        budget=budget,
        stop=stop,
    )
    return loop.run()


train = driven(training)


def _clock(before: float, began: float) -> Callable[[], float]:
    """Seconds of all commands that worked on the run."""
    return lambda: before + time.monotonic() - began


@dataclass(slots=True, kw_only=True)
class _Loop:
    """One call of `training`: what it was given, where it stands, and `chunk`, the steps of the next call."""

    program: Trainable
    data: Prepared
    settings: Training
    seed: int
    emit: Callable[[Event], None]
    checkpoints: Checkpoints | None
    progress: Progress
    best_state: State | None
    learning_rate: Callable[[int], float] | None
    schedule: LossSchedule | None
    budget: Budget
    clock: Callable[[], float]
    stop: Callable[[], bool]
    chunk: int = 1
    unsaved: bool = False

    @property
    def dataset(self) -> Dataset:
        return self.data.dataset

    @property
    def rows(self) -> int:
        return len(self.dataset.train)

    @property
    def steps(self) -> int:
        return self.rows // self.settings.batch_size

    @property
    def end(self) -> End:
        return budgets.end(self.settings, self.budget, self.steps)

    @property
    def course(self) -> Course:
        return Course(total_steps=self.end.steps or 0, steps_per_epoch=self.steps, plateau=self.progress.plateau)

    @property
    def watched(self) -> EarlyStopping:
        """What the best epoch is judged by; without early stopping it is only kept, never gone back to."""
        default = EarlyStopping(metric="loss/validation" if len(self.dataset.validation) else "loss/train")
        return self.settings.early_stopping or default

    @property
    def measured(self) -> tuple[str, ...]:
        """The metrics of each epoch: those asked for, and the one that early stopping watches."""
        asked, task = self.settings.metrics, self.dataset.task
        names = metrics.EACH_EPOCH[task] if asked is None else tuple(n for n in asked if n != "loss")  # the loss is always there
        name, _, part = self.watched.metric.partition("/")
        return names if part == "train" or name == "loss" or name in names else (*names, name)

    def run(self) -> Steps:
        total, done = self.end.steps, self.progress
        self.program.follow(self.course)
        epochs = None if total is None else -(-total // self.steps)
        self.emit(Started(epochs=epochs, total=total, steps_per_epoch=self.steps, epoch=done.epoch, step=done.step))
        self._note_left_out()
        self._note_first_limit()
        if self.progress.epoch == 0:
            validation = self.dataset.validation
            for text in metrics.left_out(self.measured, validation.y, self.dataset.classes, "validation", self.dataset.class_names):
                self.emit(Noted(text=text))
        blocks = Blocks(self.data.train, self._order, epochs=epochs, steps=self.steps, batch=self.settings.batch_size)
        try:
            return (yield from self._run(blocks))
        finally:
            blocks.close()
            if self.checkpoints is not None:
                self.checkpoints.wait()

    def _run(self, blocks: Blocks) -> Steps:
        while not self._complete():
            if not (yield from self._train_epoch(blocks)):
                return self._stopped()
            if self.progress.step < self.steps:  # the budget ends within the epoch
                break
            self._end_epoch()
            self._save_when_due()
            if self.stop() and not self._complete():
                return self._stopped()
        self._save()
        return self._finished()

    def _note_left_out(self) -> None:
        batch = self.settings.batch_size
        left_out = self.rows - self.steps * batch
        if left_out:
            self.emit(Noted(text=f"each epoch leaves out {left_out} of {self.rows} rows, others each time: they fill no batch of {batch}"))

    def _note_first_limit(self) -> None:
        counted = any(limit is not None for limit in (self.budget.epochs, self.budget.steps, self.budget.samples))
        if counted and self.end.at == "training.epochs":
            text = f"{self.end.text} ends the training before the budget does, after {self.end.steps} steps"
            self.emit(Noted(text=f"{text}; training.epochs=null leaves the end to the budget"))

    def _complete(self) -> bool:
        return self._spent() is not None or self._out_of_patience()

    def _spent(self) -> str | None:
        """The limit that is reached, as the config has it."""
        done = self.progress
        return budgets.spent(self.end, self.budget, steps=done.steps(self.steps), seconds=self.clock())

    def _out_of_patience(self) -> bool:
        return self.settings.early_stopping is not None and self.progress.waited >= self.settings.early_stopping.patience

    def _order(self, epoch: int) -> npt.NDArray[np.int64]:
        """The rows of each step of `epoch` [S, B]."""
        order = random.permutation(self.seed, random.ORDER, epoch, self.rows)
        return order[: self.steps * self.settings.batch_size].reshape(self.steps, self.settings.batch_size)

    def _train_epoch(self, blocks: Blocks) -> Generator[Feed, Taken, bool]:
        """Trains the steps left of the epoch, or of the budget -> False when it was asked to stop."""
        last = self.steps if self.end.steps is None else min(self.steps, self.end.steps - self.progress.epoch * self.steps)
        while self.progress.step < self.steps and self._spent() is None:
            start = time.perf_counter()
            feed = blocks.feed(self.progress.epoch, self.progress.step, self._next(last))
            waited = time.perf_counter() - start
            taken = yield feed
            seconds = waited + taken.seconds
            self._advance(taken.losses, seconds)
            if taken.error is not None:
                with suppress(RunError):  # a full disk must not hide what went wrong first
                    self._save()  # the state before the step that could not be taken
                raise taken.error
            self.chunk = max(1, min(int(len(taken.losses) * CHUNK_SECONDS / max(seconds, 1e-9)), 8 * self.chunk))
            self.emit(Advanced(epoch=self.progress.epoch + 1, step=self.progress.step))
            if self.stop():
                return False
            if self.progress.step < last:
                self._save_when_due()
        return True

    def _next(self, last: int) -> int:
        """How many steps the next call takes: no more than to the next checkpoint that is counted in steps."""
        done = self.progress
        until = None if self.checkpoints is None else self.checkpoints.until(done.steps(self.steps))
        return min(self.chunk, last - done.step, *(() if until is None else (until,)))

    def _advance(self, losses: Sequence[float] | npt.NDArray[Any], seconds: float) -> None:
        """Notes the steps that gave `losses`."""
        now = self.progress
        together = np.concatenate([now.losses, np.asarray(losses, np.float64)])
        self.progress = replace(now, step=now.step + len(losses), losses=together, seconds=now.seconds + seconds)

    def _values(self) -> dict[str, float]:
        """The metrics of the epoch, as far as it is trained."""
        start, progress = time.perf_counter(), self.progress
        values = {"loss/train": float(np.mean(progress.losses))}
        validation = self.data.validation
        if len(validation.x):
            made, row_loss = self.program.evaluate(validation.x, validation.targets, validation.weight)
            prediction, task = self.data.own_units(made), self.dataset.task
            values |= metrics.measure(task, prediction, row_loss, validation.y, "validation", self.measured)
        if self.learning_rate is not None:
            values["learning_rate"] = self.learning_rate(progress.steps(self.steps) - 1)
        values["time/epoch_s"] = progress.seconds + time.perf_counter() - start
        return values

    def _end_epoch(self) -> None:
        """Validates, keeps the best weights and closes the epoch."""
        progress, values = self.progress, self._values()
        epoch, value = progress.epoch + 1, values.get(self.watched.metric, float("nan"))
        best = metrics.better(self.watched.metric, value, progress.best, self.watched.min_delta)
        standing: dict[str, Any] = {"best": value, "best_epoch": epoch, "waited": 0} if best else {"waited": progress.waited + 1}
        if best and self.settings.checkpoints.best:
            self.best_state = self.program.state()
        history = progress.history.plus(values)
        self.progress = replace(progress, epoch=epoch, step=0, losses=np.zeros(0), seconds=0.0, history=history, **standing)
        self.emit(EpochEnded(epoch=epoch, values=values, best=best))
        self._watch_plateau(values)
        if best:
            self.progress = replace(self.progress, best_plateau=self.progress.plateau)

    def _watch_plateau(self, values: Mapping[str, float]) -> None:
        """Lowers the learning rate of the next epochs where the schedule says so."""
        if self.schedule is None:
            return
        watched = "loss/validation" if len(self.dataset.validation) else "loss/train"
        before, steps = self.progress.plateau, self.progress.epoch * self.steps
        now = self.schedule(before, values[watched], steps)
        self.progress = replace(self.progress, plateau=now)
        self.program.follow(self.course)
        if now.scale != before.scale:
            rate = "" if self.learning_rate is None else f" to {self.learning_rate(steps):g}"
            self.emit(Noted(text=f"learning rate lowered{rate} after epoch {self.progress.epoch}: {watched} has not fallen"))

    def _save_when_due(self) -> None:
        """Begins a checkpoint where it is time, and says what came of the one before."""
        if self.checkpoints is None:
            return
        match self.checkpoints.finished():
            case RunError() as error:
                self._say_unsaved(error)
            case Path() as path:
                self.unsaved = False
                self.emit(Saved(path=path))
        if self.checkpoints.due(self.progress.steps(self.steps)):
            since = time.monotonic()
            self.checkpoints.begin(self.program.state(), replace(self.progress, spent=self.clock()), self.best_state, since=since)

    def _say_unsaved(self, error: RunError) -> None:
        """Once, until one is written again."""
        if not self.unsaved:
            self.emit(Noted(text=f"no checkpoint was written, and the one before it is kept; training goes on: {error}"))
        self.unsaved = True

    def _save(self) -> None:
        if self.checkpoints is not None:
            progress = replace(self.progress, spent=self.clock())
            self.emit(Saved(path=self.checkpoints.save(self.program.state(), progress, self.best_state)))

    def _stopped(self) -> Outcome:
        self._save()
        done = self.progress
        where = f"in epoch {done.epoch + 1} after {done.step} of {self.steps} steps" if done.step else f"after epoch {done.epoch}"
        return self._outcome("KILLED", done.epoch, f"stopped {where}")

    def _finished(self) -> Outcome:
        progress, epoch, message = self.progress, self.progress.epoch, self._trained()
        if progress.step:
            # after the checkpoint, which goes on within the epoch: a part of an epoch is measured, but is no candidate for the best
            epoch, values = epoch + 1, self._values()
            self.progress = replace(progress, history=progress.history.plus(values))
            self.emit(EpochEnded(epoch=epoch, values=values, best=False))
        if self.settings.final == "best" and self.best_state is not None:
            self.program.load_state(self.best_state)
            epoch = progress.best_epoch
            message = f"{message}; the weights are those of epoch {epoch}, the best by {self.watched.metric}"
        return self._outcome("FINISHED", epoch, message)

    def _trained(self) -> str:
        """How far training went, and what ended it where that is not training.epochs."""
        done, spent = self.progress, self._spent()
        if spent is None:
            return f"stopped early after epoch {done.epoch}"
        parts = [f"{done.epoch} epoch{'s' if done.epoch != 1 else ''}"] if done.epoch or not done.step else []
        parts += [f"{done.step} of the {self.steps} steps of {'the next' if parts else 'an epoch'}"] if done.step else []
        return f"trained {' and '.join(parts)}" + ("" if spent.startswith("training.") else f", to the end of {spent}")

    def _outcome(self, status: Literal["FINISHED", "KILLED"], epoch: int, message: str) -> Outcome:
        history = tuple(self.progress.history)
        values = history[epoch - 1] if epoch else {}
        return Outcome(status=status, history=history, metrics=values, epoch=epoch, best_epoch=self.progress.best_epoch, message=message)
