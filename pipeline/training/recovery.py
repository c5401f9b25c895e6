"""`training.on_divergence=restore`: where a training that diverged goes back to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.errors import DivergedError
from pipeline.recipe.plateau import Plateau
from pipeline.training.checkpoint import Progress, State
from pipeline.training.history import History
from pipeline.training.settings import Training


def gone_back(
    now: Progress, settings: Training, error: DivergedError, *, best: State | None, start: State | None, watched: str
) -> tuple[State, Progress, str] | None:
    """The state and the standing to go on from with a lower learning rate, and what is told; None where training stops.

    best    after epoch `now.best_epoch`, the best by `watched`; start, before the first step, for a training without such an epoch
    """
    asked = settings.restore
    if settings.on_divergence == "stop" or now.restored >= asked.times:
        return None
    state = best if now.best_epoch and best is not None else start
    if state is None:
        return None
    again = replace(now, step=0, losses=np.zeros(0), seconds=0.0, waited=0, restored=now.restored + 1, slowed=now.slowed * asked.factor)
    if state is best:
        epoch, where = now.best_epoch, f"the end of epoch {now.best_epoch}, the best by {watched}"
        back = replace(again, epoch=epoch, history=History(now.history[:epoch]), plateau=now.best_plateau)
    else:
        where = "the start"
        back = replace(again, epoch=0, history=History(), plateau=Plateau(), best=None, best_epoch=0)
    which = f"time {back.restored} of {asked.times}"
    return state, back, f"{error}; goes back to {where} ({which}), with {back.slowed:g} times the learning rate that is asked for"


def stopped(error: DivergedError, now: Progress) -> DivergedError:
    """The error that ends a training which went back before."""
    if not now.restored:
        return error
    times = "once" if now.restored == 1 else f"{now.restored} times"
    return DivergedError(f"{error}, which went down to {now.slowed:g} times that already ({times})", step=error.step, losses=error.losses)
