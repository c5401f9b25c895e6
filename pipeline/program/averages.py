"""Averages of the weights: whether they are measured, and the batches from which their statistics of batch norm are estimated."""

# N rows, S batches of B rows
from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pipeline.errors import ConfigError
from pipeline.graph.values import Array
from pipeline.program.tables import Tables
from pipeline.recipe.averaging import Averaging, averages, described
from pipeline.rows import Streamed

MOST = 16  # batches in one native call


def batches(x: Array | Streamed, order: npt.NDArray[np.int64]) -> Iterator[tuple[Array | Streamed, npt.NDArray[np.int64], int]]:
    """Some of the batches order [S, B] of x [N, ...] after the other: rows that a gather can read, the batches as rows of them, and the
    number of the first."""
    for first in range(0, len(order), MOST):
        part = order[first : first + MOST]
        if isinstance(x, Streamed) and not x.raw:
            used, places = np.unique(part, return_inverse=True)
            yield x.part(used), places.reshape(part.shape), first
        else:
            yield x, part, first


def measured(averaging: Averaging, tables: Tables, steps: int) -> str:
    """Which weights are measured after `steps` steps, where they are averages; else empty."""
    if not averages(averaging):
        return ""
    try:
        return described(averaging, tables.clock(np.array([steps - 1])))
    except ConfigError:  # how long the training was is not known any more
        return described(averaging)
