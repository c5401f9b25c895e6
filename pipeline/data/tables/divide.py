"""The rows of a table -> training, validation and test rows: at random, or as a column says."""

# N rows with a target
from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.settings import Data
from pipeline.data.split import by_group, in_order, split
from pipeline.data.tables.decide import nearest_column
from pipeline.data.tables.table import Table
from pipeline.errors import ConfigError, DataError

Rows = npt.NDArray[np.int64]
PARTS = {
    **dict.fromkeys(("train", "training"), 0),
    **dict.fromkeys(("validation", "valid", "val", "dev"), 1),
    **dict.fromkeys(("test", "testing"), 2),
}
NAMES = ("training", "validation", "test")


def readable(config: Data) -> Data:
    """The config by which the table is read: the column that divides it is, though it may be no input."""
    by, named = config.split.by, [name for name in (config.split.group, config.split.column) if name is not None]
    return replace(
        config,
        ignore=tuple(name for name in config.ignore if name not in (by, *named)),
        categorical=(*config.categorical, *(name for name in named if name not in config.categorical)),
    )


def divided(table: Table, config: Data, rows: Rows, y: Any, seed: int) -> tuple[tuple[Rows, Rows, Rows], list[str]]:
    """The parts of `rows`, whose targets are y [N], as row numbers of the table; notes.  Raises ConfigError and DataError."""
    shares: dict[str, Any] = {
        "validation": config.split.validation if config.validation_path is None else 0.0,
        "test": config.split.test if config.test_path is None else 0.0,
    }
    folds: dict[str, Any] = {"folds": config.split.folds, "fold": config.split.fold}
    by, group, column = config.split.by, config.split.group, config.split.column
    notes: list[str] = []
    if by is not None:
        values = _ordered(table, by, rows)
        found = in_order(values, **shares, **folds)
        notes.append(f"divided in the order of {by}: {_spans(table, by, values, found)}")
    elif group is not None:
        codes = np.unique(_words(table, "group", group, rows), return_inverse=True)[1].reshape(-1)
        found = by_group(codes, y, **shares, **folds, seed=seed)
        counts = ", ".join(f"{len(np.unique(codes[part]))} in {name}" for part, name in zip(found, NAMES, strict=True))
        notes.append(f"divided by groups of {group}, which is no input: {counts}")
    elif column is not None:
        found = _named(table, column, rows, y, shares, folds, seed, notes)
    else:
        found = split(y, **shares, **folds, seed=seed)
    check_folds(config, found)
    return (rows[found[0]], rows[found[1]], rows[found[2]]), notes


def check_folds(config: Data, rows: tuple[Rows, Rows, Rows]) -> None:
    """Raises ConfigError for a fold without rows, and for every fold of so many that another has none."""
    left = len(rows[0]) + len(rows[1])
    if config.split.folds is not None and (config.split.folds > left or not (len(rows[0]) and len(rows[1]))):
        rule = f"{left} rows are left for them beside the test part"
        raise ConfigError(at="data.split.folds", got=config.split.folds, rule=rule, hint="use fewer")


def _check(table: Table, key: str, name: str) -> None:
    if name not in table.facts.names:
        where = table.label.partition(" = ")[2]
        raise DataError(f"data.split.{key} = {name}: {where} has no such column; {nearest_column(name, table.facts.names)}")
    if name not in table.index:
        raise DataError(f"data.split.{key} = {name}: is left out by its kind in data.columns; leave it out of these")


def _ordered(table: Table, name: str, rows: Rows) -> npt.NDArray[np.float64]:
    """The column that rows are ordered by."""
    _check(table, "by", name)
    if table.column(name).words is not None:
        raise DataError(f"data.split.by = {name}: holds words; give a column of numbers, dates or times")
    values = table.values(name, rows)
    _no_gaps(table, "by", name, rows, np.isnan(values))
    return values


def _words(table: Table, key: str, name: str, rows: Rows) -> npt.NDArray[Any]:
    """The words of a column that groups rows, or names their parts."""
    _check(table, key, name)
    words, places = table.column(name).words, table.values(name, rows)
    _no_gaps(table, key, name, rows, np.isnan(places))
    return places if words is None else np.array(words)[places.astype(np.int64)]


def _no_gaps(table: Table, key: str, name: str, rows: Rows, absent: npt.NDArray[np.bool_]) -> None:
    if absent.any():
        where = f"{table.label}: column {name}, {table.place(int(rows[np.flatnonzero(absent)[0]]))}"
        raise DataError(f"{where} has no value, {int(absent.sum())} of {len(rows)} rows, and data.split.{key} divides by it; fill it in")


def _named(
    table: Table, name: str, rows: Rows, y: Any, shares: dict[str, Any], folds: dict[str, Any], seed: int, notes: list[str]
) -> tuple[Rows, Rows, Rows]:
    """Parts as the column names them; what it never names is drawn from the training rows."""
    words = [str(word) for word in _words(table, "column", name, rows)]
    parts = np.array([PARTS.get(word.casefold(), -1) for word in words])
    odd = np.flatnonzero(parts < 0)
    if len(odd):
        cells = ", ".join(dict.fromkeys(repr(words[row]) for row in odd[:1000]))
        where = f"data.split.column = {name}: {table.place(int(rows[odd[0]]))} holds {cells}"
        raise DataError(f"{where}; it must name the part of each row: train, validation or test")
    pool, held, tested = (np.flatnonzero(parts == number) for number in range(3))
    if not len(pool):
        raise DataError(f"data.split.column = {name}: names no row train; nothing can be learned")
    if len(held) and folds["folds"] is not None:
        rule = f"data.split.column = {name} names validation rows"
        raise ConfigError(at="data.split.folds", got=folds["folds"], rule=rule, hint="leave it null")
    drawn: dict[str, Any] = {"validation": 0.0 if len(held) else shares["validation"], "test": 0.0 if len(tested) else shares["test"]}
    train, more_held, more_tested = (pool[part] for part in split(y[pool], **drawn, **folds, seed=seed))
    found = train, np.concatenate([held, more_held]), np.concatenate([tested, more_tested])
    given = [part for part, share in drawn.items() if share > 0]
    rest = f"; {' and '.join(given)} drawn from its training rows" if given else ""
    notes.append(
        f"divided as {name} says, which is no input: {', '.join(f'{len(p)} {n}' for p, n in zip(found, NAMES, strict=True))}{rest}"
    )
    return found


def _spans(table: Table, name: str, values: npt.NDArray[np.float64], parts: tuple[Rows, Rows, Rows]) -> str:
    """`training 1 to 80, validation 81 to 90, test 91 to 100`."""

    def shown(value: float) -> str:
        if table.column(name).reading.kind == "date":
            return str(np.datetime64(0, "D") + np.timedelta64(int(np.floor(value)), "D"))
        return f"{value:.10g}"

    spans = [(part, values[rows]) for part, rows in zip(NAMES, parts, strict=True) if len(rows)]
    return ", ".join(f"{part} {shown(float(span.min()))} to {shown(float(span.max()))}" for part, span in spans)
