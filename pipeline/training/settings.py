"""The `training` group."""

from __future__ import annotations

from typing import Literal

from pipeline.records import record, setting


@record
class EarlyStopping:
    """Stops when `metric` has not improved by `min_delta` for `patience` epochs  (Prechelt 1998).

    weights   best: those of the best epoch are the result of the run, whatever ended it; last: those of the last step
    """

    metric: str = setting("loss/validation")
    patience: int = setting(5, least=1)
    min_delta: float = setting(0.0, least=0)
    weights: Literal["best", "last"] = setting("best")


SECONDS = 5.0  # between two checkpoints, where nothing else is asked for


@record
class Saving:
    """When a checkpoint is written, and which stay.  A thread writes it; the steps stand still for at most 1 % of the time.

    keep           the last so many stay, for task=fork
    best           the best epoch stays beside them
    every_seconds  null: 5
    every_steps    counts steps in place of the seconds: at its multiples, and at the end
    """

    keep: int = setting(1, least=1)
    best: bool = setting(True)
    every_seconds: float | None = setting(None, above=0)
    every_steps: int | None = setting(None, least=1)


@record
class Restore:
    """With on_divergence=restore training goes back at most `times` times, each time with `factor` times the learning rate before."""

    times: int = setting(3, least=1)
    factor: float = setting(0.1, above=0, below=1)


@record
class Training:
    """How long and in what portions: `epochs` passes over the training part, `batch_size` rows a step; what fills no batch is left out.

    accumulate  micro-batches of `batch_size` rows that make one step: the gradient of all their rows, in the memory of one; steps,
                schedules and budgets count updates
    epochs    null leaves the end to the `budget`
    metrics   measured on the validation part after each epoch beside the loss; null: accuracy, or rmse, mae and r2 (see scores.py)
    train_rows  the same metrics are measured on so many rows of the training part, and no more than the validation part has; 0: on none
    doctor   what is wrong with the training is looked for when it is over (docs/doctor.md); auto: of a run alone, not of the trials of a
             sweep, and within 3 % of its time
    on_divergence  stop, and the state before the step is kept; restore: go back to the best epoch, or to the start, with a lower rate
    """

    epochs: int | None = setting(20, least=1)
    batch_size: int = setting(64, least=1)
    accumulate: int = setting(1, least=1)
    metrics: tuple[str, ...] | None = setting(None)
    train_rows: int = setting(1000, least=0)
    early_stopping: EarlyStopping | None = setting(None)
    checkpoints: Saving = setting(Saving())
    doctor: bool | Literal["auto"] = setting("auto")
    on_divergence: Literal["stop", "restore"] = setting("stop")
    restore: Restore = setting(Restore())

    @property
    def named(self) -> tuple[str, ...]:
        """The metrics that are asked for by name."""
        stopping = () if self.early_stopping is None else (self.early_stopping.metric.partition("/")[0],)
        return (*(self.metrics or ()), *stopping)

    @property
    def rows(self) -> int:
        """Of a step: of all its micro-batches."""
        return self.batch_size * self.accumulate

    @property
    def final(self) -> Literal["last", "best"]:
        """Whose weights are the result: of the last step, or of the best epoch."""
        return "last" if self.early_stopping is None else self.early_stopping.weights
