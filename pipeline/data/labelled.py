"""A labelled table beside the one that a model was trained on, its columns read as that one's were and its classes those of the model."""

# N rows
from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.arrays.archive import npy, npz
from pipeline.data.cells.columns import Encoder, canonical, truth_word
from pipeline.data.dataset import Dataset, Part, Task
from pipeline.data.images.folder import new_images
from pipeline.data.images.listing import by_class
from pipeline.data.new import in_its_encoding, matched
from pipeline.data.settings import Data, Split, target_columns
from pipeline.data.sources.origin import source
from pipeline.data.storage.files import located
from pipeline.data.tables.encoder import read_weight, target_rows
from pipeline.data.tables.table import Table, read_table
from pipeline.errors import DataError
from pipeline.records import record
from pipeline.rows import Streamed

Array = npt.NDArray[Any]


@record
class Labelled:
    """x [N, D], y int32 [N] or float64 [N, T], weight [N] where the config asks for it, and the digest of the inputs."""

    x: Array
    y: Array
    weight: npt.NDArray[np.float64] | None
    digest: str

    @property
    def pair(self) -> tuple[Array, Array]:
        """x [N, D] and y [N] or [N, 1]."""
        return self.x, self.y


def labelled(
    text: str, config: Data, encoder: Encoder, task: Task, class_names: Sequence[str], *, at: str, say: Callable[[str], None]
) -> Labelled:
    """The rows of the table in `text`, the value of the config's `at`, that have a target; `say` is told what is odd.  Raises DataError."""
    try:
        config, note = in_its_encoding(replace(config, kind="table", path=text, task="auto"))
        if note is not None:
            say(note)
        return _read(text, config, encoder, task, class_names, say)
    except DataError as error:
        raise DataError(str(error).replace("data.path = ", f"{at} = ", 1)) from None


def other_rows(config: Data, encoder: Encoder | None, known: Dataset) -> Dataset:
    """The rows of data.path as a data set that is all test part; `known` is that of the model, without rows.  Raises DataError."""
    path, notes = located(str(config.path)), list[str]()
    if known.task == "reconstruction":
        raise DataError(f"data.path = {path}: is not what the run was trained on, and a reconstruction is measured on its own data alone")
    if encoder is not None:
        found = labelled(str(config.path), config, encoder, known.task, known.class_names, at="data.path", say=notes.append)
        x, y, weight = found.x, found.y, found.weight
    elif path.is_dir():
        x, y = _images(path, known)
        weight = None
    elif path.suffix == ".npz":
        x, y, weight = labelled_arrays(str(config.path), config, known.task, known.class_names)
        x = np.asarray(x)
    else:
        raise DataError(
            f"data.path = {path}: the model was trained on arrays; give an npz file with x and y, or a folder of images for each class"
        )
    if math.prod(x.shape[1:]) != math.prod(known.shape.input_shape):
        rule = f"its rows have shape {list(x.shape[1:])} and the model takes {list(known.shape.input_shape)}"
        raise DataError(f"data.path = {path}: {rule}")
    x = np.ascontiguousarray(x).reshape(len(x), *known.shape.input_shape)
    test = Part(x=x, y=y, rows=np.arange(len(x)), weight=weight)
    return replace(known, name=path.name.removesuffix(".gz").rpartition(".")[0] or path.name, test=test, notes=tuple(notes))


def labelled_arrays(
    text: str, config: Data, task: Task, class_names: Sequence[str], *, at: str = "data.path"
) -> tuple[Array, Array, npt.NDArray[np.float64] | None]:
    """x [N, ...], y and the weights [N] of an npz file, or of a folder of x.npy and y.npy, its classes those of the model.

    `text` is the value of the config's `at`.  Raises DataError.
    """
    path, own = located(text), replace(config, task=task, split=Split(), test_path=None, validation_path=None)
    try:
        raw = npy(replace(own, kind="npy", root=text)) if path.is_dir() else npz(replace(own, kind="npz", path=text))
        written = [raw.class_names[label] for label in raw.y] if task == "classification" else []
        y = _numbered(written, class_names, f"data.path = {path}, y", "row {}".format) if written else raw.y
    except DataError as error:
        raise DataError(re.sub(r"^data\.(path|root) = ", f"{at} = ", str(error))) from None
    return np.asarray(raw.x) if isinstance(raw.x, Streamed) else raw.x, y, raw.weights.get("train")


def _images(root: Path, known: Dataset) -> tuple[Array, Array]:
    """x [N, ...] and y [N] of a folder of images for each class."""
    if known.task != "classification":
        raise DataError(f"data.path = {root}: is a folder of images by class, and the model predicts no classes")
    found = by_class(root)
    x = np.concatenate([new_images(root / name, known.images, known.shape.input_shape) for name in found])
    written = [name for name, paths in found.items() for _ in paths]
    return x, _numbered(written, known.class_names, f"data.path = {root}", "image {}".format)


def _read(text: str, config: Data, encoder: Encoder, task: Task, class_names: Sequence[str], say: Callable[[str], None]) -> Labelled:
    path = located(text)
    rows = source(path, config)
    x, table = matched(rows, encoder, lambda note: say(f"{path.name}: {note}"), far=False)
    targets = target_columns(encoder.target)
    lacking = next((name for name in targets if name not in rows.names), None)
    if lacking is not None:
        raise DataError(f"data.path = {path}: has no column {lacking}, the target of the model; give a labelled table")
    used = [name for name in (*targets, config.sample_weight) if name in rows.names]
    others = tuple(name for name in rows.names if name not in used)
    beside = read_table(
        path, replace(config, columns={k: v for k, v in config.columns.items() if k in used}, categorical=(), ignore=others)
    )
    kept, kept_notes = target_rows(beside, replace(config, target=encoder.target))
    for note in kept_notes:
        say(f"{path.name}: {note}")
    if task == "classification":
        y = _labels(beside, targets[0], kept, class_names)
    else:
        y = np.concatenate([_numbers(beside, name, kept) for name in targets], axis=1)
    weight = None if config.sample_weight is None else read_weight(beside, config.sample_weight)[kept]
    return Labelled(x=np.asarray(x[:])[kept], y=y, weight=weight, digest=table.digest(column.name for column in encoder.columns))


def _numbers(table: Table, name: str, rows: npt.NDArray[np.int64]) -> Array:
    if table.column(name).words is not None:
        raise DataError(f"{table.label}: the target {name} holds words, and the model predicts numbers; mend it")
    return table.values(name, rows)[:, None]


def _labels(table: Table, name: str, rows: npt.NDArray[np.int64], class_names: Sequence[str]) -> Array:
    """Numbers of classes by their names: as written, as the number that they are, or in other capitals."""
    words, values = table.column(name).words, table.values(name, rows)
    written = [_number(value) for value in values.tolist()] if words is None else [words[int(value)] for value in values]
    return _numbered(written, class_names, f"{table.label}: target column {name}", lambda row: table.place(int(rows[row])))


def _numbered(written: Sequence[str], class_names: Sequence[str], at: str, place: Callable[[int], str]) -> Array:
    """int32 [N] of the names of classes as they are written, or in a spelling that tells them all apart."""
    spellings: list[Callable[[str], str]] = [
        str,
        canonical,
        str.casefold,
        *([truth_word] if {*map(truth_word, class_names)} == {"true", "false"} else []),
    ]
    known = [(how, {how(name): number for number, name in enumerate(class_names)}) for how in spellings]
    spelled = [(how, names) for how, names in known if len(names) == len(class_names)]

    def label(word: str) -> int:
        found = (names.get(how(word)) for how, names in spelled)
        return next((number for number in found if number is not None), -1)

    labels = np.array([label(word) for word in written], np.int32)
    odd = np.flatnonzero(labels < 0)
    if len(odd):
        classes = ", ".join(class_names[:20]) + (" ..." if len(class_names) > 20 else "")
        told = f"{at}, {place(int(odd[0]))} is {written[odd[0]]!r}, a class that the model does not know, {len(odd)} of {len(written)} rows"
        raise DataError(f"{told}; its classes are {classes}")
    return labels


def _number(value: float) -> str:
    """The name of a class that is a number."""
    return str(int(value)) if value.is_integer() else str(value)
