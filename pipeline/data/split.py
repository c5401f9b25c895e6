"""Rows -> training, validation and test rows: a function of the seed, the labels and the shares, and of nothing else."""

# N rows, C classes
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import random

Rows = npt.NDArray[np.int64]


def split(
    y: npt.NDArray[Any], *, validation: float, test: float, seed: int, folds: int | None = None, fold: int = 0
) -> tuple[Rows, Rows, Rows]:
    """Row numbers (train, validation, test), each ascending, for labels int [N] (stratified) or values float [N, T] (not).

    Each part gets round(share * N) rows. The test rows come first in the random order, so `validation` does not change the test part.
    A class keeps at least one row in the training part.  With `folds` k the rows that are not tested on are dealt out to k folds, class
    after class, so that these differ by at most one row, as a whole and in each class; fold number `fold` is the validation part.
    """
    count = len(y)
    order = random.permutation(seed, random.SPLIT, 0, count)
    groups = _by_class(order, y) if y.dtype.kind in "iu" else [order]
    sizes = np.array([len(group) for group in groups], np.int64)
    test_ties, validation_ties = (random.permutation(seed, random.SPLIT, use, len(groups)) for use in (1, 2))  # the rows' order is use 0
    test_sizes = _shares(sizes, test, sizes - 1, test_ties)
    validation_sizes = _shares(sizes, validation, sizes - 1 - test_sizes, validation_ties)
    if folds is not None:
        rest = [group[tested:] for group, tested in zip(groups, test_sizes, strict=True)]
        chosen = _fold(sizes - test_sizes, folds, fold)
        trained, kept = ([group[mask] for group, mask in zip(rest, masks, strict=True)] for masks in ([~mask for mask in chosen], chosen))
        return _joined(trained), _joined(kept), _joined([group[:tested] for group, tested in zip(groups, test_sizes, strict=True)])
    parts: tuple[list[Rows], list[Rows], list[Rows]] = ([], [], [])
    for group, held, tested in zip(groups, validation_sizes, test_sizes, strict=True):
        parts[2].append(group[:tested])
        parts[1].append(group[tested : tested + held])
        parts[0].append(group[tested + held :])
    return _joined(parts[0]), _joined(parts[1]), _joined(parts[2])


def in_order(
    values: npt.NDArray[Any], *, validation: float, test: float, folds: int | None = None, fold: int = 0
) -> tuple[Rows, Rows, Rows]:
    """Row numbers (train, validation, test) by values [N]: the last round(test * N) are tested on, those before them are for validation.

    Of equal values the later row counts as later.  With `folds` k the rows before the test part are k + 1 blocks: block fold + 1 is the
    validation part, and what comes before it is trained on.
    """
    order, tested = np.argsort(values, kind="stable"), round(len(values) * test)
    rest, last = order[: len(order) - tested], order[len(order) - tested :]
    if folds is not None:
        blocks = np.array_split(rest, folds + 1)
        return _joined(blocks[: fold + 1]), np.sort(blocks[fold + 1]), np.sort(last)
    held = len(rest) - round(len(values) * validation)
    return np.sort(rest[:held]), np.sort(rest[held:]), np.sort(last)


def by_group(
    groups: npt.NDArray[np.int64],
    y: npt.NDArray[Any],
    *,
    validation: float,
    test: float,
    seed: int,
    folds: int | None = None,
    fold: int = 0,
) -> tuple[Rows, Rows, Rows]:
    """Row numbers (train, validation, test) for groups [N] numbered from 0, each in one part; y: labels int [N], or values float [N, T].

    In a random order a group goes to the test part where that comes nearer to `test` of the rows, and of those of each class, then to
    validation likewise; the last group left is trained on.  With `folds` the groups that are not tested on are dealt out, the largest
    first, each to the fold that has the fewest rows of its classes.  Of values all rows count as one class.
    """
    labels = np.unique(y, return_inverse=True)[1].reshape(-1) if y.dtype.kind in "iu" else np.zeros(len(groups), np.int64)
    counts = np.zeros((int(groups.max()) + 1, int(labels.max()) + 1), np.int64)
    np.add.at(counts, (groups, labels), 1)
    sizes, total = counts.sum(axis=1), counts.sum(axis=0)
    left = [int(group) for group in random.permutation(seed, random.SPLIT, 0, len(counts)) if sizes[group]]
    tested = _near(left, counts, total, test)
    left = [group for group in left if group not in tested]
    if folds is None:
        held = _near(left, counts, total, validation)
    else:
        dealt: list[list[int]] = [[] for _ in range(folds)]
        there = np.zeros((folds, len(total)))
        for group in sorted(left, key=lambda group: -int(sizes[group])):
            chosen = int(np.argmin((there * counts[group] / total).sum(axis=1)))
            dealt[chosen].append(group)
            there[chosen] += counts[group]
        held = set(dealt[fold])
    part = np.zeros(len(counts), np.int64)
    part[list(tested)], part[list(held)] = 2, 1
    train, kept, last = (np.flatnonzero(part[groups] == number) for number in range(3))
    return train, kept, last


def _near(order: list[int], counts: Rows, total: Rows, share: float) -> set[int]:
    """The groups that make up about `share` of the rows: first those that bring each class nearer to its share, then any; not all."""
    chosen: set[int] = set()
    rows, missing = round(int(total.sum()) * share), total * share
    for stratified in (True, False):
        for group in order:
            size, after = int(counts[group].sum()), missing - counts[group]
            nearer = not stratified or (after**2 / total).sum() < (missing**2 / total).sum()
            if group not in chosen and nearer and len(chosen) < len(order) - 1 and abs(rows - size) < abs(rows):
                chosen.add(group)
                rows, missing = rows - size, after
    return chosen


def _joined(part: list[Rows]) -> Rows:
    return np.sort(np.concatenate(part)) if part else np.zeros(0, np.int64)


def _fold(sizes: Rows, folds: int, fold: int) -> list[npt.NDArray[np.bool_]]:
    """Which of the `sizes` rows left of each group are in the fold; a row that is alone in its class is trained on in every fold."""
    dealt = np.cumsum(np.where(sizes > 1, sizes, 0))
    starts = np.concatenate([[0], dealt[:-1]])
    return [
        (start + np.arange(size)) % folds == fold if size > 1 else np.zeros(size, bool) for start, size in zip(starts, sizes, strict=True)
    ]


def _by_class(order: Rows, y: npt.NDArray[Any]) -> list[Rows]:
    """`order` cut into the classes that occur, the random order kept within each."""
    labels = y[order]
    by_label = order[np.argsort(labels, kind="stable")]
    starts = np.flatnonzero(np.diff(np.sort(labels))) + 1
    return [group for group in np.split(by_label, starts) if len(group)]


def _shares(sizes: Rows, share: float, most: Rows, ties: Rows) -> Rows:
    """How many of each group make up `share` of all: whole parts first, the rest to the largest remainders.

    Of equal remainders the earlier group comes first; among groups whose share is less than a row, the one with the smaller number in
    `ties`: else of many classes of few rows the same first ones would be held out under every seed.
    """
    exact = sizes * share
    result = np.minimum(np.floor(exact).astype(np.int64), np.maximum(most, 0))
    missing = round(int(sizes.sum()) * share) - int(result.sum())
    for group in np.lexsort((np.where(exact < 1, ties, -1), np.floor(exact) - exact)):
        if missing > 0 and result[group] < most[group]:
            result[group] += 1
            missing -= 1
    return np.asarray(result, np.int64)
