"""The `budget` group: what ends the training, beside `training.epochs`."""

# B batch rows, S steps of an epoch
from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import ConfigError
from pipeline.records import record, setting
from pipeline.training.settings import Training


@record
class Budget:
    """Training ends at whichever limit comes first, `training.epochs` among them; null is no limit.

    epochs    passes over the training part
    steps     optimizer steps
    samples   rows trained on, batch size times steps: runs with other batch sizes then see as many rows (Shallue et al. 2019)
    seconds   from the command on: reading and compiling, training, validation and checkpoints, and what the commands before a resumption
              took; the block of steps under way is finished, so this limit alone gives other results on a faster machine
    """

    epochs: int | None = setting(None, least=1)
    steps: int | None = setting(None, least=1)
    samples: int | None = setting(None, least=1)
    seconds: float | None = setting(None, above=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The first of the limits that count steps: `steps` in all, None where only the clock ends the training; `at` = `got` in the config."""

    steps: int | None
    at: str = ""
    got: int = 0

    @property
    def text(self) -> str:
        """`budget.steps = 500`."""
        return f"{self.at} = {self.got}"


def end(training: Training, budget: Budget, steps_per_epoch: int) -> End:
    """The step at which training ends."""
    limits = [
        ("training.epochs", training.epochs, (training.epochs or 0) * steps_per_epoch),
        ("budget.epochs", budget.epochs, (budget.epochs or 0) * steps_per_epoch),
        ("budget.steps", budget.steps, budget.steps or 0),
        ("budget.samples", budget.samples, (budget.samples or 0) // training.rows),
    ]
    given = [End(steps=steps, at=at, got=got) for at, got, steps in limits if got is not None]
    return min(given, key=lambda limit: limit.steps or 0, default=End(steps=None))


def spent(end: End, budget: Budget, *, steps: int, seconds: float) -> str | None:
    """The limit that is reached after `steps` steps and `seconds`, as the config has it; None where something is left."""
    if end.steps is not None and steps >= end.steps:
        return end.text
    if budget.seconds is not None and seconds >= budget.seconds:
        return f"budget.seconds = {budget.seconds:g}"
    return None


def told(spent: str | None, *, epoch: int, step: int, steps: int, stopped: str) -> str:
    """How far a training went, and what ended it where that is not training.epochs: a limit, patience, or what `stopped` says."""
    if spent is None and not stopped:
        return f"stopped early after epoch {epoch}"
    parts = [f"{epoch} epoch{'s' if epoch != 1 else ''}"] if epoch or not step else []
    parts += [f"{step} of the {steps} steps of {'the next' if parts else 'an epoch'}"] if step else []
    end = f"; {stopped}" if spent is None else "" if spent.startswith("training.") else f", to the end of {spent}"
    return f"trained {' and '.join(parts)}{end}"


def check(training: Training, budget: Budget) -> None:
    """Whether something ends the training, and after a step at least.  Raises ConfigError."""
    if training.epochs is None and budget == Budget():
        hint = "give it, or budget.epochs, budget.steps, budget.samples or budget.seconds"
        raise ConfigError(at="training.epochs", got=None, rule="nothing ends the training", hint=hint)
    if budget.samples is not None and budget.samples < training.rows:
        rule = f"is less than one batch of {training.rows} rows"
        raise ConfigError(at="budget.samples", got=budget.samples, rule=rule, hint="give more, or a smaller training.batch_size")
