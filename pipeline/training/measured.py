"""What is measured after each epoch: the same metrics on the validation part and on some rows of the training part, for the gap between."""

# N rows of the training part, n of the sample
from __future__ import annotations

import numpy as np

from pipeline import random
from pipeline.data.prepared import Prepared, Rows
from pipeline.rows import known_finite
from pipeline.training import metrics
from pipeline.training.settings import Training
from pipeline.training.steps import Trainable


class Measured:
    """The metrics of an epoch: those asked for, and `watched`, which early stopping looks at."""

    def __init__(self, data: Prepared, settings: Training, watched: str, *, seed: int) -> None:
        self._data, self._sample = data, sampled(data, settings.train_rows, seed=seed)
        asked = metrics.EACH_EPOCH[data.dataset.task] if settings.metrics is None else settings.metrics
        names = tuple(name for name in asked if name != "loss")  # the loss is always there
        name, _, part = watched.partition("/")
        self.names = names if part == "train" or name == "loss" or name in names else (*names, name)

    def values(self, program: Trainable) -> dict[str, float]:
        """`{"accuracy/train": ..., "loss/validation": ..., "accuracy/validation": ...}`: the loss of training is that of the steps."""
        found = {name: value for name, value in self._of(program, self._sample, "train").items() if name != "loss/train"}
        return found | self._of(program, self._data.validation, "validation")

    def _of(self, program: Trainable, rows: Rows | None, part: str) -> dict[str, float]:
        if rows is None or not len(rows):
            return {}
        made, row_loss = program.evaluate(rows.x, rows.targets, rows.weight)
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
