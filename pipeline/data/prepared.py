"""A data set as the network sees it: x preprocessed, the targets of a regression standardized.  Training and checks take it from here."""

# N rows, T targets
from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.dataset import Dataset, DataShape, Part
from pipeline.data.load import describe, load
from pipeline.data.settings import Data
from pipeline.preprocessing import Fitted, Preprocessing, fit, shape_without_data
from pipeline.preprocessing.target_scale import TargetScale
from pipeline.records import record
from pipeline.rows import Streamed, kept, known_finite

Array = npt.NDArray[Any]


@record
class Rows:
    """x [N, ...] and targets, int32 [N] or float64 [N, T], are what a program is given; weight [N] is what each row counts in the loss.

    y   the labels or targets as the data has them: what a prediction is measured against
    """

    x: Array | Streamed
    targets: Array | Streamed
    y: Array
    weight: npt.NDArray[np.float64] | None

    def __len__(self) -> int:
        return len(self.y)


@record
class Prepared:
    """The parts of `dataset` after what was fitted on its training part; target_scale is None where targets stay as they are."""

    dataset: Dataset
    fitted: Fitted
    target_scale: TargetScale | None
    train: Rows
    validation: Rows
    test: Rows

    @property
    def shape(self) -> DataShape:
        """Of what a program takes."""
        return shape_after(self.dataset.shape, self.fitted)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done, for the reader."""
        return self.fitted.notes if self.target_scale is None else (*self.fitted.notes, self.target_scale.note)

    def arrays(self) -> dict[str, Array]:
        """What was fitted, for a checkpoint, by name: 0.standardize.shift [F...], target.mean [T]."""
        return {**self.fitted.arrays(), **(self.target_scale.arrays() if self.target_scale else {})}

    def own_units(self, prediction: Array) -> Array:
        """A prediction of the network [N, T] in the units of y; class probabilities have none."""
        return prediction if self.target_scale is None else self.target_scale.undo(prediction)


def prepared(dataset: Dataset, settings: Preprocessing, *, precision: str = "float32") -> Prepared:
    """`dataset` with x in the program's precision.

    Bytes in memory stay bytes where the gather of a step can prepare them: a quarter of the memory, and nothing to wait for.  So do the
    targets of a reconstruction: to scale all the pixels of a set of images takes longer than a few steps on some of them.
    Raises ConfigError.
    """
    fitted, scale, pixels = fit(settings, dataset.train.x, precision=precision), None, dataset.task == "reconstruction"
    if dataset.task in ("regression", "reconstruction") and settings.targets == "standardize":
        scale = TargetScale.fit(dataset.train.y, together=pixels)

    def rows(part: Part) -> Rows:
        x, targets = part.x, part.y if scale is None else scale.view(part.y)
        made = fitted.apply(kept(x) if isinstance(x, np.ndarray) and x.dtype == np.uint8 else x)
        if isinstance(made, Streamed) and made.waits and not made.raw:
            made = np.asarray(made)
        return Rows(
            x=made if isinstance(made, Streamed) else known_finite(made),
            targets=targets if pixels else known_finite(np.asarray(targets)),
            y=part.y,
            weight=part.weight,
        )

    parts = {name: rows(getattr(dataset, name)) for name in ("train", "validation", "test")}
    return Prepared(dataset=dataset, fitted=fitted, target_scale=scale, **parts)


def shape_after(shape: DataShape, fitted: Fitted) -> DataShape:
    """The shape of what a program takes: rows of `shape` after the preprocessing.  Raises DataError."""
    return replace(shape, input_shape=fitted.shape(shape.input_shape))


def declared_shape(config: Data, settings: Preprocessing, *, seed: int) -> DataShape:
    """The shape of what a program takes, as far as possible without data.  Raises ConfigError and DataError.

    A share of the variance needs them: only the training part knows how many components hold it.
    """
    shape = describe(config, seed=seed)
    row = shape_without_data(settings, shape.input_shape)
    if row is None:
        return shape_after(shape, fit(settings, load(config, seed=seed).train.x))
    return replace(shape, input_shape=row)
