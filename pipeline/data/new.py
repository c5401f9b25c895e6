"""New rows for a trained model: what the file holds, made into x the way the training data was."""

# N rows
from __future__ import annotations

import math
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.arrays.archive import numeric, read_npy, read_npz
from pipeline.data.arrays.idx import read_idx
from pipeline.data.cells.columns import Encoder, Hashed, Missing, Quantity, Reading
from pipeline.data.cells.forms import Moment, Number
from pipeline.data.dataset import DataShape, ImageForm
from pipeline.data.hints import matching
from pipeline.data.images.folder import new_images
from pipeline.data.images.image import is_image
from pipeline.data.images.listing import all_images
from pipeline.data.settings import TEXTS, Data, Declared, target_columns
from pipeline.data.sources.batches import Source
from pipeline.data.sources.dialect import is_utf8
from pipeline.data.sources.frames import frame_source
from pipeline.data.sources.origin import source
from pipeline.data.storage.files import located
from pipeline.data.tables.decide import column_list, missing_words, nearest_column
from pipeline.data.tables.encoder import FEW, Entry, counted, encode
from pipeline.data.tables.table import Table, grouped, read_new_table
from pipeline.errors import ConfigError, DataError
from pipeline.rows import Streamed

Array = npt.NDArray[Any]
FILE = "file"  # of an image, from the folder that holds it
ROW = "row"  # what is kept under this name where no column has it: the number of the row, from 1


def _to_stderr(note: str) -> None:
    print(f"note: {note}", file=sys.stderr)


def _to_warnings(note: str) -> None:
    warnings.warn(note, stacklevel=6)  # of the line that calls the model


def read_new(
    config: Data, encoder: Encoder | None, shape: DataShape, *, images: ImageForm | None = None, say: Callable[[str], None] = _to_stderr
) -> Array:
    """The rows of data.path -> x [N, *input_shape]; `say` is told what was filled, unknown or not used.

    The ending of the name decides the format of arrays: .npz (array x), .npy, an idx file. A folder, or a PNG or JPEG file, is images,
    which are made what those of the training were (`images`); all else is a table. It goes through `encoder` (of the model), its columns
    read as those of the training were; its target column may be there and is not read. Without an encoder a table has one column per value
    of a row, in order.
    Raises ConfigError without data.path, DataError for what does not fit.
    """
    if config.path is None and config.kind != "sql":
        raise ConfigError(at="data.path", got="null", rule="must be the file with the rows to predict", hint="give data.path=FILE")
    path = located(str(config.path))
    name = path.name.lower()
    if name.endswith((".npz", ".npy")) or ("idx" in name and "ubyte" in name):
        if encoder is not None:
            raise DataError(f"data.path = {path}: the model was trained on named columns; give a CSV or Parquet file with them")
        return _shaped(_array(path), shape, f"data.path = {path}")
    if _holds_images(config, path):
        if encoder is not None:
            raise DataError(f"data.path = {path}: holds images, and the model was trained on named columns; give a CSV or Parquet file")
        return new_images(path, images, shape.input_shape)
    config = config if config.kind == "sql" else replace(config, kind="table")
    rows = source(path, config)
    if encoder is None:
        names = [name for name in rows.names if name not in (*target_columns(config.target), *config.ignore)]
        return _shaped(_plain_columns(rows, names, shape, config), shape, rows.label)
    return read_columns(rows, encoder, shape, say=say)


def in_its_encoding(config: Data) -> tuple[Data, str | None]:
    """`config`, and a note: where the file in `path` is plainly UTF-8 it is not read in the encoding of the training file."""
    known = config.encoding
    if known is None or known.lower().replace("-", "") == "utf8" or config.kind not in TEXTS or config.path is None:
        return config, None
    if not is_utf8(located(config.path)):
        return config, None
    return replace(config, encoding="utf-8"), f"{config.path} is in UTF-8, not in {known} as the training file: it is read so"


def as_written(encoder: Encoder, config: Data) -> Encoder:
    """`encoder` with the readings of its columns as `config` says that a new file is written; their kinds stay.  Raises ConfigError.

    Of the config these count: columns (decimal, thousands, missing, format), decimal, thousands, missing.
    """
    names = [column.name for column in encoder.columns]
    declared: dict[str, tuple[str, Declared]] = {}
    for pattern, said in config.columns.items():
        found = matching(pattern, names)
        known = (*names, *target_columns(encoder.target), *encoder.ignore)
        if not found and not matching(pattern, known):
            raise ConfigError(
                at=f"data.columns.{pattern}", got="given", rule="the model has no such column", hint=nearest_column(pattern, names)
            )
        declared |= dict.fromkeys(found, (pattern, said))
    columns = tuple(
        replace(column, reading=_reread(column, *declared.get(column.name, (column.name, Declared())), config))
        for column in encoder.columns
    )
    return replace(encoder, columns=columns)


def _reread(column: Entry, pattern: str, said: Declared, config: Data) -> Reading:
    reading, at = column.reading, f"data.columns.{pattern}"
    kind = "hash" if isinstance(column, Hashed) else reading.kind
    if said.kind not in (None, kind):
        hint = "leave it out; decimal, thousands, format and missing say how the file is written"
        raise ConfigError(at=f"{at}.kind", got=said.kind, rule=f"the model was trained with kind {kind}", hint=hint)
    for name, value, own in (("decimal", said.decimal, "number"), ("thousands", said.thousands, "number"), ("format", said.format, "date")):
        if value is not None and kind != own:
            raise ConfigError(at=f"{at}.{name}", got=value, rule=f"the model was trained with kind {kind}", hint=f"it is for {own}")
    for name, given in (("features", said.features != ("days",)), ("order", said.order)):
        if given:
            raise ConfigError(at=f"{at}.{name}", got=list(getattr(said, name)), rule="is decided at the training", hint="leave it out")
    decimal = config.decimal if said.decimal is None else said.decimal
    thousands = config.thousands if said.thousands is None else said.thousands
    if kind == "number" and (decimal is not None or thousands is not None):
        form = reading.form if isinstance(reading.form, Number) else Number()
        decimal = decimal or ("," if thousands == "." else "." if thousands == "," else form.decimal)
        thousands = ("." if decimal == "," else ",") if thousands is None else thousands
        if decimal == thousands:
            raise ConfigError(at=f"{at}.thousands", got=thousands, rule="is the decimal mark", hint="give another")
        reading = replace(reading, form=replace(form, decimal=decimal, thousands=thousands))
    if said.format is not None:
        reading = replace(reading, form=Moment(format=said.format))
    missing = config.missing if said.missing is None else said.missing
    if missing is None:
        return reading
    words = missing_words(missing)
    more = Missing(words=(*reading.missing.words, *words), usual=reading.missing.usual) if words else Missing(usual=False)
    return replace(reading, missing=more)


def read_columns(rows: Source, encoder: Encoder, shape: DataShape, *, say: Callable[[str], None]) -> Array:
    """The columns of a table, by their names, as those of the training were read -> x [N, *input_shape].  Raises DataError."""
    x, _ = matched(rows, encoder, say, far=True)
    return _shaped(x[:], shape, rows.label)


def matched(rows: Source, encoder: Encoder, say: Callable[[str], None], *, far: bool) -> tuple[Streamed, Table]:
    """x [N, D] of a table's columns, by their names, and the table; `say` is told what is odd.  Raises DataError."""
    match_columns(rows, encoder, say)
    readings = {column.name: column.reading for column in encoder.columns}
    table = read_new_table(rows, readings, hint="mend it, the model was trained on {} here")
    x, notes = encode(table, encoder)
    taken = [(column.name, note) for column in table.facts.columns for note in column.notes]
    for note in (*grouped(taken), *notes, *(beyond(table, encoder) if far else ())):
        say(note)
    return x, table


def beyond(table: Table, encoder: Encoder) -> list[str]:
    """Values of new rows beyond the least and the greatest of the training rows: a line for each of a few columns, else one for all."""
    found: list[tuple[Quantity, int, int]] = []
    for entry in encoder.columns:
        if isinstance(entry, Quantity) and entry.low is not None and entry.high is not None:
            values = table.values(entry.name)
            odd = np.flatnonzero((values < entry.low) | (values > entry.high))
            found += [(entry, len(odd), int(odd[0]))] if len(odd) else []
    if len(found) > FEW:
        names = column_list([entry.name for entry, _, _ in found])
        return [f"columns {names}: {sum(count for _, count, _ in found)} values beyond those of the training rows"]
    return [
        f"column {entry.name}: {counted(count, 'row')} beyond the values of the training rows, {_end(entry, entry.low)} to "
        f"{_end(entry, entry.high)} ({_end(entry, float(table.values(entry.name, np.array([first]))[0]))}, {table.place(first)})"
        for entry, count, first in found
    ]


def _end(entry: Quantity, value: float | None) -> str:
    assert value is not None, "there are values"
    return str(np.datetime64(0, "D") + int(np.floor(value))) if entry.reading.kind == "date" else f"{value:g}"


def read_frame(frame: Any, encoder: Encoder | None, names: Sequence[str], shape: DataShape) -> Array:
    """The rows of a table in memory -> x [N, *input_shape]; what is filled, unknown or not used is a warning.

    names   of the values of a row of a model without an encoder; where it has none, the columns are taken in their order
    Raises DataError.
    """
    rows = frame_source(frame)
    if encoder is not None:
        return read_columns(rows, encoder, shape, say=_to_warnings)
    missing = [name for name in names if name not in rows.names]
    if missing:
        raise _lacking(rows, missing)
    return _shaped(_plain_columns(rows, list(names) or list(rows.names), shape, Data()), shape, rows.label)


def read_kept(config: Data, names: Sequence[str], count: int) -> dict[str, Array]:
    """The columns `names` of data.path as they are written, [N]; `row`, where no column is called so, is 1 to N.  Raises DataError."""
    path = located(str(config.path))
    if _holds_images(config, path):
        return _kept_of_images(path, names, count)
    arrays = path.name.lower().endswith((".npz", ".npy")) or "ubyte" in path.name.lower()
    rows = None if arrays else source(path, config if config.kind == "sql" else replace(config, kind="table"))
    there = () if rows is None else tuple(rows.names)
    for name in names:
        if name not in there and name != ROW:
            what = f"has no such column; {nearest_column(name, there)}" if there else "holds arrays, which have no named columns"
            raise DataError(f"keep = {name}: {path} {what}")
    wanted = [name for name in names if name in there]
    if rows is None or not wanted:
        return {name: np.arange(1, count + 1) for name in names}
    as_written = Reading(kind="category", missing=Missing(usual=False))
    table = read_new_table(rows, dict.fromkeys(wanted, as_written), hint="mend it")
    words = {name: np.array([text or "" for text in table.texts(name)], dtype=object) for name in wanted}
    return {name: words.get(name, np.arange(1, count + 1)) for name in names}


def _holds_images(config: Data, path: Path) -> bool:
    return config.kind != "sql" and (path.is_dir() or (path.exists() and is_image(path)))


def _kept_of_images(path: Path, names: Sequence[str], count: int) -> dict[str, Array]:
    """The file of each image, and the number of the row where it is asked for."""
    odd = next((name for name in names if name not in (ROW, FILE)), None)
    if odd is not None:
        raise DataError(f"keep = {odd}: {path} holds images; use {FILE} (which is always kept) or {ROW}")
    paths = [str(image.relative_to(path) if path.is_dir() else image.name) for image in all_images(path)]
    shown = [os.fsencode(image).decode("utf-8", "backslashreplace") for image in paths]
    return {FILE: np.array(shown, dtype=object), **{name: np.arange(1, count + 1) for name in names if name == ROW}}


def _array(path: Path) -> Array:
    """x [N, ...] of an npz, npy or idx file."""
    source = f"data.path = {path}"
    if path.name.lower().endswith(".npz"):
        arrays = read_npz(path)
        if "x" not in arrays:
            raise DataError(f"{source}: has no array x but {', '.join(sorted(arrays)) or 'nothing'}; name the rows to predict x")
        return numeric(arrays["x"], f"{source}, x")
    if not path.name.lower().endswith(".npy"):
        return numeric(read_idx(path, at="data.path"), source)
    return numeric(read_npy(path), source)


def _plain_columns(rows: Source, names: list[str], shape: DataShape, config: Data) -> Array:
    """The columns `names` as numbers, written as `config` says."""
    expected = math.prod(shape.input_shape)
    if len(names) != expected:
        rule = f"has {len(names)} columns and the model takes {expected} values a row"
        raise DataError(f"{rows.label}: {rule}; give one column for each value")
    plain = tuple(Quantity(name=name, reading=Reading(kind="number", form=Number()), fill=0.0) for name in names)
    readings = {each.name: each.reading for each in as_written(Encoder(target=(), ignore=(), columns=plain), config).columns}
    table = read_new_table(rows, readings, hint="mend it")
    x = np.asarray(table.cells, np.float64)
    row, column = (int(i) for i in np.argwhere(np.isnan(x))[0]) if np.isnan(x).any() else (-1, -1)
    if row >= 0:
        raise DataError(f"{rows.label}: column {names[column]}, {table.place(row)} has no value; fill it in")
    return x


def match_columns(rows: Source, encoder: Encoder, say: Callable[[str], None]) -> None:
    """Whether every column of the model is there; says which others are not used."""
    wanted = [column.name for column in encoder.columns]
    missing = [name for name in wanted if name not in rows.names]
    if missing:
        raise _lacking(rows, missing)
    known = {*wanted, *target_columns(encoder.target), *encoder.ignore}
    extra = [name for name in rows.names if name not in known]
    if extra:
        say(f"not used, as the model was not trained on them: {column_list(extra)}")


def _lacking(rows: Source, missing: list[str]) -> DataError:
    noun = "column" if len(missing) == 1 else "columns"
    rule = f"has no {noun} {column_list(missing)}, which the model was trained on"
    return DataError(f"{rows.label}: {rule}; its columns are {column_list(list(rows.names))}")


def _shaped(x: Array, shape: DataShape, label: str) -> Array:
    if math.prod(x.shape[1:]) != math.prod(shape.input_shape):
        rule = f"its rows have shape {list(x.shape[1:])} and the model takes {list(shape.input_shape)}"
        raise DataError(f"{label}: {rule}; give rows of {math.prod(shape.input_shape)} values")
    return np.ascontiguousarray(x).reshape(len(x), *shape.input_shape)
