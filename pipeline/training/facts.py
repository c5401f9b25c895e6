"""What is stored of a trained run beside its arrays: what reading new rows, predicting and going on need to know."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pipeline.data import Dataset, DataShape, Encoder, Part
from pipeline.data.dataset import ImageForm
from pipeline.records import record, setting


@record
class Facts:
    """Of the data a run was trained on (see `Dataset`), and `digest` of its network; the fields are the keys of the stored JSON.

    input_shape, classes, targets   of the rows as they are read, before the preprocessing
    class_names                     of the classes, or of the labels of a row
    encoder                         how the columns of a table become x; None for arrays
    images                          what images were made; None for all else
    """

    name: str
    task: Literal["classification", "regression", "multilabel", "reconstruction"]
    input_shape: tuple[int, ...] = setting(least=1)
    classes: int | None = setting(least=1)
    targets: int | None = setting(least=1)
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    encoder: Encoder | None
    fingerprint: str
    digest: str
    images: ImageForm | None = None

    @property
    def shape(self) -> DataShape:
        """Of the rows as they are read."""
        labels = self.task == "multilabel"
        return DataShape(input_shape=self.input_shape, classes=self.classes, targets=self.targets, labels=labels)

    @property
    def known(self) -> Dataset:
        """The data set without its rows."""
        none = Part(x=np.zeros((0, *self.input_shape)), y=np.zeros(0), rows=np.zeros(0, np.int64))
        return Dataset(
            name=self.name,
            task=self.task,
            shape=self.shape,
            train=none,
            validation=none,
            test=none,
            fingerprint=self.fingerprint,
            class_names=self.class_names,
            feature_names=self.feature_names,
            encoder=self.encoder,
            images=self.images,
        )


def facts_of(dataset: Dataset, digest: str) -> Facts:
    """The facts of a run on `dataset` whose network has `digest`."""
    return Facts(
        name=dataset.name,
        task=dataset.task,
        input_shape=dataset.shape.input_shape,
        classes=dataset.shape.classes,
        targets=dataset.shape.targets,
        class_names=dataset.class_names,
        feature_names=dataset.feature_names,
        encoder=dataset.encoder,
        fingerprint=dataset.fingerprint,
        digest=digest,
        images=dataset.images,
    )
