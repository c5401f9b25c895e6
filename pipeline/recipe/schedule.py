"""What a learning-rate schedule is: its record, and its rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.records import record, setting

Array = npt.NDArray[np.float64]


@record
class Schedule:
    """The record of a schedule, and the steps in which the learning rate rises to what the schedule starts with."""

    warmup: int = setting(0, least=0)


@dataclass(frozen=True, kw_only=True)
class ScheduleRule:
    """factor  (record, steps [S], how many there are) -> the shares of the base learning rate [S]
    whole   whether it needs to know how many there are, which is 0 where it does not

    Both are counted from the end of the warm-up.
    """

    factor: Callable[[Any, Array, int], Array]
    whole: bool = False
