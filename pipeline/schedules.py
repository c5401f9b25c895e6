"""Learning-rate schedules: pure functions of the step, `factor(schedule, step, total)`; they touch no optimizer state."""

# step counts from 0; total is the number of steps the run is planned to take
from __future__ import annotations

import math

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


def factor(schedule: object, step: int, total: int) -> float:
    """The share of the base learning rate used at `step` of `total` (both in steps)."""
    if isinstance(schedule, Step):
        return schedule.factor ** (step // schedule.every)
    if isinstance(schedule, Cosine):
        done = min(step, total) / max(total, 1)
        return schedule.floor + (1 - schedule.floor) * (1 + math.cos(math.pi * done)) / 2
    return 1.0
