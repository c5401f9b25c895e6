"""What is measured after each epoch: the same metrics on the validation part and on some rows of the training part, for the gap between."""

# N rows of the training part, n of the sample
from __future__ import annotations

from collections.abc import Generator

import numpy as np

from pipeline import random
from pipeline.data.prepared import Prepared, Rows
from pipeline.rows import known_finite
from pipeline.training import metrics, steps
from pipeline.training.settings import Training

Measuring = Generator[steps.Wanted, steps.Done, dict[str, float]]


class Measured:
    """The metrics of an epoch: those asked for, and `watched`, which early stopping looks at."""

    def __init__(self, data: Prepared, settings: Training, watched: str, *, seed: int) -> None:
        self._data, self._sample = data, sampled(data, settings.train_rows, seed=seed)
        asked = metrics.EACH_EPOCH[data.dataset.task] if settings.metrics is None else settings.metrics
        names = tuple(name for name in asked if name != "loss")  # the loss is always there
        name, _, part = watched.partition("/")
        self.names = names if part == "train" or name == "loss" or name in names else (*names, name)

    def values(self) -> Measuring:
        """`{"accuracy/train": ..., "loss/validation": ..., "accuracy/validation": ...}`: the loss of training is that of the steps."""
        sample = yield from self._of(self._sample, "train")
        held = yield from self._of(self._data.validation, "validation")
        return {name: value for name, value in sample.items() if name != "loss/train"} | held

    def _of(self, rows: Rows | None, part: str) -> Measuring:
        if rows is None or not len(rows):
            return {}
        done = yield steps.Evaluation(x=rows.x, y=rows.targets, weight=rows.weight)
        assert isinstance(done, tuple)
        made, row_loss = done
        return metrics.measure(self._data.dataset.task, self._data.own_units(made), row_loss, rows.y, part, self.names)


def sampled(data: Prepared, most: int, *, seed: int) -> Rows | None:
    """The same rows in every epoch, drawn by the seed: `most` of them, and no more than the validation part has; None for none.

    So they cost no more than the validation does.
    """
    train, held = data.train, len(data.validation)
    count = min(most, len(train), held or most)
    if count == 0:
        return None
    rows = np.sort(random.permutation(seed, random.SAMPLE, 0, len(train))[:count])
    weight = None if train.weight is None else train.weight[rows]
    x, targets = (known_finite(np.asarray(part[rows])) for part in (train.x, train.targets))  # looked at when they were read
    return Rows(x=x, targets=targets, y=train.y[rows], weight=weight)
