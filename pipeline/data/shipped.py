"""Data sets that scikit-learn ships."""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path

import numpy as np

from pipeline.data.dataset import DataShape, Source
from pipeline.errors import DataError

SHAPES: dict[str, DataShape] = {
    "digits": DataShape(input_shape=(8, 8, 1), classes=10),
    "breast_cancer": DataShape(input_shape=(30,), classes=2),
    "wine": DataShape(input_shape=(13,), classes=3),
    "iris": DataShape(input_shape=(4,), classes=3),
    "diabetes": DataShape(input_shape=(10,), targets=1),
}


def load(kind: str) -> Source:
    """The rows of `kind`."""
    if kind == "digits":
        return _digits()
    # scikit-learn takes a second to import, so only the sets that need its reader pay for it
    import sklearn.datasets  # noqa: PLC0415

    bunch = getattr(sklearn.datasets, f"load_{kind}")()
    shape = SHAPES[kind]
    y = bunch.target.astype(np.int32) if shape.classes else bunch.target.astype(np.float64)[:, None]
    names = tuple(map(str, bunch.target_names)) if shape.classes else ()
    return Source(x=bunch.data.astype(np.float32), y=y, class_names=names, feature_names=tuple(map(str, bunch.feature_names)))


def _digits() -> Source:
    """1,797 images [8, 8, 1] with values 0 to 16, read from scikit-learn's file without importing it."""
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise DataError("data.kind = digits: scikit-learn, which ships the set, is not installed; run make setup")
    path = Path(package.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    with gzip.open(path, "rb") as file:
        table = np.array(file.read().decode("ascii").replace("\n", ",").rstrip(",").split(","), np.float32).reshape(-1, 65)
    return Source(x=table[:, :64].reshape(-1, 8, 8, 1), y=table[:, 64].astype(np.int32), class_names=tuple("0123456789"))
