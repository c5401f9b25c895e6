"""From the `data` group to a data set in memory."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from pipeline.data import archive, generated, idx, shipped, table
from pipeline.data.dataset import Array, Dataset, DataShape, Part, Source, fingerprint
from pipeline.data.settings import Data
from pipeline.data.split import split
from pipeline.errors import ConfigError, DataError

TABLES = ("csv", "parquet")


def describe(config: Data) -> DataShape:
    """The shape of the data, without reading it where the shape is declared or known."""
    if config.input_shape is not None and (config.classes or config.targets):
        return DataShape(input_shape=config.input_shape, classes=config.classes, targets=config.targets)
    if config.kind in shipped.SHAPES:
        return shipped.SHAPES[config.kind]
    if config.kind in ("mnist", "fashion_mnist"):
        return idx.SHAPE
    if config.kind in ("two_moons", "rings"):
        return DataShape(input_shape=(2,), classes=2)
    return load(config, seed=0).shape


def load(config: Data, *, seed: int) -> Dataset:
    """Reads, splits by `seed`, checks.  Raises ConfigError and DataError."""
    if config.kind in TABLES:
        return _from_table(config, seed)
    source = _source(config, seed)
    _sound(config, source.x, "x")
    held = replace(config.split, test=0.0) if source.test else config.split
    rows = split(source.y, validation=held.validation, test=held.test, seed=seed)
    train, validation, test = (_part(source.x, source.y, r) for r in rows)
    if source.test:
        x, y = source.test
        _sound(config, x, "x_test")
        test = Part(x=x, y=y, rows=np.arange(len(x)))
    notes = source.notes
    if source.test and config.split.test > 0:
        notes += ("data.split.test is not used: the set keeps test rows of its own",)
    return _dataset(config, source, train, validation, test, notes)


def read_new(config: Data, encoder: Mapping[str, Any] | None, shape: DataShape) -> Array:
    """Rows to predict from `data.path` -> x float32 [N, *input_shape].  What is worth saying goes to stderr.  Raises DataError."""
    if encoder is not None:
        kind = "parquet" if str(config.path).endswith((".parquet", ".pq")) else "csv"
        x, notes = table.encode(*table.read(config.path, kind), encoder)
        for note in notes:
            print(f"note: {note}", file=sys.stderr)
    elif str(config.path).endswith(".csv"):
        file, frame = table.read(config.path, "csv")
        x = _plain_columns(str(file), frame)
    else:
        x = archive.read_x(config.path)
    if x.shape[1:] != shape.input_shape:
        if int(np.prod(x.shape[1:])) != int(np.prod(shape.input_shape)):
            raise DataError(
                f"{config.path}: rows of shape {list(x.shape[1:])}, the model reads {list(shape.input_shape)}; give rows of that shape"
            )
        x = x.reshape(-1, *shape.input_shape)
    _sound(config, x, "x")
    return x


def _plain_columns(file: str, frame: Any) -> Array:
    words = [str(c) for c in frame.columns if frame[c].dtype.kind not in "iufb"]
    if words:
        raise DataError(f"{file}: column {words[0]} holds words, the model reads numbers; mend the column")
    numbers: Array = frame.to_numpy(np.float32)
    return numbers


def _source(config: Data, seed: int) -> Source:
    if config.kind in shipped.SHAPES:
        return shipped.load(config.kind)
    if config.kind in ("mnist", "fashion_mnist"):
        return idx.load(config.kind, config.root)
    if config.kind == "npz":
        return archive.load(config.path, config.task)
    make = generated.two_moons if config.kind == "two_moons" else generated.rings
    return make(samples=config.samples, noise=config.noise, seed=seed)


def _from_table(config: Data, seed: int) -> Dataset:
    file, frame = table.read(config.path, config.kind)
    y, class_names, task, said = table.target(file, frame, config.target, config.task)
    assert config.target is not None
    train, validation, test = split(y, validation=config.split.validation, test=config.split.test, seed=seed)
    encoder, notes = table.fit(file, frame, config.target, train)
    x, unseen = table.encode(file, frame, encoder)
    source = Source(x=x, y=y, class_names=class_names, feature_names=table.feature_names(encoder))
    held = _part(x, y, validation), _part(x, y, test)
    return replace(_dataset(config, source, _part(x, y, train), *held, said + notes + unseen, task=task), encoder=encoder)


def _part(x: Array, y: Array, rows: Array) -> Part:
    return Part(x=x[rows], y=y[rows], rows=rows)


def _dataset(
    config: Data,
    source: Source,
    train: Part,
    validation: Part,
    test: Part,
    notes: tuple[str, ...],
    *,
    task: Literal["classification", "regression"] | None = None,
) -> Dataset:
    found = task or ("classification" if source.y.ndim == 1 else "regression")
    if config.task not in ("auto", found):
        raise ConfigError(at="data.task", got=config.task, rule=f"{config.kind} is {found}", hint=f"use data.task={found} or auto")
    classes = len(source.class_names) if found == "classification" else None
    shape = DataShape(input_shape=tuple(source.x.shape[1:]), classes=classes, targets=None if classes else source.y.shape[1])
    if classes is not None and classes < 2:
        raise DataError(f"data.kind = {config.kind}: the target has one value only; there is nothing to learn")
    _declared(config, shape)
    if not len(train.x):
        raise DataError(f"data.split: leaves no training rows of {len(source.x)}; hold out less")
    return Dataset(
        name=config.kind,
        task=found,
        train=train,
        validation=validation,
        test=test,
        shape=shape,
        class_names=source.class_names,
        feature_names=source.feature_names,
        fingerprint=fingerprint(train, validation, test),
        notes=notes,
    )


def _declared(config: Data, shape: DataShape) -> None:
    for name in ("input_shape", "classes", "targets"):
        declared, found = getattr(config, name), getattr(shape, name)
        if declared is not None and declared != found:
            raise ConfigError(at=f"data.{name}", got=declared, rule=f"the data has {found}", hint=f"leave data.{name} out")


def _sound(config: Data, x: Array, name: str) -> None:
    finite = np.isfinite(x.reshape(len(x), -1)).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        column = int(np.flatnonzero(~np.isfinite(x[row].reshape(-1)))[0])
        where = config.path or config.kind
        raise DataError(f"{where}: {name}[{row}], feature {column} is {x[row].reshape(-1)[column]}; fill it in or drop the row")
