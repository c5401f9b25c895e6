"""NumPy archives: x [N, ...] and y [N] or [N, T]; x_test and y_test where the set keeps rows for testing."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from pipeline.data.dataset import Array, Source
from pipeline.data.files import existing
from pipeline.errors import DataError, nearest


def load(path: str | None, task: str) -> Source:
    """The rows of an archive.  y of whole numbers is classes unless `task` says regression.  Raises DataError."""
    file = existing(path, "npz")
    arrays = _arrays(file)
    x, y = _rows(file, arrays, "")
    keeps = "x_test" in arrays
    test = _rows(file, arrays, "_test") if keeps else None
    classes = task == "classification" or (task == "auto" and y.ndim == 1 and not np.issubdtype(y.dtype, np.floating))
    if not classes:
        return Source(x=x, y=_numbers(y), test=(test[0], _numbers(test[1])) if test else None)
    labels = np.unique(y if test is None else np.concatenate([y, test[1]]))
    index = {label: number for number, label in enumerate(labels.tolist())}

    def numbered(values: Array) -> Array:
        return np.array([index[v] for v in values.tolist()], np.int32)

    return Source(x=x, y=numbered(y), class_names=tuple(map(str, labels)), test=(test[0], numbered(test[1])) if test else None)


def read_x(path: str | None) -> Array:
    """x alone, to predict."""
    file = existing(path, "npz")
    return _array(file, _arrays(file), "x").astype(np.float32)


def _arrays(file: Path) -> dict[str, Array]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, AttributeError) as error:
        raise DataError(f"{file}: is no NumPy archive of plain arrays ({error}); write it with numpy.savez") from error


def _array(file: Path, arrays: dict[str, Array], name: str) -> Array:
    for candidate in (name, f"{name}_train"):
        if candidate in arrays:
            return arrays[candidate]
    raise DataError(f"{file}: holds no array {name}; {nearest(name, arrays)}")


def _rows(file: Path, arrays: dict[str, Array], suffix: str) -> tuple[Array, Array]:
    x, y = _array(file, arrays, f"x{suffix}"), _array(file, arrays, f"y{suffix}")
    if len(x) != len(y):
        raise DataError(f"{file}: x{suffix} has {len(x)} rows and y{suffix} {len(y)}; give both the same")
    return (x[:, None] if x.ndim == 1 else x).astype(np.float32), y


def _numbers(y: Array) -> Array:
    return y.astype(np.float64).reshape(len(y), -1)
