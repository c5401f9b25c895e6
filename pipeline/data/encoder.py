"""Columns of a table -> x.  What is learned, an `Encoder`, comes from the training rows only."""

# N rows, D columns of x
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.archive import encode_labels
from pipeline.data.columns import Category, Encoder, Quantity
from pipeline.data.dataset import Task
from pipeline.data.settings import Data
from pipeline.data.table import Column, Numbers, Table, as_numbers, as_texts, column_list
from pipeline.data.told import told
from pipeline.errors import ConfigError, DataError, nearest

Rows = npt.NDArray[np.int64]

MOST_CATEGORIES = 1000


def fit_encoder(table: Table, config: Data, train: Rows) -> tuple[Encoder, list[str]]:
    """The encoder of all columns but the target and the ignored, learned from the rows `train`; notes.  Raises DataError."""
    for at, names in (("data.categorical", config.categorical), ("data.ignore", config.ignore)):
        for name in names:
            if name not in table.columns:
                raise DataError(f"{at} = {name}: {table.path} has no such column; {_nearest_column(name, list(table.columns))}")
    ignore = [*config.ignore, *([config.sample_weight] if config.sample_weight is not None else [])]
    features = [column for name, column in table.columns.items() if name != config.target and name not in ignore]
    if not features:
        raise DataError(f"data.path = {table.path}: has no column beside the target {config.target}; give at least one input column")
    notes: list[str] = []
    columns = [_fit_column(table, column, column.name in config.categorical, train, notes) for column in features]
    return Encoder(target=str(config.target), ignore=tuple(ignore), columns=tuple(columns)), notes


def encode(table: Table, encoder: Encoder) -> tuple[Numbers, list[str]]:
    """x [N, D] of every row of `table`; notes on what was filled and what is unknown.  Raises DataError."""
    notes: list[str] = []
    blocks = []
    for entry in encoder.columns:
        column = table.columns[entry.name]
        blocks.append(_one_hot(table, column, entry, notes) if isinstance(entry, Category) else _filled(table, column, entry, notes))
    return np.concatenate(blocks, axis=1), notes


def read_target(table: Table, config: Data) -> tuple[npt.NDArray[Any], Task, tuple[str, ...], list[str]]:
    """y (int32 [N] or float64 [N, 1]), the task, class names and notes.  Raises DataError."""
    names, target = list(table.columns), config.target
    if target is None:
        raise DataError(f"data.target = null: it must name the column of {table.path} to predict; use one of {column_list(names)}")
    if target not in table.columns:
        raise DataError(f"data.target = {target}: {table.path} has no such column; {_nearest_column(target, names)}")
    column = table.columns[target]
    if column.kind == "date":
        raise DataError(f"data.target = {target}: holds dates; give a column of numbers or of classes")
    if column.kind == "text" and config.task == "regression":
        raise ConfigError(at="data.task", got="regression", rule=f"the target {target} holds words", hint="give data.task=classification")
    _no_missing(table, column)
    hint = "mend it, or give data.task=classification if the cells are names of classes"
    words = column.kind in ("text", "bool") or (column.kind == "mixed" and config.task == "classification")
    values: Any = np.array(list(as_texts(table, column))) if words and config.task != "regression" else as_numbers(table, column, hint=hint)
    if config.task == "multilabel":
        raise ConfigError(at="data.task", got="multilabel", rule="a table has one target column", hint="give arrays, y [N, L] of 0 and 1")
    task, notes = told(values, config, f"target {target}")
    if task == "regression":
        return values[:, None], task, (), notes
    labels, class_names = encode_labels(values, config.classes)
    if 2 * len(class_names) > len(values):
        otherwise = "a quantity, give data.task=regression" if values.dtype.kind == "f" else "a column of names, give another target"
        notes.append(f"target {target}: {len(class_names)} classes for {len(values)} rows; if it is {otherwise}")
    return labels, task, class_names, notes


def read_weight(table: Table, name: str) -> Numbers:
    """The column `name` as weights of the rows, float64 [N].  Raises DataError."""
    if name not in table.columns:
        raise DataError(f"data.sample_weight = {name}: {table.path} has no such column; {_nearest_column(name, list(table.columns))}")
    values = as_numbers(table, table.columns[name], hint="mend it")
    wrong = np.flatnonzero(~(values >= 0))
    if len(wrong):
        found = "has no value" if np.isnan(values[wrong[0]]) else f"is {values[wrong[0]]:g}"
        where = f"column {name}, {table.place(int(wrong[0]))}"
        raise DataError(f"data.path = {table.path}: {where} {found}; a weight must be a number of at least 0")
    return values


def _nearest_column(name: str, names: list[str]) -> str:
    """The column that was probably meant, or the first of them all: a table may have thousands."""
    hint = nearest(name, names)
    return hint if hint.startswith("did you mean") else f"use one of {column_list(names)}"


def _no_missing(table: Table, column: Column) -> None:
    if column.texts is not None:
        row = next((row for row, text in enumerate(column.texts) if text is None), None)
    else:
        row = next((int(place) for place in np.flatnonzero(np.isnan(as_numbers(table, column)))), None)
    if row is not None:
        where = f"target column {column.name}, {table.place(row)}"
        raise DataError(f"data.path = {table.path}: {where} has no value; fill it in or remove the {table.unit}")


def _fit_column(table: Table, column: Column, categorical: bool, train: Rows, notes: list[str]) -> Quantity | Category:
    if column.kind == "text" or categorical:
        return _fit_category(table, column, train, notes)
    values = as_numbers(table, column)[train]
    present = values[~np.isnan(values)]
    if column.kind == "date":
        notes.append(f"column {column.name}: dates are taken as days since 1970-01-01")
    if not len(present):
        notes.append(f"column {column.name}: the training part has no value of it; taken as 0")
    fill = float(np.median(present)) if len(present) else 0.0
    return Quantity(name=column.name, kind=column.kind if column.kind in ("bool", "date") else "number", fill=fill)


def _fit_category(table: Table, column: Column, train: Rows, notes: list[str]) -> Category:
    texts = as_texts(table, column)
    seen = [texts[row] for row in train]
    values = sorted({text for text in seen if text is not None})
    if len(values) > MOST_CATEGORIES:
        rule = f"has {len(values)} different words, more than the {MOST_CATEGORIES} that get a column each"
        raise DataError(f"data.path = {table.path}: column {column.name} {rule}; leave it out with data.ignore=[{column.name}]")
    missing = any(text is None for text in seen)
    own = " and one for missing cells" if missing else ""
    notes.append(f"column {column.name}: one column for each of {len(values)} categories{own}")
    if len(train) >= 20 and 2 * len(values) > len(train):
        notes.append(f"column {column.name}: nearly every row has a word of its own; if it is a name, give data.ignore=[{column.name}]")
    return Category(name=column.name, kind="category", values=tuple(values), missing=missing)


def _filled(table: Table, column: Column, entry: Quantity, notes: list[str]) -> Numbers:
    """The column as numbers [N, 1], missing cells filled."""
    if column.kind != entry.kind and column.texts is not None:  # a new file is read as what the model was trained on
        column = Column(name=column.name, kind=entry.kind, texts=column.texts)
    trained_on = "dates" if entry.kind == "date" else "numbers"
    values = as_numbers(table, column, hint=f"mend it, the model was trained on {trained_on} here")
    empty = np.isnan(values)
    if empty.any():
        notes.append(filled_note(entry, int(empty.sum())))
    return np.where(empty, entry.fill, values)[:, None]


def _one_hot(table: Table, column: Column, entry: Category, notes: list[str]) -> Numbers:
    """0 and 1 [N, categories (+ 1 for missing)]."""
    index: dict[str | None, int] = {value: place for place, value in enumerate(entry.values)}
    if entry.missing:
        index[None] = len(index)
    places = [index.get(text, -1) for text in as_texts(table, column)]
    x = np.zeros((len(places), len(index)))
    rows = np.flatnonzero(np.array(places) >= 0)
    x[rows, np.array(places)[rows]] = 1
    unknown = [row for row, place in enumerate(places) if place < 0]
    if unknown:
        notes.append(unknown_note(table, column, len(unknown), unknown[0]))
    return x


def filled_note(entry: Quantity, count: int) -> str:
    """What was done about `count` missing cells."""
    return f"column {entry.name}: {_count(count, 'missing value')} filled with {entry.fill:g}, the median of the training part"


def unknown_note(table: Table, column: Column, count: int, first: int) -> str:
    """That `count` rows, the first of them `first`, have a word that the training rows do not have."""
    text = as_texts(table, column)[first]
    word = "no value" if text is None else repr(text)
    rule = f"{_count(count, 'row')} with a category that the training part does not have"
    return f"column {column.name}: {rule} ({word}, {table.place(first)}); its columns are all 0 there"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
