"""Averages of the weights, of which predictions are made: an exponential one (EMA), and a plain one (SWA).

    average <- kept * average + (1 - kept) * weight

after each step, for every tensor that the optimizer changes, and for the running statistics of batch norm.  How much is kept is a
value that the host computes, so that both kinds are one structure.  Until an average begins it is the weights themselves.
"""

# S steps
from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pipeline.errors import ConfigError
from pipeline.graph.values import Array, Clock, Value
from pipeline.records import Family, record, setting

KEPT, SHARE = "averaging.kept_share", "averaging.weight_share"
BEGINS = 0.75  # of the training, where nothing says from when on (Izmailov et al. 2018, section 4)


@record
class Averaging:
    """The record of an average."""


@record
class NoAveraging(Averaging):
    """Predictions are made of the weights of the last step, or of the best epoch."""


@record
class EMA(Averaging):
    """average <- decay * average + (1 - decay) * weight after each step  (Polyak & Juditsky 1992; Tarvainen & Valpola 2017).

    correction  warmup: the n-th step keeps at most n / (n + 9), so that the first ones are soon forgotten
                bias: the shares of the n weights so far, decay^0 to decay^(n - 1), are divided by their sum, as Adam does
                none: the first weights count fully, as in PyTorch's AveragedModel
    from_step   the steps before the first weights that count
    batch_norm  its running statistics are averaged too, or estimated anew by a pass over the training rows
    """

    decay: float = setting(0.999, least=0, below=1)
    correction: Literal["warmup", "bias", "none"] = setting("warmup")
    from_step: int = setting(0, least=0)
    batch_norm: Literal["averaged", "reestimated"] = setting("averaged")


@record
class SWA(Averaging):
    """The mean of the weights at the end of each epoch, from one on  (Izmailov et al. 2018, algorithm 1).

    from_epoch   the first epoch whose last weights count; from_step: the first step in its place; both null: after 3/4 of the training
    every_steps  counts the weights of every so many steps; null: of each epoch
    batch_norm   as for ema
    """

    from_epoch: int | None = setting(None, least=1)
    from_step: int | None = setting(None, least=1)
    every_steps: int | None = setting(None, least=1)
    batch_norm: Literal["averaged", "reestimated"] = setting("reestimated")


@dataclass(frozen=True, kw_only=True)
class AveragingRule:
    """kept   (record, clock) -> how much of the average each step keeps [S]
    count  (record, clock) -> how many weights make the average after each step [S]; 0 before it begins
    """

    kept: Callable[[Any, Clock], Array]
    count: Callable[[Any, Clock], Array]


def _ema_count(ema: EMA, clock: Clock) -> Array:
    return np.maximum(clock.steps + 1 - ema.from_step, 0)


def _ema_kept(ema: EMA, clock: Clock) -> Array:
    n = np.maximum(_ema_count(ema, clock), 1).astype(np.float64)
    if ema.correction == "bias":
        return np.asarray(ema.decay * (1.0 - np.power(ema.decay, n - 1.0)) / (1.0 - np.power(ema.decay, n)))
    kept = np.minimum(ema.decay, n / (n + 9.0)) if ema.correction == "warmup" else np.full(n.shape, ema.decay)
    return np.where(n > 1, kept, 0.0)


def _swa_count(swa: SWA, clock: Clock) -> Array:
    begin, every = _pace(swa, clock)
    done = clock.steps + 1
    return np.where(done >= begin, (done - begin) // every + 1, 0)


def _swa_kept(swa: SWA, clock: Clock) -> Array:
    """(n - 1) / n where the n-th weights join, 1 between two, 0 before the first."""
    begin, every = _pace(swa, clock)
    n = _swa_count(swa, clock).astype(np.float64)
    joins = (n > 0) & ((clock.steps + 1 - begin) % every == 0)
    return np.where(joins, (n - 1.0) / np.maximum(n, 1.0), np.where(n > 0, 1.0, 0.0))


def _pace(swa: SWA, clock: Clock) -> tuple[int, int]:
    """The steps before the first weights that count, these included, and those from one to the next."""
    epoch = clock.steps_per_epoch
    if (swa.every_steps is None or swa.from_epoch is not None) and not epoch:
        raise _unknown("averaging.from_epoch" if swa.from_epoch else "averaging.every_steps", swa.from_epoch, "an epoch")
    every = swa.every_steps or epoch
    if swa.from_epoch is not None:
        return swa.from_epoch * epoch, every
    begin = swa.from_step
    if begin is None:
        if not clock.total:
            raise _unknown("averaging.from_epoch", None, "the training")
        begin = max(1, math.ceil(BEGINS * clock.total))
    return (begin if swa.every_steps else -(-begin // epoch) * epoch), every


def _unknown(at: str, got: int | None, what: str) -> ConfigError:
    hint = "give averaging.from_step and averaging.every_steps, or call program.follow(Course(...)) of pipeline.recipe.course"
    return ConfigError(at=at, got=got, rule=f"needs to know how many steps {what} has", hint=hint)


AVERAGINGS: Family[Averaging, AveragingRule] = Family(
    "averaging",
    {
        "none": (NoAveraging, None),
        "ema": (EMA, AveragingRule(kept=_ema_kept, count=_ema_count)),
        "swa": (SWA, AveragingRule(kept=_swa_kept, count=_swa_count)),
    },
)


def averages(averaging: Averaging) -> bool:
    """Whether there is an average at all."""
    return not isinstance(averaging, NoAveraging)


def reestimates(averaging: Averaging) -> bool:
    """Whether the statistics of batch norm are estimated anew for the average."""
    return isinstance(averaging, EMA | SWA) and averaging.batch_norm == "reestimated"


def values(averaging: Averaging) -> dict[str, Value]:
    """The scalars that the average reads."""
    if not averages(averaging):
        return {}
    rule = AVERAGINGS.rule(averaging)
    return {KEPT: lambda clock: rule.kept(averaging, clock), SHARE: lambda clock: 1.0 - rule.kept(averaging, clock)}


def average_name(tensor: str) -> str:
    """The name of a tensor's average in the state: `average/fc1.weight`."""
    return f"average/{tensor}"


def described(averaging: Averaging, clock: Clock | None = None) -> str:
    """What is measured, for the reader: after the one step of `clock`, or in general."""
    kind = AVERAGINGS.kind_of(averaging)
    text = f"averaging {kind}: validation, test and predictions are of the averages of the weights"
    if clock is None:
        norm = "estimated anew from the training rows" if reestimates(averaging) else "averaged too"
        return f"{text}, loss/train is of the weights themselves; statistics of batch norm are {norm}"
    count = int(AVERAGINGS.rule(averaging).count(averaging, clock)[0])
    if not count:
        return f"averaging {kind} had not begun, so what is measured are the weights themselves"
    return f"what is measured and kept are averages of the weights ({kind} of {count})"


def measured_tensors(state: Mapping[str, Array]) -> dict[str, Array]:
    """The tensors of a state by their names, fc1.weight [I, O], the averages in place of what they are averages of."""
    averaged = {name.removeprefix(average_name("")): value for name, value in state.items() if name.startswith(average_name(""))}
    return {name: averaged.get(name, value) for name, value in state.items() if not name.startswith(average_name(""))}


def check(averaging: Averaging, epochs: int | None, *, counted: bool) -> None:
    """Whether an average begins at one place, within a training of `epochs`; counted: steps end it.  Raises ConfigError."""
    if not isinstance(averaging, SWA):
        return
    epoch, step = averaging.from_epoch, averaging.from_step
    if epoch is not None and step is not None:
        raise ConfigError(at="averaging.from_step", got=step, rule="averaging.from_epoch says already when it begins", hint="give one")
    if epoch is not None and epochs is not None and epoch > epochs:
        rule = f"the training has {epochs} epochs, and the average would never begin"
        raise ConfigError(at="averaging.from_epoch", got=epoch, rule=rule, hint="give at most training.epochs")
    if epoch is None and step is None and not counted:
        rule = "begins after 3/4 of the training, and only budget.seconds ends it"
        raise ConfigError(at="averaging.from_epoch", got=None, rule=rule, hint="give averaging.from_epoch or averaging.from_step")
