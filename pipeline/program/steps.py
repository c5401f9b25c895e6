"""Rows in steps of one size, and steps in calls that end soon."""

# N rows, S steps, B batch rows
from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from time import perf_counter

import numpy as np
import numpy.typing as npt

from pipeline.graph.values import Array

CALL_SECONDS = 0.1  # of a native call with several steps: Python hears a signal only between calls
GROWTH = 8  # a call has at most so many times the steps of the one before it


class Pace:
    """How many steps make a call of about CALL_SECONDS, by what the last calls took.  How steps are cut into calls changes no bit."""

    def __init__(self) -> None:
        self._steps: dict[object, int] = {}

    def cuts(self, key: object, steps: int, most: int | None = None) -> Iterator[slice]:
        """The steps of one call after the other, while the caller makes them; `key` says what kind of steps they are."""
        start = 0
        while start < steps:
            known = self._steps.get(key, 1)
            count = min(known, steps - start)
            begun = perf_counter()
            yield slice(start, start + count)
            fit = int(CALL_SECONDS * count / max(perf_counter() - begun, 1e-9))
            if count == known or fit < known:
                self._steps[key] = max(1, min(fit, GROWTH * known, most or fit))
            start += count


@lru_cache(maxsize=8)  # a single row is often asked for again and again
def in_steps(count: int, batch: int) -> npt.NDArray[np.int64]:
    """The numbers of `count` rows in steps of one size [S, B], the last one filled up with row 0."""
    order = np.zeros(-(-count // batch) * batch, np.int64)
    order[:count] = np.arange(count)
    return order.reshape(-1, batch)


def rows_of(steps: Array) -> Array:
    """What S steps made of B rows each, [S, B, ...] -> [S * B, ...]."""
    return steps.reshape(-1, *steps.shape[2:])
