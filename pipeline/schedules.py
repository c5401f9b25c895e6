"""Learning-rate schedules: pure functions of the step, `factor(schedule, steps, total)`; they touch no optimizer state."""

# step counts from 0; total is the number of steps the run is planned to take
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.errors import ConfigError
from pipeline.records import record, setting


@record
class Constant:
    """factor = 1."""


@record
class Step:
    """factor = factor^floor(step / every): `every` in steps."""

    every: int = setting(1000, least=1)
    factor: float = setting(0.1, above=0, most=1)


@record
class Cosine:
    """factor = floor + (1 - floor) * (1 + cos(pi * step / total)) / 2  (Loshchilov & Hutter 2017, eq. 5)."""

    floor: float = setting(0.0, least=0, most=1)


SCHEDULES: dict[str, type] = {"constant": Constant, "step": Step, "cosine": Cosine}


def factor(schedule: object, steps: npt.ArrayLike, total: int) -> npt.NDArray[np.float64]:
    """The shares of the base learning rate used at `steps` (a number or an array) of `total` -> the shape of `steps`.

    Raises ConfigError for a schedule over the whole training when `total` is 0, that is, not known.
    """
    at = np.asarray(steps, np.float64)
    match schedule:
        case Step():
            return np.asarray(schedule.factor ** np.floor(at / schedule.every))
        case Cosine():
            if total <= 0:
                hint = "set program.total_steps"
                raise ConfigError(at="schedule.kind", got="cosine", rule="needs to know how many steps the training has", hint=hint)
            done = np.minimum(at, total) / total
            return np.asarray(schedule.floor + (1 - schedule.floor) * (1 + np.cos(np.pi * done)) / 2)
    return np.ones_like(at)
