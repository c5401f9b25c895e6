"""Rows -> training, validation and test rows: a function of the seed, the labels and the shares, and of nothing else."""

# N rows, C classes
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import random

Rows = npt.NDArray[np.int64]


def split(y: npt.NDArray[Any], *, validation: float, test: float, seed: int) -> tuple[Rows, Rows, Rows]:
    """Row numbers (train, validation, test), each ascending, for labels int [N] (stratified) or values float [N, T] (not).

    Each part gets round(share * N) rows. The test rows come first in the random order, so `validation` does not change the test part.
    A class keeps at least one row in the training part.
    """
    count = len(y)
    order = random.permutation(seed, random.SPLIT, 0, count)
    groups = _by_class(order, y) if y.dtype.kind in "iu" else [order]
    sizes = np.array([len(group) for group in groups], np.int64)
    test_sizes = _shares(sizes, test, sizes - 1)
    validation_sizes = _shares(sizes, validation, sizes - 1 - test_sizes)
    parts: tuple[list[Rows], list[Rows], list[Rows]] = ([], [], [])
    for group, held, tested in zip(groups, validation_sizes, test_sizes, strict=True):
        parts[2].append(group[:tested])
        parts[1].append(group[tested : tested + held])
        parts[0].append(group[tested + held :])
    train_rows, validation_rows, test_rows = (np.sort(np.concatenate(part)) if part else np.zeros(0, np.int64) for part in parts)
    return train_rows, validation_rows, test_rows


def _by_class(order: Rows, y: npt.NDArray[Any]) -> list[Rows]:
    """`order` cut into the classes that occur, the random order kept within each."""
    labels = y[order]
    by_label = order[np.argsort(labels, kind="stable")]
    starts = np.flatnonzero(np.diff(np.sort(labels))) + 1
    return [group for group in np.split(by_label, starts) if len(group)]


def _shares(sizes: Rows, share: float, most: Rows) -> Rows:
    """How many of each group make up `share` of all: whole parts first, the rest to the largest remainders; ties to the earlier group."""
    exact = sizes * share
    result = np.minimum(np.floor(exact).astype(np.int64), np.maximum(most, 0))
    missing = round(int(sizes.sum()) * share) - int(result.sum())
    for group in np.argsort(-(exact - np.floor(exact)), kind="stable"):
        if missing > 0 and result[group] < most[group]:
            result[group] += 1
            missing -= 1
    return np.asarray(result, np.int64)
