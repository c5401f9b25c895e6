"""The training loop: epochs of many-step calls, validation, early stopping, checkpoints, events.  It knows no config file and no tracking.

It is a coroutine: `training` yields the steps that it wants taken and the rows that it wants evaluated, and is sent what came of them, so
that one loop serves a program alone (`train`) and the programs of a stack, which do both together.

The order of epoch e is permutation(seed, ORDER, e, N); its first floor(N / B) * B rows are trained, in chunks of about a tenth of a
second, so that Ctrl-C is prompt.  The split into chunks changes no bit of the result.
"""

# N rows, B batch size, S steps of an epoch
from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipeline.data import Dataset
from pipeline.data.prepared import Prepared
from pipeline.errors import DivergedError, PipelineError, RunError
from pipeline.recipe.course import Course
from pipeline.recipe.plateau import Plateau
from pipeline.training import budget as budgets
from pipeline.training import fit, metrics, recovery
from pipeline.training.blocks import Blocks, order_of
from pipeline.training.budget import Budget, End
from pipeline.training.callbacks import Callbacks, When, shown
from pipeline.training.checkpoint import Progress, State
from pipeline.training.events import Advanced, EpochEnded, Event, Noted, Outcome, Saved, Started
from pipeline.training.measured import Measured, Measuring
from pipeline.training.saving import Checkpoints
from pipeline.training.settings import EarlyStopping, Training
from pipeline.training.sound import Unsound, Watch
from pipeline.training.steps import Done, Taken, Trainable, Wanted, driven

Array = npt.NDArray[Any]
LossSchedule = Callable[[Plateau, float, int], Plateau]  # (where it stands, loss of the epoch, steps in all) -> where it stands then
CHUNK_SECONDS = 0.1
Steps = Generator[Wanted, Done, Outcome]


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
    start_state: State | None = None,
    learning_rate: Callable[[int], float] | None = None,
    schedule: LossSchedule | None = None,
    budget: Budget = Budget(),  # noqa: B008  # frozen
    began: float | None = None,
    stop: Callable[[], bool] = lambda: False,
    callbacks: Callbacks | None = None,
) -> Steps:
    """The training of `program` on `data.train`, which says to `emit` how it goes.

    progress, best_state   from a checkpoint, to go on from it; the program already holds its state
    start_state            before the first step, to go back to where settings.on_divergence asks for it
    learning_rate          the learning rate at a step, for the record
    schedule               lowers the learning rate when the loss stops falling
    budget                 what ends the training beside settings.epochs; it may end within an epoch, and a later call go on there
    began                  when the command began, by time.monotonic; None: now
    callbacks              asked after every chunk and epoch
    stop                   asked after every chunk; when true, a checkpoint is written and the outcome is KILLED
    Raises DataError, ConfigError (see `fit.check`), RunError (a checkpoint that cannot be written) and DivergedError.
    """
    fit.check(data.dataset, settings, budget)
    now, start = progress or Progress(), time.monotonic() if began is None else began
    loop = _Loop(
        program=program,
        data=data,
        settings=settings,
        seed=seed,
        emit=emit,
        checkpoints=checkpoints,
        progress=now,
        clock=lambda: now.spent + time.monotonic() - start,  # of all commands that worked on the run
        best_state=best_state,
        learning_rate=learning_rate,
        schedule=schedule,
        budget=budget,
        stop=stop,
        start_state=start_state,
        callbacks=callbacks or Callbacks(),
    )
    return loop.run()


train = driven(training)


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
    start_state: State | None
    callbacks: Callbacks
    chunk: int = 1
    unsaved: bool = False
    watch: Watch = field(init=False)
    measured: Measured = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(self.program, self._follow)
        self.measured = Measured(self.data, self.settings, self.watched.metric, seed=self.seed)

    @property
    def dataset(self) -> Dataset:
        return self.data.dataset

    @property
    def rows(self) -> int:
        return len(self.dataset.train)

    @property
    def steps(self) -> int:
        return self.rows // self.settings.rows

    @property
    def end(self) -> End:
        return budgets.end(self.settings, self.budget, self.steps)

    @property
    def course(self) -> Course:
        return Course(
            total_steps=self.end.steps or 0, steps_per_epoch=self.steps, plateau=self.progress.plateau, slowed=self.progress.slowed
        )

    @property
    def watched(self) -> EarlyStopping:
        """What the best epoch is judged by; without early stopping it is only kept, never gone back to."""
        default = EarlyStopping(metric="loss/validation" if len(self.dataset.validation) else "loss/train")
        return self.settings.early_stopping or default

    def _follow(self, progress: Progress) -> None:
        self.progress = progress
        self.program.follow(self.course)

    def run(self) -> Steps:
        total, done = self.end.steps, self.progress
        self.program.follow(self.course)
        self.watch.began()
        epochs = None if total is None else -(-total // self.steps)
        self.emit(Started(epochs=epochs, total=total, steps_per_epoch=self.steps, epoch=done.epoch, step=done.step))
        for text in fit.notes(self.dataset, self.settings, self.budget, self.measured.names if done.epoch == 0 else ()):
            self.emit(Noted(text=text))
        blocks = Blocks(self.data.train, self._order, epochs=epochs, steps=self.steps, batch=self.settings.rows)
        try:
            return (yield from self._run(blocks))
        finally:
            blocks.close()
            if self.checkpoints is not None:
                self.checkpoints.wait()

    def _run(self, blocks: Blocks) -> Steps:
        while True:
            while not self._complete():
                ended = yield from self._train_epoch(blocks)
                if ended == "stopped":
                    return self._stopped()
                if ended == "back":
                    continue
                if self.progress.step < self.steps:  # the budget ends within the epoch
                    break
                yield from self._end_epoch()
                self._save_when_due()
                if self.stop() and not self._complete():
                    return self._stopped()
            if not self._went_back():
                if self.progress.step:
                    self._reestimate()
                self._save()
                return (yield from self._finished())

    def _complete(self) -> bool:
        return self._spent() is not None or self._out_of_patience() or self.progress.stopped != ""

    def _spent(self) -> str | None:
        """The limit that is reached, as the config has it."""
        done = self.progress
        return budgets.spent(self.end, self.budget, steps=done.steps(self.steps), seconds=self.clock())

    def _out_of_patience(self) -> bool:
        return self.settings.early_stopping is not None and self.progress.waited >= self.settings.early_stopping.patience

    def _order(self, epoch: int) -> npt.NDArray[np.int64]:
        """The rows of each step of `epoch` [S, B]."""
        order = order_of(self.seed, epoch, self.rows)
        return order[: self.steps * self.settings.rows].reshape(self.steps, self.settings.rows)

    def _train_epoch(self, blocks: Blocks) -> Generator[Wanted, Done, Literal["trained", "stopped", "back"]]:
        """Trains the steps left of the epoch, or of the budget; ends when it was asked to stop, and where training went back."""
        last = self.steps if self.end.steps is None else min(self.steps, self.end.steps - self.progress.epoch * self.steps)
        while self.progress.step < self.steps and self._spent() is None and not self.progress.stopped:
            start, before = time.perf_counter(), self.progress
            feed = blocks.feed(before.epoch, before.step, self._next(last))
            waited = time.perf_counter() - start
            taken = yield feed
            assert isinstance(taken, Taken)
            seconds = waited + taken.seconds
            self._advance(taken.losses, seconds)
            if self._damaged(taken.error, self.watch.took(feed, len(taken.losses), before, seconds)):
                return "back"
            self.chunk = max(1, min(int(len(taken.losses) * CHUNK_SECONDS / max(seconds, 1e-9)), 8 * self.chunk))
            self.emit(Advanced(epoch=self.progress.epoch + 1, step=self.progress.step))
            self._ask("on_step_chunk")
            if self.stop():
                return "stopped"
            if self.progress.step < last and self._save_when_due():
                return "back"
        return "trained"

    def _damaged(self, error: DivergedError | None, found: Unsound | None) -> bool:
        """Whether training diverged and went back: at a loss that is not finite (`error`), or at a state (`found`).

        Raises DivergedError where it stops; the state before the step is saved.
        """
        if found is None and error is not None:
            found = self.watch.look()  # what is not finite may stand in the state for longer than in the loss
        if found is not None:
            self._follow(found.progress)
            error = found.error
        if error is None:
            return False
        watched, now = self.watched.metric, self.progress
        back = recovery.gone_back(now, self.settings, error, best=self.best_state, start=self.start_state, watched=watched)
        if back is None:
            with suppress(PipelineError):  # a full disk must not hide what went wrong first
                self._save()
            raise recovery.stopped(error, now)
        state, progress, text = back
        self.program.load_state(state)
        self._follow(progress)
        self.watch.began()
        self.emit(Noted(text=text, grave=True))
        return True

    def _went_back(self) -> bool:
        """Whether the state is not finite, and training went back.  Raises DivergedError where it stops."""
        return self._damaged(None, self.watch.look())

    def _next(self, last: int) -> int:
        """How many steps the next call takes: no more than to the next checkpoint that is counted in steps."""
        done = self.progress
        untils = [who.until(done.steps(self.steps)) for who in (self.checkpoints, self.callbacks) if who is not None]
        return min(self.chunk, last - done.step, *(until for until in untils if until is not None))

    def _ask(self, when: When) -> None:
        """Asks the callbacks, one of which may end the training.  Raises ExtensionError."""
        if self.callbacks.asked:
            rate, steps = self.learning_rate, self.progress.steps(self.steps)
            now = shown(self.progress, self.steps, None if rate is None else rate(steps - 1), self.program.state)
            self.callbacks.ask(when, steps, now)
            self.progress = replace(self.progress, stopped=self.progress.stopped or self.callbacks.stopped)

    def _standing(self) -> Progress:
        """Where training stands, for a checkpoint.  Raises ExtensionError."""
        return replace(self.progress, spent=self.clock(), callbacks=self.callbacks.states())

    def _advance(self, losses: Sequence[float] | npt.NDArray[Any], seconds: float) -> None:
        """Notes the steps that gave `losses`."""
        now = self.progress
        together = np.concatenate([now.losses, np.asarray(losses, np.float64)])
        self.progress = replace(now, step=now.step + len(losses), losses=together, seconds=now.seconds + seconds)

    def _values(self) -> Measuring:
        """The metrics of the epoch, as far as it is trained."""
        start, progress = time.perf_counter(), self.progress
        values = {"loss/train": float(np.mean(progress.losses)), **(yield from self.measured.values())}
        if self.learning_rate is not None:
            values["learning_rate"] = self.learning_rate(progress.steps(self.steps) - 1)
        values["time/epoch_s"] = progress.seconds + time.perf_counter() - start
        return values

    def _reestimate(self) -> None:
        """What evaluation needs of the training rows, before it and before that state is saved."""
        if self.program.reestimates:
            self.program.reestimate(self.data.train.x, self._order(self.progress.epoch))

    def _end_epoch(self) -> Generator[Wanted, Done, None]:
        """Validates, keeps the best weights and closes the epoch."""
        self._reestimate()
        values = yield from self._values()
        if not math.isfinite(values.get("loss/validation", 0.0)) and self._went_back():
            return
        progress = self.progress
        epoch, value = progress.epoch + 1, values.get(self.watched.metric, float("nan"))
        best = metrics.better(self.watched.metric, value, progress.best, self.watched.min_delta)
        standing: dict[str, Any] = {"best": value, "best_epoch": epoch, "waited": 0} if best else {"waited": progress.waited + 1}
        if best and self._asks_for_the_best():
            self.best_state = self.program.state()
        history = progress.history.plus(values)
        self.progress = replace(progress, epoch=epoch, step=0, losses=np.zeros(0), seconds=0.0, history=history, **standing)
        self.emit(EpochEnded(epoch=epoch, values=values, best=best))
        self._watch_plateau(values)
        if best:
            self.progress = replace(self.progress, best_plateau=self.progress.plateau)
        self._ask("on_epoch_end")

    def _asks_for_the_best(self) -> bool:
        """Whether the weights of the best epoch may be wanted: for a checkpoint, as the result, or to go back to."""
        asked = self.settings
        return asked.checkpoints.best and (self.checkpoints is not None or asked.final == "best" or asked.on_divergence == "restore")

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

    def _save_when_due(self) -> bool:
        """Begins a checkpoint where it is time, and says what came of the one before; whether training went back in its place."""
        if self.checkpoints is None:
            return False
        match self.checkpoints.finished():
            case RunError() as error:
                self._say_unsaved(error)
            case Path() as path:
                self.unsaved = False
                self.emit(Saved(path=path))
        if self.checkpoints.due(self.progress.steps(self.steps)):
            since = time.monotonic()
            if self._went_back():
                return True
            self.checkpoints.begin(self.watch.state, self._standing(), self.best_state, since=since)
        return False

    def _say_unsaved(self, error: RunError) -> None:
        """Once, until one is written again."""
        if not self.unsaved:
            text = f"no checkpoint was written, and the one before it is kept; training goes on: {error}"
            self.emit(Noted(text=text, grave=True))
        self.unsaved = True

    def _save(self) -> None:
        if self.checkpoints is not None:
            self.emit(Saved(path=self.checkpoints.save(self.program.state(), self._standing(), self.best_state)))

    def _stopped(self) -> Outcome:
        self._went_back()
        self._save()
        done = self.progress
        where = f"in epoch {done.epoch + 1} after {done.step} of {self.steps} steps" if done.step else f"after epoch {done.epoch}"
        return self._outcome("KILLED", done.epoch, f"stopped {where}")

    def _finished(self) -> Steps:
        progress, epoch, message = self.progress, self.progress.epoch, self._trained()
        if self.callbacks.seconds:
            self.emit(Noted(text=self.callbacks.told))
        if progress.step:
            # after the checkpoint, which goes on within the epoch: a part of an epoch is measured, but is no candidate for the best
            epoch, values = epoch + 1, (yield from self._values())
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
        return budgets.told(spent, epoch=done.epoch, step=done.step, steps=self.steps, stopped=done.stopped)

    def _outcome(self, status: Literal["FINISHED", "KILLED"], epoch: int, message: str) -> Outcome:
        history = tuple(self.progress.history)
        values = history[epoch - 1] if epoch else {}
        return Outcome(status=status, history=history, metrics=values, epoch=epoch, best_epoch=self.progress.best_epoch, message=message)
