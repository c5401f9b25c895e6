"""Arrays in npz files, and the checks that every array of data goes through."""

# N rows, T targets
from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.dataset import Raw, Task
from pipeline.data.files import located, read_bytes
from pipeline.data.settings import Data
from pipeline.errors import DataError
from pipeline.one_hot import one_hot

Array = npt.NDArray[Any]

_SUFFIXES = {"validation": ("validation", "val", "valid"), "test": ("test",)}


def npz(config: Data) -> Raw:
    """x and y, or x_train, y_train with x_validation (x_val), x_test where the file has its own parts.  Raises DataError.

    y of whole numbers, words or booleans are classes, and so are one-hot rows, a single 1 among zeros; other numbers are values to
    predict; data.task overrides it.
    """
    path = located(str(config.path))
    arrays = read_npz(path)
    train = "x_train" if "x_train" in arrays else "x"
    names, pairs = {"train": train}, {"train": _pair(arrays, train, path)}
    for part, suffixes in _SUFFIXES.items():
        name = next((f"x_{suffix}" for suffix in suffixes if f"x_{suffix}" in arrays), None)
        if name is not None:
            names[part], pairs[part] = name, _pair(arrays, name, path)
    for part, (x, _) in pairs.items():
        if x.shape[1:] != pairs["train"][0].shape[1:]:
            shapes = f"{list(x.shape[1:])} and those of training {list(pairs['train'][0].shape[1:])}"
            raise DataError(f"data.path = {path}: the rows of {part} have shape {shapes}; give them the same shape")
    ys, count = _from_one_hot({part: y for part, (_, y) in pairs.items()}, config)
    labels, task, class_names = _labels(ys, config if count is None else replace(config, classes=count), path)
    hint = "; data.task=regression takes it as numbers" if config.task == "auto" else ""
    notes = [] if count is None else [f"y is one-hot, taken as {count} classes{hint}"]
    own = {part: (x, labels[part]) for part, (x, _) in pairs.items()}
    notes += [f"the {part} part is that of the file; data.split.{part} is not used" for part in own if part != "train"]
    x, y = own["train"]
    weights = _weights(arrays, config, {part: (name, len(own[part][0])) for part, name in names.items()}, path)
    return Raw(
        x=x, y=y, task=task, class_names=class_names, validation=own.get("validation"), test=own.get("test"), notes=notes, weights=weights
    )


def read_npz(path: Path) -> dict[str, Array]:
    """The arrays of an npz file by name, keys in lower case; objects are refused, they would be pickles.  Raises DataError."""
    try:
        with np.load(io.BytesIO(read_bytes(path, at="data.path")), allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("a single array")
            return {name.lower(): file[name] for name in file.files}
    except (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"data.path = {path}: is not a whole npz file of plain arrays; write it with numpy.savez") from error


def finite(x: Array, source: str) -> Array:
    """`x` [N, ...] unchanged.  Raises DataError that names the first row and place with NaN or infinity."""
    if x.dtype.kind in "iub" or bool(np.isfinite(x).all()):
        return x
    row, *place = (int(i) for i in np.argwhere(~np.isfinite(x))[0])
    where = f", column {place[0]}" if len(place) == 1 else f", position {tuple(place)}" if place else ""
    raise DataError(f"{source}: row {row}{where} is {x[(row, *place)]}; every number must be finite")


def numeric(x: Array, source: str) -> Array:
    """`x` [N, ...] as float32, or float64 where it has more digits than float32 holds.  Raises DataError."""
    if x.dtype.kind not in "iufb" or x.ndim == 0:
        raise DataError(f"{source}: has type {x.dtype}, shape {x.shape}; it must be an array of numbers with one row per example")
    wide = x.dtype == np.float64 or x.dtype in (np.int32, np.int64, np.uint32, np.uint64)
    return finite(x, source).astype(np.float64 if wide else np.float32, copy=False)


def _pair(arrays: dict[str, Array], x_name: str, path: Path) -> tuple[Array, Array]:
    """x [N, ...] and the y that belongs to it."""
    y_name = x_name.replace("x", "y", 1)
    for name in (x_name, y_name):
        if name not in arrays:
            names = ", ".join(sorted(arrays)) or "nothing"
            hint = "name them x and y, or x_train, y_train, x_test, y_test"
            raise DataError(f"data.path = {path}: has no array {name}, its arrays are {names}; {hint}")
    x, y = numeric(arrays[x_name], f"data.path = {path}, {x_name}"), arrays[y_name]
    x = x[:, None] if x.ndim == 1 else x
    if y.ndim == 0 or len(x) != len(y):
        raise DataError(f"data.path = {path}: {x_name} has {len(x)} rows and {y_name} has shape {y.shape}; give one y per row")
    if not x.size or not y.size:
        raise DataError(
            f"data.path = {path}: {x_name} has shape {x.shape} and {y_name} {y.shape}, which is no value at all; leave empty arrays out"
        )
    return x, np.char.decode(y, "utf-8", "replace") if y.dtype.kind == "S" else y


def _weights(arrays: dict[str, Array], config: Data, parts: dict[str, tuple[str, int]], path: Path) -> dict[str, Array]:
    """The weights of the rows of each part: for x_train, `NAME_train`; parts: part -> (name of its x, rows).  Raises DataError."""
    if config.sample_weight is None:
        return {}
    found = {}
    for part, (x_name, rows) in parts.items():
        name = x_name.replace("x", config.sample_weight.lower(), 1)
        if name not in arrays:
            rule = f"{path} has no array {name}, its arrays are {', '.join(sorted(arrays))}"
            raise DataError(f"data.sample_weight = {config.sample_weight}: {rule}; give one weight for each row of {x_name}")
        values = numeric(arrays[name], f"data.path = {path}, {name}").astype(np.float64)
        if values.shape != (rows,):
            raise DataError(f"data.path = {path}: {name} has shape {values.shape} and {x_name} {rows} rows; give one weight per row")
        wrong = np.flatnonzero(values < 0)
        if len(wrong):
            raise DataError(f"data.path = {path}, {name}: row {wrong[0]} is {values[wrong[0]]:g}; a weight must be a number of at least 0")
        found[part] = values
    return found


def _from_one_hot(ys: dict[str, Array], config: Data) -> tuple[dict[str, Array], int | None]:
    """y of each part with one-hot rows [N, C] turned into classes [N], and C; anything else as it is, and None."""
    widths = {y.shape[1:] for y in ys.values()}
    numbers = all(y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind in "iubf" for y in ys.values())
    if config.task == "regression" or not numbers or len(widths) > 1 or not all(one_hot(y).all() for y in ys.values()):
        return ys, None
    return {part: y.argmax(axis=1) for part, y in ys.items()}, int(widths.pop()[0])


def _labels(ys: dict[str, Array], config: Data, path: Path) -> tuple[dict[str, Array], Task, tuple[str, ...]]:
    """y of each part, the task, and the class names."""
    one_column = all(y.ndim == 1 or y.shape[1:] == (1,) for y in ys.values())
    classes = all(y.dtype.kind in "iubUS" for y in ys.values()) and one_column
    task: Task = config.task if config.task != "auto" else ("classification" if classes else "regression")
    source = f"data.path = {path}, y"
    if task == "regression":
        values = {part: numeric(y, source).astype(np.float64) for part, y in ys.items()}
        return {part: y.reshape(len(y), -1) for part, y in values.items()}, task, ()
    if not one_column:
        shape = ys["train"].shape
        raise DataError(f"{source}: has shape {shape}; classes are one label per row, or one-hot rows, a single 1 among zeros")
    flat = {part: y.reshape(-1) for part, y in ys.items()}
    for y in flat.values():
        if y.dtype.kind == "f":
            finite(y, source)
    encoded, names = encode_labels(np.concatenate(list(flat.values())), config.classes)
    ends = np.cumsum([len(y) for y in flat.values()])[:-1]
    return dict(zip(flat, np.split(encoded, ends), strict=True)), task, names


def encode_labels(labels: Array, classes: int | None) -> tuple[Array, tuple[str, ...]]:
    """Labels [N] -> int32 [N] in 0..C-1, and the class names in that order.

    Whole numbers below a declared number of classes stand for themselves, and a class may have no row; others are numbered as sorted.
    """
    found, y = np.unique(labels, return_inverse=True)
    if classes is not None and found.dtype.kind in "iuf" and len(found) and found.min() >= 0 and found.max() < classes and _whole(found):
        return labels.astype(np.int32), tuple(str(c) for c in range(classes))
    names = [str(int(v)) if found.dtype.kind == "f" and float(v).is_integer() else str(v) for v in found.tolist()]
    return y.astype(np.int32).reshape(-1), tuple(names)


def _whole(values: Array) -> bool:
    return bool(np.all(values == np.floor(values)))
