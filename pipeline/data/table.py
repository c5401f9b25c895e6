"""Tables (CSV, Parquet): columns to numbers, fitted on the training rows only.

The encoder is plain data that is stored with the model: {"target", "classes", "columns": [{"name", "kind": "number", "median"} or
{"name", "kind": "category", "values"}]}.  A number becomes one feature, missing ones the training median; a category becomes one feature a
value (1 where it holds), missing being a value of its own, and a value not seen in training none of them.
"""

# N rows
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pipeline.data.dataset import Array
from pipeline.data.files import existing
from pipeline.errors import ConfigError, DataError, nearest

MISSING = "(missing)"
CATEGORIES = 100  # different words up to which a column of text is taken for categories
FEW = 20  # different numbers up to which a target is taken for classes
MOSTLY = 0.8  # share of numbers from which a column is taken for numbers, and its words for mistakes

Frame = Any  # pandas is imported only where a table is read
Task = Literal["classification", "regression"]


def read(path: str | None, kind: str) -> tuple[Path, Frame]:
    """The file and its table.  Raises DataError."""
    import pandas  # noqa: PLC0415  # half a second that only tables need

    file = existing(path, kind)
    try:
        frame = pandas.read_csv(file) if kind == "csv" else pandas.read_parquet(file)
    except pandas.errors.EmptyDataError as error:
        raise DataError(f"{file}: is empty; give a file with a header and rows") from error
    except (ValueError, OSError, pandas.errors.ParserError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{file}: is no {kind} table ({reason}); check the file, or give data={_other(kind)}") from error
    if len(frame) == 0:
        raise DataError(f"{file}: has a header and no rows; give a file with rows")
    frame.columns = [str(name) for name in frame.columns]
    return file, frame


def target(file: Path, frame: Frame, name: str | None, task: str) -> tuple[Array, tuple[str, ...], Task, tuple[str, ...]]:
    """y, class names, the task, notes.  Raises ConfigError and DataError."""
    if name is None:
        columns = ", ".join(frame.columns)
        raise ConfigError(at="data.target", got=None, rule=f"which column of {file} is to be predicted?", hint=f"its columns are {columns}")
    if name not in frame.columns:
        raise DataError(f"data.target = {name}: no such column in {file}; {nearest(name, frame.columns)}")
    column = frame[name]
    if column.isna().any():
        line = int(np.flatnonzero(column.isna())[0]) + 2
        raise DataError(f"{file} line {line}: the target {name} has no value; drop the row or fill it in")
    numeric = column.dtype.kind in "iufb"
    chosen: Task
    if task == "auto":
        chosen = "regression" if numeric and column.dtype.kind != "b" and column.nunique() > FEW else "classification"
    else:
        chosen = "classification" if task == "classification" else "regression"
    said = (f"target {name}: {chosen}, {column.nunique()} different values",) if task == "auto" else ()
    if chosen == "regression":
        if not numeric:
            raise DataError(f"data.task = regression: the target {name} of {file} holds words; give data.task=classification")
        _finite(file, name, column.to_numpy(float))
        return column.to_numpy(np.float64)[:, None], (), chosen, said
    values = sorted(column.unique().tolist())
    index = {value: number for number, value in enumerate(values)}
    return np.array([index[v] for v in column.tolist()], np.int32), tuple(map(str, values)), chosen, said


def fit(file: Path, frame: Frame, name: str, train: Array) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The encoder of all columns but the target, from the training rows, and notes.  Raises DataError."""
    columns: list[dict[str, Any]] = []
    notes: list[str] = []
    for column in [c for c in frame.columns if c != name]:
        values = _numbers(file, column, frame[column])
        if values is None:
            columns.append(_categories(file, column, frame[column], train, notes))
            continue
        known = values[train][~np.isnan(values[train])]
        if not len(known):
            notes.append(f"column {column}: left out, it has no value in the training part")
            continue
        median, missing = float(np.median(known)), int(np.isnan(values).sum())
        columns.append({"name": column, "kind": "number", "median": median})
        if missing:
            notes.append(f"column {column}: {missing} missing values filled with the training part's median {median:g}")
    if not columns:
        raise DataError(f"{file}: has no column beside the target {name}; give a table with features")
    return {"target": name, "columns": columns}, tuple(notes)


def encode(file: Path, frame: Frame, encoder: Mapping[str, Any]) -> tuple[Array, tuple[str, ...]]:
    """x float32 [N, features] of `frame` under `encoder`, and notes.  Raises DataError."""
    features: list[Array] = []
    notes: list[str] = []
    for column in encoder["columns"]:
        name = column["name"]
        if name not in frame.columns:
            raise DataError(f"{file}: has no column {name}, which the model reads; add it")
        if column["kind"] == "number":
            values = _numbers(file, name, frame[name])
            if values is None:
                raise DataError(f"{file}: column {name} holds words, the model was trained on numbers; mend the column")
            features.append(np.where(np.isnan(values), column["median"], values)[:, None])
            continue
        words = np.array(_words(frame[name]), object)
        unseen = sorted({str(w) for w in words} - set(column["values"]))
        if unseen:
            shown = ", ".join(unseen[:3]) + (" ..." if len(unseen) > 3 else "")
            notes.append(f"column {name}: {shown} not seen in training, counted as none of its values")
        features.append(np.stack([words == value for value in column["values"]], axis=1))
    extra = [c for c in frame.columns if c not in {c["name"] for c in encoder["columns"]} | {encoder["target"]}]
    if extra:
        notes.append(f"columns not used: {', '.join(extra)}")
    return np.concatenate(features, axis=1).astype(np.float32), tuple(notes)


def feature_names(encoder: Mapping[str, Any]) -> tuple[str, ...]:
    """A name for every feature."""
    names: list[str] = []
    for column in encoder["columns"]:
        values = column.get("values")
        names += [column["name"]] if values is None else [f"{column['name']}={value}" for value in values]
    return tuple(names)


def _numbers(file: Path, name: str, column: Frame) -> Array | None:
    """The column as float64, NaN where missing, or None for words."""
    import pandas  # noqa: PLC0415

    if column.dtype.kind in "iufb":
        return _finite(file, name, column.to_numpy(np.float64, na_value=np.nan))
    if column.dtype.kind == "M":
        raise DataError(f"{file}: column {name} holds dates; turn them into numbers or words first")
    parsed = pandas.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    given = ~column.isna().to_numpy()
    if not given.any():
        return np.full(len(column), np.nan)
    wrong = given & np.isnan(parsed)
    if wrong.sum() > (1 - MOSTLY) * given.sum():
        return None
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"{file} line {row + 2}: column {name} = {column.iloc[row]}: not a number, as the rest of the column is; mend the cell"
        )
    return _finite(file, name, parsed)


def _finite(file: Path, name: str, values: Array) -> Array:
    infinite = np.isinf(values)
    if infinite.any():
        raise DataError(f"{file} line {int(np.flatnonzero(infinite)[0]) + 2}: column {name} is infinite; mend the cell")
    return values


def _words(column: Frame) -> list[str]:
    missing = column.isna().tolist()
    return [MISSING if m else str(v) for v, m in zip(column.tolist(), missing, strict=True)]


def _categories(file: Path, name: str, column: Frame, train: Array, notes: list[str]) -> dict[str, Any]:
    words = _words(column)
    values = sorted({words[row] for row in train})
    if len(values) > CATEGORIES:
        raise DataError(f"{file}: column {name} holds {len(values)} different words, too many for categories; drop or group them")
    absent = words.count(MISSING)
    notes.append(f"column {name}: {len(values)} categories" + (f", {absent} missing values as one of them" if absent else ""))
    return {"name": name, "kind": "category", "values": values}


def _other(kind: str) -> str:
    return "parquet" if kind == "csv" else "csv"
