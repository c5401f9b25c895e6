"""Columns that say the target: another spelling of its classes, or its numbers in another unit.  They make a test look perfect."""

# n rows
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.hints import ignoring
from pipeline.data.tables.table import Table, column_list

Array = npt.NDArray[Any]
LEAST = 20  # rows from which on it is no chance
FIRST = 256  # rows that are looked at before all are


def copies(table: Table, names: Iterable[str], y: Array, rows: npt.NDArray[np.int64]) -> list[str]:
    """A note on those of several columns `names` from which the target y of `rows` [n] or [n, 1] follows without an error."""
    y, names = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y, list(names)
    numbers = y.dtype.kind == "f"
    if y.ndim != 1 or len(rows) < LEAST or len(names) < 2 or (not numbers and 2 * len(np.unique(y)) > len(rows)):
        return []
    found = [
        name
        for name in names
        if _follows(table.values(name, rows[:FIRST]), y[:FIRST], numbers=numbers) and _follows(table.values(name, rows), y, numbers=numbers)
    ]
    if not found:
        return []
    which = f"column {found[0]}: says" if len(found) == 1 else f"columns {column_list(found)}: each says"
    return [f"{which} the target in every row; if that is not known where rows are to be predicted, give {ignoring(*found[:20])}"]


def _follows(x: Array, y: Array, *, numbers: bool) -> bool:
    """Whether y [n] is a x + b, or where it is classes, whether each has a value of x [n] of its own."""
    x = np.asarray(x, np.float64)
    if np.isnan(x).any() or x.min() == x.max() or y.min() == y.max():
        return False
    if numbers:
        low, high = x.argmin(), x.argmax()
        line = y[low] + (x - x[low]) * ((y[high] - y[low]) / (x[high] - x[low]))
        return bool(np.allclose(line, y, rtol=0, atol=1e-9 * float(np.abs(y).max())))
    classes, places = len(np.unique(y)), np.unique(x)
    return len(places) == classes == len(np.unique(np.stack([x, y.astype(np.float64)]), axis=1).T)
