"""Train, validation and test rows: a function of the seed, the labels and the shares, and of nothing else."""

# N rows
from __future__ import annotations

import numpy as np

from pipeline import random
from pipeline.data.dataset import Array
from pipeline.errors import ConfigError


def split(y: Array, *, validation: float, test: float, seed: int) -> tuple[Array, Array, Array]:
    """Row numbers of the three parts, each in ascending order.

    Classes are spread over the parts in proportion (largest remainders); numbers are split at random.  Raises ConfigError.
    """
    if validation + test >= 1:
        hint = "leave some rows to train on"
        raise ConfigError(
            at="data.split", got=f"{{validation: {validation}, test: {test}}}", rule="shares must sum to less than 1", hint=hint
        )
    count = len(y)
    order = random.permutation(seed, random.SPLIT, 0, count)
    labels = y if y.ndim == 1 and np.issubdtype(y.dtype, np.integer) else np.zeros(count, np.int64)
    # the k-th of a class's n rows stands at (k + 1/2) / n; sorting by that place spreads every class evenly over the shares
    place = np.empty(count)
    shuffled = labels[order]
    for label in np.unique(labels):
        members = order[shuffled == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    ranked = np.lexsort((order.argsort(), place))
    held = round(test * count), round(validation * count)
    test_rows, validation_rows, train_rows = np.split(ranked, [held[0], held[0] + held[1]])
    return np.sort(train_rows), np.sort(validation_rows), np.sort(test_rows)
