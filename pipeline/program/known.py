"""What a model knows of the data it was trained on: its columns by name, and its classes."""

# N rows
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data import DataShape, Encoder
from pipeline.errors import DataError
from pipeline.graph.values import Array
from pipeline.records import record


@record
class Known:
    """shape   of a row of x;  classes: their names, in the order of the probabilities, or those of the labels
    features   the names of the numbers of a row;  encoder: how the columns of a table become them, None for arrays
    """

    shape: DataShape | None = None
    classes: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    encoder: Encoder | None = None

    @property
    def labels(self) -> bool:
        """Whether a row may have several of the classes."""
        return self.shape is not None and self.shape.labels

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that a table needs."""
        return self.features if self.encoder is None else tuple(column.name for column in self.encoder.columns)

    def rows(self, frame: Any) -> Array:
        """A table of pandas, Polars or Arrow -> x [N, ...].  Raises DataError."""
        from pipeline.data.new import read_frame  # noqa: PLC0415  # the readers of tables are needed only when one comes

        if self.shape is None:
            raise DataError("x is a table, and the program knows no columns; give an array, or train with pipeline.train")
        return read_frame(frame, self.encoder, self.features, self.shape)

    def numbered(self, y: npt.ArrayLike) -> npt.ArrayLike:
        """y [N] of names of classes as their numbers; all else as it is.  Raises DataError."""
        words = np.asarray(y)
        if not self.classes or self.labels or words.dtype.kind not in "UO" or words.ndim != 1:
            return y
        number = {name: place for place, name in enumerate(self.classes)}
        strange = next(((row, str(word)) for row, word in enumerate(words.tolist()) if str(word) not in number), None)
        if strange is not None:
            raise DataError(f"y[{strange[0]}] = {strange[1]}: is none of the classes {', '.join(self.classes[:20])}")
        return np.array([number[str(word)] for word in words.tolist()], np.int32)


UNKNOWN = Known()
