"""data.task=reconstruction: the target of a row is the row itself, as an autoencoder learns it."""

# N rows, T numbers of one row
from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from pipeline.data.dataset import Dataset, DataShape, Part


def reconstruction_shape(shape: DataShape) -> DataShape:
    """As many targets as a row has numbers."""
    return DataShape(input_shape=shape.input_shape, targets=math.prod(shape.input_shape))


def reconstruction(dataset: Dataset) -> Dataset:
    """y [N, T] = x, as the data gives it and not copied; classes have served to divide the rows and are left behind."""

    def own(part: Part) -> Part:
        x = np.asarray(part.x)
        return replace(part, x=x, y=x.reshape(len(part), -1))

    return replace(
        dataset,
        task="reconstruction",
        shape=reconstruction_shape(dataset.shape),
        train=own(dataset.train),
        validation=own(dataset.validation),
        test=own(dataset.test),
        class_names=(),
        notes=(*dataset.notes, "the targets are the inputs: labels are not learned"),
    )
