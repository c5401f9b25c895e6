"""The data set that a config names: its shape, its three parts, and new rows to predict."""

# N rows
from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.arrays.archive import npy, npz, of_arrays
from pipeline.data.arrays.generated import rings, two_moons
from pipeline.data.arrays.idx import idx_images
from pipeline.data.arrays.shipped import breast_cancer, diabetes, digits, iris, wine
from pipeline.data.cells.columns import Encoder
from pipeline.data.dataset import Dataset, DataShape, Part, Raw
from pipeline.data.images.folder import image_folder
from pipeline.data.labelled import labelled, labelled_arrays
from pipeline.data.reconstruction import reconstruction, reconstruction_shape
from pipeline.data.settings import IMAGES, TABLES, Data, check_no_columns, check_shape, check_source
from pipeline.data.sources.frames import Given
from pipeline.data.split import split
from pipeline.data.storage.files import located
from pipeline.data.storage.memory import memory_bytes
from pipeline.data.tables.cache import open_table
from pipeline.data.tables.copies import copies
from pipeline.data.tables.divide import check_folds, divided, readable
from pipeline.data.tables.encoder import encode, fit_encoder, read_target, read_weight, target_rows
from pipeline.data.tables.table import Table, read_rows
from pipeline.errors import ConfigError, DataError
from pipeline.rows import Streamed, file_of, kept_type

Array = npt.NDArray[Any]
_STREAMED = "the rows would fill more than half of the memory: they are streamed (data.stream=false loads them all)"
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """How a kind of data is read, and its shape where that is known without reading, or what tells it of a config."""

    read: Callable[[Data], Raw]
    shape: DataShape | Callable[[Data], DataShape | None] | None = None


SOURCES: dict[str, Source] = {
    "digits": Source(digits, DataShape(input_shape=(8, 8, 1), classes=10)),
    "breast_cancer": Source(breast_cancer, DataShape(input_shape=(30,), classes=2)),
    "wine": Source(wine, DataShape(input_shape=(13,), classes=3)),
    "iris": Source(iris, DataShape(input_shape=(4,), classes=3)),
    "diabetes": Source(diabetes, DataShape(input_shape=(10,), targets=1)),
    "two_moons": Source(two_moons, DataShape(input_shape=(2,), classes=2)),
    "rings": Source(rings, DataShape(input_shape=(2,), classes=2)),
    "mnist": Source(idx_images, DataShape(input_shape=(28, 28, 1), classes=10)),
    "fashion_mnist": Source(idx_images, DataShape(input_shape=(28, 28, 1), classes=10)),
    "npz": Source(npz),
    "npy": Source(npy),
    "image_folder": Source(image_folder),
}


def describe(config: Data, *, seed: int = 0) -> DataShape:
    """The shape of the data; nothing is read where the kind or the config declares it, else it is loaded.

    The seed matters for tables alone: the categories of the training part decide how many columns there are.
    Raises ConfigError, and DataError when it must load.
    """
    check_shape(config)
    if config.input_shape is not None and (config.classes is not None or config.targets is not None):
        # a program for a shape of one's own needs no data; `load` holds a declared shape against the data
        labels = config.task == "multilabel"
        return DataShape(input_shape=config.input_shape, classes=config.classes, targets=config.targets, labels=labels)
    if config.task == "reconstruction":
        given = None if config.input_shape is None else DataShape(input_shape=config.input_shape, targets=1)
        return reconstruction_shape(given or describe(replace(config, task="auto"), seed=seed))
    found = SOURCES[config.kind].shape if config.kind in SOURCES else None
    known = found(config) if callable(found) else found
    if known is not None:
        return _agreed(config, known)
    return load(config, seed=seed).shape


def read_source(config: Data) -> Raw:
    """What a source holds that is no table, whatever the split.  Raises ConfigError, DataError."""
    return _with_parts(SOURCES[config.kind].read(config), config)


def load(config: Data, *, seed: int, given: Given | None = None, source: Callable[[Data], Raw] = read_source) -> Dataset:
    """The data set in three parts: classes are stratified; the split depends on seed, labels and shares alone.

    given   the rows of data=arrays
    source  reads what is no table, in place of the files where it has been read before
    Raises ConfigError for settings that do not fit each other or the data, DataError for files, columns and values.
    """
    check_source(config)
    _check_given(config, given)
    if config.task == "reconstruction":
        if config.stream is True:
            rule = "the targets of a reconstruction are its rows, and targets are kept in memory"
            raise ConfigError(at="data.stream", got=True, rule=rule, hint="leave it auto")
        return reconstruction(load(replace(config, task="auto", stream=False), seed=seed, given=given, source=source))
    if config.kind in TABLES:
        return _load_table(config, seed)
    if given is not None and given.framed:
        return _from_table(config, seed, read_rows(given.source, readable(config)), "arrays", [])
    if given is not None:
        check_no_columns(config)
        raw = _with_parts(of_arrays(given.arrays(), config), config)
        return _dataset(config, raw, _split(config, raw, seed), config.kind, None, seed)
    raw = source(config)
    name = config.kind if config.kind != IMAGES else located(str(config.path)).resolve().name or config.kind
    return _dataset(config, raw, _split(config, raw, seed), name, None, seed)


def _check_given(config: Data, given: Given | None) -> None:
    """Rows in memory are those of data=arrays, and of nothing else."""
    if config.kind == "arrays" and given is None:
        rule = "the rows are those in memory that pipeline.train(cfg, x, y) was given"
        raise DataError(f"data = arrays: {rule}; give them again from Python, or use files")
    if config.kind != "arrays" and given is not None:
        raise ConfigError(at="data.kind", got=config.kind, rule="the rows are given in memory", hint="use data=arrays")


def _load_table(config: Data, seed: int) -> Dataset:
    path = located(str(config.path))
    notes: list[str] = []
    table = open_table(path, readable(config), say=notes.append)
    name = "query" if config.path is None else Path(path.name.removesuffix(".gz")).stem
    return _from_table(config, seed, table, name, notes)


def _from_table(config: Data, seed: int, table: Table, name: str, notes: list[str]) -> Dataset:
    """The target decides the split, the training rows the encoder, the encoder x."""
    kept, kept_notes = target_rows(table, config)
    known, task, class_names, target_notes = read_target(table, config, kept)
    rows, split_notes = divided(table, config, kept, known, seed)
    y = np.repeat(known[:1], len(table), axis=0)  # rows without a target are in no part
    y[kept] = known
    encoder, fit_notes = fit_encoder(table, config, rows[0])
    x, encode_notes = encode(table, encoder)
    notes += kept_notes + target_notes + split_notes + fit_notes + encode_notes
    notes += copies(table, [column.name for column in encoder.columns], known, kept)
    weights = {} if config.sample_weight is None else {"train": read_weight(table, config.sample_weight)}
    own = {
        part: labelled(place, replace(config, skip=()), encoder, task, class_names, at=f"data.{part}_path", say=notes.append)
        for part, place in (("validation", config.validation_path), ("test", config.test_path))
        if place is not None
    }
    weights |= {part: found.weight for part, found in own.items() if found.weight is not None}
    raw = Raw(
        x=x,
        y=y,
        task=task,
        class_names=class_names,
        feature_names=encoder.features,
        notes=notes,
        validation=own["validation"].pair if "validation" in own else None,
        test=own["test"].pair if "test" in own else None,
        weights=weights,
        digest="".join([table.digest(column.name for column in encoder.columns), *(found.digest for found in own.values())]),
    )
    return _dataset(config, raw, rows, name, encoder, seed)


def _with_parts(raw: Raw, config: Data) -> Raw:
    """`raw` with the validation and test parts that lie in files of their own.  Raises ConfigError and DataError."""
    for part, place in (("validation", config.validation_path), ("test", config.test_path)):
        if place is None:
            continue
        at = f"data.{part}_path"
        if getattr(raw, part) is not None:
            raise ConfigError(at=at, got=place, rule=f"the data has a {part} part of its own", hint="leave it null")
        x, y, weight = labelled_arrays(place, config, raw.task, raw.class_names, at=at)
        if x.shape[1:] != raw.x.shape[1:] or y.shape[1:] != raw.y.shape[1:]:
            found, wanted = ([list(each.shape[1:]) for each in pair] for pair in ((x, y), (raw.x, raw.y)))
            rule = f"its rows of x and y have shapes {found[0]} and {found[1]}, those of training {wanted[0]} and {wanted[1]}"
            raise DataError(f"{at} = {place}: {rule}; give them the same")
        weights = raw.weights if weight is None else {**raw.weights, part: weight}
        raw = replace(raw, weights=weights, test=(x, y)) if part == "test" else replace(raw, weights=weights, validation=(x, y))
    return raw


def _split(config: Data, raw: Raw, seed: int) -> tuple[Rows, Rows, Rows]:
    """Rows of the source for each part; a part that the source has of its own gets none."""
    validation = config.split.validation if raw.validation is None else 0.0
    test = config.split.test if raw.test is None else 0.0
    if raw.validation is not None and config.split.folds is not None:
        rule = "the data has a validation part of its own"
        raise ConfigError(at="data.split.folds", got=config.split.folds, rule=rule, hint="leave it null")
    return _split_rows(config, raw.y, validation, test, seed)


def _split_rows(config: Data, y: Any, validation: float, test: float, seed: int) -> tuple[Rows, Rows, Rows]:
    """The split of `y` by the config's shares or folds.  Raises ConfigError for a fold without rows."""
    rows = split(y, validation=validation, test=test, seed=seed, folds=config.split.folds, fold=config.split.fold)
    check_folds(config, rows)
    return rows


def _dataset(config: Data, raw: Raw, rows: tuple[Rows, Rows, Rows], name: str, encoder: Encoder | None, seed: int) -> Dataset:
    """The parts, checked against what the config declares."""
    found = DataShape(
        input_shape=raw.x.shape[1:],
        classes=len(raw.class_names) if raw.task == "classification" else None,
        targets=raw.y.shape[1] if raw.task in ("regression", "multilabel") else None,
        labels=raw.task == "multilabel",
    )
    if found.classes == 1:
        raise DataError(f"data = {name}: all rows are of class {raw.class_names[0]}; nothing can be learned from one class")
    constant = raw.task in ("regression", "multilabel") and all(np.ptp(y) == 0 for y in raw.y.T)
    if constant and not any(pair is not None and np.any(pair[1] != raw.y[0]) for pair in (raw.validation, raw.test)):
        values = ", ".join(repr(value) for value in raw.y[0, :5].tolist())
        raise DataError(f"data = {name}: all rows have the target {values}; nothing can be learned from one value")
    shape = _agreed(config, found)
    train, validation, test = rows
    by_fold = f"fold {config.split.fold} of {config.split.folds}"
    held = by_fold if config.split.folds is not None else f"validation {config.split.validation:g}"
    columns = [f"{name} {value}" for name in ("by", "group", "column") if (value := getattr(config.split, name)) is not None]
    paths = [f"{name} of {value}" for name in ("validation", "test") if (value := getattr(config, f"{name}_path")) is not None]
    division = ", ".join([held, f"test {config.split.test:g}", f"seed {seed}", *columns, *paths])
    streams = _streams(config, raw)
    part = _streamed_part if streams else _part
    weights = raw.weights
    own = weights.get("train")
    parts = (
        part(raw.x, raw.y, train, shape, own),
        part(raw.x, raw.y, validation, shape, own)
        if raw.validation is None
        else part(*raw.validation, _all(raw.validation[0]), shape, weights.get("validation")),
        part(raw.x, raw.y, test, shape, own) if raw.test is None else part(*raw.test, _all(raw.test[0]), shape, weights.get("test")),
    )
    return Dataset(
        name=name,
        task=raw.task,
        shape=shape,
        train=parts[0],
        validation=parts[1],
        test=parts[2],
        fingerprint=raw.fingerprint,
        division=division,
        class_names=raw.class_names,
        feature_names=raw.feature_names,
        encoder=encoder,
        images=raw.images,
        notes=(
            *raw.notes,
            *([_STREAMED] if streams and config.stream == "auto" else []),
            *_empty(config, raw, rows),
            *_absent(raw, parts),
            *_constant(raw, parts[0]),
            *_weighed(config, parts[0]),
        ),
    )


def _part(x: Array | Streamed, y: Array, rows: Rows, shape: DataShape, weight: Array | None) -> Part:
    """The given rows; bytes stay bytes until the preprocessing, a quarter of the numbers that they become, once for all splits."""
    if isinstance(x, np.ndarray) and x.dtype == np.uint8 and not file_of(x):
        return _streamed_part(np.ascontiguousarray(x), y, rows, shape, weight, waits=True)
    chosen = x[:] if len(rows) == len(x) else x[rows]
    x_part = np.ascontiguousarray(chosen, kept_type(x.dtype)).reshape(len(rows), *shape.input_shape)
    return Part(x=x_part, y=np.ascontiguousarray(y[rows]), rows=rows, weight=None if weight is None else weight[rows])


def _streamed_part(x: Array | Streamed, y: Array, rows: Rows, shape: DataShape, weight: Array | None, *, waits: bool = False) -> Part:
    """The given rows, left where they are; waits: see `Streamed`."""
    row, chosen = shape.input_shape, None if len(rows) == len(x) else rows
    if isinstance(x, Streamed):
        view = replace(x, rows=chosen).then(lambda made: made.reshape(len(made), *row), row, x.dtype)
    else:
        view = Streamed(store=x, rows=chosen, stored_shape=row, row_shape=row, dtype=kept_type(x.dtype), waits=waits)
    return Part(x=view, y=np.ascontiguousarray(y[rows]), rows=rows, weight=None if weight is None else weight[rows])


def _all(x: Array | Streamed) -> Rows:
    return np.arange(len(x), dtype=np.int64)


def _streams(config: Data, raw: Raw) -> bool:
    """Whether rows stay where they are: as asked for, or where two copies of them (as read, as prepared) would fill half of the memory."""
    if config.stream != "auto":
        return config.stream
    own = (pair[0] for pair in (raw.validation, raw.test) if pair is not None)
    return 2 * 4 * sum(x.size for x in (raw.x, *own)) > memory_bytes() / 2


def _weighed(config: Data, train: Part) -> Iterable[str]:
    """A note on the size of the weights: it scales the loss, and so the steps of most optimizers.  Raises DataError where all are 0."""
    if train.weight is None:
        return
    if not train.weight.any():
        raise DataError(
            f"data.sample_weight = {config.sample_weight}: no row of the training part has a weight above 0; nothing can be learned"
        )
    yield f"rows count by {config.sample_weight} in the loss: its mean over the training part is {train.weight.mean():.3g}"


def _empty(config: Data, raw: Raw, rows: tuple[Rows, Rows, Rows]) -> Iterable[str]:
    """Notes on parts that were asked for and got no row."""
    asked = {"validation": (raw.validation, config.split.validation, rows[1]), "test": (raw.test, config.split.test, rows[2])}
    for name, (own, share, got) in asked.items():
        if own is None and share > 0 and not len(got):
            kept = ", of which each class keeps one for training" if raw.task == "classification" else ""
            yield f"the {name} part is empty: data.split.{name}={share:g} of {sum(map(len, rows))} rows{kept}"


def _absent(raw: Raw, parts: tuple[Part, Part, Part]) -> Iterable[str]:
    """Notes on classes without a row in a part that has rows."""
    if raw.task != "classification":
        return
    for name, part in zip(("training", "validation", "test"), parts, strict=True):
        missing = np.flatnonzero(np.bincount(part.y, minlength=len(raw.class_names)) == 0)
        if len(part) and len(missing):
            first = ", ".join(raw.class_names[label] for label in missing[:5]) + (" ..." if len(missing) > 5 else "")
            yield f"the {name} part has no row of {len(missing)} of {len(raw.class_names)} classes: {first}"


def _constant(raw: Raw, train: Part) -> Iterable[str]:
    """Notes on targets that have one value in the training part."""
    what = {"regression": "target", "multilabel": "label"}.get(raw.task)
    for index, y in enumerate(train.y.T if what is not None and len(train) else ()):
        if np.ptp(y) == 0:
            which = f"{what} {index} is" if train.y.shape[1] > 1 else f"the {what} is"
            yield f"{which} {float(y[0])!r} in every row of the training part: nothing can be learned of it"


def _agreed(config: Data, found: DataShape) -> DataShape:
    """`found`, with the declared input shape where it holds as many values.  Raises ConfigError where declared and found differ."""
    task = "classification" if found.classes is not None else "multilabel" if found.labels else "regression"
    if config.task not in ("auto", task):
        what = f"{found.classes} classes" if found.classes is not None else "labels" if found.labels else "numbers to predict"
        raise ConfigError(at="data.task", got=config.task, rule=f"data={config.kind} has {what}", hint=f"use auto or {task}")
    for name, declared, there in (("classes", config.classes, found.classes), ("targets", config.targets, found.targets)):
        if declared is not None and declared != there:
            rule = f"the data has {found.classes or found.targets} {'classes' if found.classes else 'targets'}"
            raise ConfigError(at=f"data.{name}", got=declared, rule=rule, hint="leave it null to take what is there")
    if config.input_shape is None:
        return found
    if math.prod(config.input_shape) != math.prod(found.input_shape):
        rule = f"a row of the data has shape {list(found.input_shape)}, {math.prod(found.input_shape)} values"
        raise ConfigError(at="data.input_shape", got=list(config.input_shape), rule=rule, hint="leave it null to take what is there")
    return replace(found, input_shape=config.input_shape)
