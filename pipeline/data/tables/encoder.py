"""Columns of a table -> x.  What is learned, an `Encoder`, comes from the training rows only."""

# N rows, n rows of a block, D columns of x
from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.arrays.archive import encode_labels
from pipeline.data.cells.columns import Category, Encoder, Hashed, Quantity
from pipeline.data.dataset import Task, by_chunks, gathered
from pipeline.data.hints import column_setting, ignoring
from pipeline.data.settings import Data, Declared, target_columns
from pipeline.data.tables.decide import declarations, nearest_column
from pipeline.data.tables.table import Column, Numbers, Table, column_list, grouped
from pipeline.data.told import told, zeros_and_ones
from pipeline.errors import ConfigError, DataError
from pipeline.rows import Streamed

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.int64]
Entry = Quantity | Category | Hashed

MOST_CATEGORIES = 1000
MANY = 2**20  # cells from which on bytes stay bytes
FEW = 5  # columns that get a line each
LONG_ID = 10**8
LEAST_IDS = 20  # rows from which on a number of its own in each of them is worth a note


def fit_encoder(table: Table, config: Data, train: Rows) -> tuple[Encoder, list[str]]:
    """The encoder of all columns but the target and the ignored, learned from the rows `train`; notes.  Raises DataError."""
    declared = declarations(table.facts, config)
    beside = beside_inputs(config)
    unused = [name for name in table.facts.names if name not in table.index]
    targets = target_columns(config.target)
    features = [column for column in table.facts.columns if column.name not in (*targets, *beside)]
    if not features:
        raise DataError(f"{table.label}: has no column beside the target {column_list(targets)}; give at least one input column")
    notes = [(column.name, note) for column in table.facts.columns if column.name in targets for note in column.notes]
    fitted, cells = [], _Gathered(table, train)
    for column in features:
        notes += [(column.name, note) for note in column.notes]
        fitted.append(_fit(table, column, declared[column.name], cells, notes))
    encoder = Encoder(target=config.target or (), ignore=(*unused, *beside), columns=tuple(fitted))
    return encoder, [*table.facts.notes, *grouped(notes), *_category_notes([e for e in fitted if isinstance(e, Category)])]


class _Gathered:
    """Some rows of a table, column after column; several columns are gathered at once, since the cells of a row lie side by side."""

    def __init__(self, table: Table, rows: Rows) -> None:
        self._table, self._rows = table, rows
        self._width = max(1, min(64, 2**25 // max(len(rows) * table.cells.dtype.itemsize, 1)))
        self._first, self._block = 0, table.cells[:0, :0]

    def column(self, name: str) -> Array:
        """Its cells [n]."""
        place = self._table.index[name]
        if not self._first <= place < self._first + len(self._block):
            self._first = place
            self._block = np.ascontiguousarray(gathered(self._table.cells, self._rows, slice(place, place + self._width)).T)
        return np.asarray(self._block[place - self._first])


def beside_inputs(config: Data) -> list[str]:
    """Columns that are read and are no inputs: weights, and what divides the rows."""
    by = config.split.by if config.split.by in config.ignore else None
    return [name for name in (config.sample_weight, by, config.split.group, config.split.column) if name is not None]


def encode(table: Table, encoder: Encoder) -> tuple[Streamed, list[str]]:
    """x [N, D] of every row of `table`, made when it is asked for; notes on what is filled and what is unknown."""
    row = table.cells.shape[1:]
    x = Streamed(store=table.cells, rows=None, stored_shape=row, row_shape=row, dtype=table.cells.dtype)
    block = _Blocks(table, encoder)
    kind = np.dtype(np.uint8 if block.bytes else np.float64)
    return x.then(block, (len(encoder.features),), kind), _notes(table, encoder, block)


class _Blocks:
    """Cells [n, C] -> x [n, D]."""

    def __init__(self, table: Table, encoder: Encoder) -> None:
        self.places, self.entries = {}, encoder.columns
        starts = np.cumsum([0, *(len(entry.features) for entry in encoder.columns)])
        self.width = int(starts[-1])
        plain = [
            (table.index[e.name], start, e.fill)
            for e, start in zip(encoder.columns, starts, strict=False)
            if isinstance(e, Quantity) and e.parts == ("days",)
        ]
        self.plain = [np.array(part) for part in zip(*plain, strict=True)] if plain else []
        small = table.cells.dtype == np.uint8 and len(plain) == len(encoder.columns)
        self.bytes = small and table.cells.size >= MANY  # they stay bytes, an eighth of the room
        self.others = [
            (table.index[e.name], int(start), e)
            for e, start in zip(encoder.columns, starts, strict=False)
            if not (isinstance(e, Quantity) and e.parts == ("days",))
        ]
        for entry in encoder.columns:
            if not isinstance(entry, Quantity):
                words = table.column(entry.name).words or ()
                self.places[entry.name] = np.array([*(entry.place(word) for word in words), entry.place(None)], np.int64)

    def __call__(self, cells: Array) -> Array:
        if self.bytes:
            first, last = int(self.plain[0][0]), int(self.plain[0][-1])
            dense = last - first == self.width - 1
            return np.ascontiguousarray(cells[:, first : last + 1] if dense else cells[:, self.plain[0]])
        x = np.zeros((len(cells), self.width))
        if self.plain:
            columns, starts, fills = self.plain
            every = len(columns) == cells.shape[1] and bool(np.all(np.diff(columns) == 1))
            values = cells if every else cells[:, columns]
            if values.dtype.kind == "f":
                values = np.where(np.isnan(values), fills, values)
            if len(columns) == self.width:
                x[:] = values
            else:
                x[:, starts] = values
        for column, start, entry in self.others:
            if isinstance(entry, Quantity):
                x[:, start : start + len(entry.features)] = entry.columns(np.asarray(cells[:, column], np.float64))
                continue
            chosen = self.chosen(cells[:, column], entry.name)
            rows = np.flatnonzero(chosen >= 0)
            x[rows, start + chosen[rows]] = 1
        return x

    def chosen(self, column: Array, name: str) -> Rows:
        """The place of each cell of a column of words."""
        places = self.places[name]
        coded = np.where(np.isnan(column), len(places) - 1, column) if column.dtype.kind == "f" else column
        return places[coded.astype(np.int64)]


def read_target(table: Table, config: Data, rows: Rows) -> tuple[Array, Task, tuple[str, ...], list[str]]:
    """y of `rows` (int32 [n] or float64 [n, T]), the task, class names and notes.  Raises DataError."""
    if not isinstance(config.target, str):
        return _read_targets(table, config, rows)
    if config.task == "multilabel":
        raise ConfigError(at="data.task", got="multilabel", rule="has several targets", hint=f"give data.target=[{config.target},...]")
    column = table.column(str(config.target))
    if column.reading.kind in ("date", "time") and config.task != "regression":
        what, unit = ("dates", "days") if column.reading.kind == "date" else ("times", "hours")
        rule = f"holds {what}; give a column of numbers or of classes, or data.task=regression to predict {unit}"
        raise DataError(f"data.target = {config.target}: {rule}")
    if column.words is not None and config.task == "regression":
        rule = f"the target {config.target} holds words"
        raise ConfigError(at="data.task", got="regression", rule=rule, hint="give data.task=classification")
    places = table.values(column.name, rows)
    if column.words is not None:
        labels, class_names = _classes(places, column, config)
        return labels, "classification", class_names, _few_rows(config, class_names, len(rows), "a column of names, give another target")
    task, notes = told(places, config, f"target {config.target}")
    if task == "regression":
        return places[:, None], task, (), notes
    labels, class_names = encode_labels(places, config.classes)
    return labels, task, class_names, notes + _few_rows(config, class_names, len(rows), "a quantity, give data.task=regression")


def _read_targets(table: Table, config: Data, rows: Rows) -> tuple[Array, Task, tuple[str, ...], list[str]]:
    """The same of several columns of numbers: labels where they hold nothing but 0 and 1, else values to predict."""
    names = target_columns(config.target)
    for name in names:
        if table.column(name).words is not None:
            raise DataError(f"data.target: column {name} holds words, and several targets are numbers, or 0 and 1; predict it alone")
    y = np.stack([table.values(name, rows) for name in names], axis=1)
    task, notes = told(y, config, f"targets {column_list(names)}")
    if task == "classification":
        raise ConfigError(at="data.task", got=task, rule="there are several targets", hint="give multilabel, or a single data.target")
    if task == "multilabel" and not zeros_and_ones(y).all():
        row, label = (int(i) for i in np.argwhere(~zeros_and_ones(y))[0])
        where = f"{table.label}: column {names[label]}, {table.place(int(rows[row]))}"
        raise DataError(f"{where} is {y[row, label]:g}; labels are 0 or 1, data.task=regression takes them as numbers")
    return y, task, names if task == "multilabel" else (), notes


def target_rows(table: Table, config: Data) -> tuple[Rows, list[str]]:
    """The rows that have a target; a note on those that are left out.  Raises DataError."""
    names, targets = list(table.facts.names), target_columns(config.target)
    where = table.label.partition(" = ")[2]
    if not targets:
        raise DataError(f"data.target = null: it must name the column of {where} to predict; use one of {column_list(names)}")
    for place, target in enumerate(targets):
        if target in targets[:place]:
            raise DataError(f"data.target: names {target} twice; name each column once")
        if target not in names:
            raise DataError(f"data.target = {target}: {where} has no such column; {nearest_column(target, names)}")
        if target not in table.index:
            raise DataError(f"data.target = {target}: is left out by data.ignore or its kind; leave it out of these")
    missing = np.stack([np.isnan(table.values(target)) for target in targets], axis=1)
    absent = np.asarray(missing.any(axis=1))
    rows = np.flatnonzero(~absent)
    if len(rows) == len(absent):
        return rows, []
    count = len(absent) - len(rows)
    if config.missing_target == "drop" and len(rows):
        return rows, [f"{count} of {len(absent)} rows have no {column_list(targets)} and are left out"]
    if not len(rows):
        raise DataError(f"data.target = {column_list(targets)}: no row of {where} has a value in it; give another column")
    row = int(np.flatnonzero(absent)[0])
    raise _no_target(table, targets[int(missing[row].argmax())], row, count)


def _no_target(table: Table, target: str, row: int, count: int) -> DataError:
    text, total = table.written(row, target), len(table)
    rows = f"{count} of the {total} rows have none" if count > 1 else "the only one"
    drop = f"data.missing_target=drop leaves {'these' if count > 1 else 'the'} row{'s' if count > 1 else ''} out"
    where = f"{table.label}: target column {target}, {table.place(row)}"
    if text:
        name = column_setting(target, "missing: []")
        return DataError(f"{where} is {text!r}, which is taken as missing ({rows}); if it is a name give {name}, or {drop}")
    return DataError(f"{where} has no value ({rows}); fill it in, or {drop}")


def _classes(places: Numbers, column: Column, config: Data) -> tuple[Array, tuple[str, ...]]:
    """Labels of words; numbers are sorted as numbers."""
    words = column.words or ()
    if column.reading.spelling == "numbers":
        numbers = np.array([float(word) for word in words])
        order = sorted(range(len(words)), key=lambda place: (numbers[place], words[place]))
    else:
        order = sorted(range(len(words)), key=lambda place: words[place])
    there = set(np.unique(places).astype(int).tolist())
    order = [place for place in order if place in there]
    rank = np.zeros(len(words), np.int32)
    rank[order] = np.arange(len(order))
    return rank[places.astype(np.int64)], tuple(words[place] for place in order)


def _few_rows(config: Data, class_names: Sequence[str], rows: int, otherwise: str) -> list[str]:
    if 2 * len(class_names) <= rows:
        return []
    return [f"target {config.target}: {len(class_names)} classes for {rows} rows; if it is {otherwise}"]


def read_weight(table: Table, name: str) -> Numbers:
    """The column `name` as weights of the rows, float64 [N].  Raises DataError."""
    if name not in table.facts.names:
        where = table.label.partition(" = ")[2]
        raise DataError(f"data.sample_weight = {name}: {where} has no such column; {nearest_column(name, table.facts.names)}")
    if name not in table.index or table.column(name).words is not None:
        raise DataError(f"data.sample_weight = {name}: holds no numbers; give a column of numbers of at least 0")
    values = table.values(name)
    wrong = np.flatnonzero(~(values >= 0))
    if len(wrong):
        found = "has no value" if np.isnan(values[wrong[0]]) else f"is {values[wrong[0]]:g}"
        where = f"column {name}, {table.place(int(wrong[0]))}"
        raise DataError(f"{table.label}: {where} {found}; a weight must be a number of at least 0")
    return values


def _fit(table: Table, column: Column, declared: Declared, cells: _Gathered, notes: list[tuple[str, str]]) -> Entry:
    seen = cells.column(column.name)
    if column.words is None:
        return _fit_quantity(column, declared, seen, notes)
    if declared.kind == "hash":
        notes.append((column.name, "its words share 64 columns"))
        return Hashed(name=column.name, reading=column.reading)
    return _fit_category(table, column, seen)


def _fit_quantity(column: Column, declared: Declared, values: Array, notes: list[tuple[str, str]]) -> Quantity:
    present = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    if not len(present):
        notes.append((column.name, "the training part has no value of it; taken as 0"))
    elif column.reading.kind == "number" and declared.kind is None and _own_number(column, present):
        notes.append((column.name, f"every row has a number of its own; if it names the row, give {ignoring(column.name)}"))
    fill = _median(present) if len(present) else 0.0
    low, high = (float(present.min()), float(present.max())) if len(present) else (None, None)
    return Quantity(name=column.name, reading=column.reading, fill=fill, low=low, high=high, parts=declared.features)


def _median(values: Array) -> float:
    """As numpy.median, by counting where the numbers are small and whole."""
    if values.dtype != np.uint8:
        return float(np.median(values.astype(np.float64)))
    below = np.cumsum(np.bincount(values, minlength=256))
    low, high = np.searchsorted(below, [(len(values) - 1) // 2, len(values) // 2], side="right")
    return (int(low) + int(high)) / 2


def _own_number(column: Column, values: Array) -> bool:
    """Whether whole numbers all differ: those of rows that follow each other, or of a column that is called so."""
    count = len(values)
    if count < LEAST_IDS or float(values.max()) - float(values.min()) < count - 1 or bool(np.any(values != np.floor(values))):
        return False
    named = re.search(r"(^|[^a-z])(id|index|no|nr|number|key|row|unnamed.*)$", column.name.lower()) or re.search(
        r"[a-z]I[dD]$", column.name
    )
    dense = float(values.max()) - float(values.min()) < 4 * count
    return bool(named or dense or _long(values)) and len(np.unique(values)) == count


def _long(values: Array) -> bool:
    """Whether whole numbers have nine digits or more, all about as many: telephone numbers, the numbers of books and of articles."""
    low, high = float(values.min()), float(values.max())
    return low >= LONG_ID and math.floor(math.log10(high)) - math.floor(math.log10(low)) <= 1


def _category_notes(entries: Sequence[Category]) -> list[str]:
    """What became of words: a line for columns that became the same, one for all others where these are many."""
    notes = [
        (e.name, f"one column for each of {len(e.values)} categories{' and one for missing cells' if e.missing else ''}") for e in entries
    ]
    if len(lines := grouped(notes)) <= FEW:
        return lines
    sizes = [len(e.values) for e in entries]
    missing = [e.name for e in entries if e.missing]
    most = entries[int(np.argmax(sizes))].name
    more = f"; one more for missing cells of {column_list(missing)}" if missing else ""
    names = column_list([e.name for e in entries])
    return [f"columns {names}: one column for each category, {sum(sizes)} in all, {min(sizes)} to {max(sizes)} each (most in {most}){more}"]


def _fit_category(table: Table, column: Column, seen: Array) -> Category:
    words = column.words or ()
    missing = bool(np.isnan(seen).any()) if seen.dtype.kind == "f" else False
    there = np.unique(seen[~np.isnan(seen)] if missing else seen).astype(int)
    values = sorted(words[place] for place in there)
    if len(values) > MOST_CATEGORIES:
        rule = f"has {len(values)} different words, more than the {MOST_CATEGORIES} that get a column each"
        ways = f"leave it out with {ignoring(column.name)}, or give {column_setting(column.name, 'kind: hash')}"
        raise DataError(f"{table.label}: column {column.name} {rule}; {ways}")
    return Category(name=column.name, reading=column.reading, values=tuple(values), missing=missing)


def _notes(table: Table, encoder: Encoder, blocks: _Blocks) -> list[str]:
    """What is filled and what is unknown, in one pass over the cells."""
    doubtful = [e for e in encoder.columns if isinstance(e, Category) or table.column(e.name).absent]
    counts: dict[str, int] = dict.fromkeys((e.name for e in doubtful), 0)
    first: dict[str, int] = {}
    start = 0
    for block in by_chunks(table.cells) if doubtful else ():
        for entry in doubtful:
            column = block[:, table.index[entry.name]]
            odd = np.flatnonzero(blocks.chosen(column, entry.name) < 0 if isinstance(entry, Category) else np.isnan(column))
            counts[entry.name] += len(odd)
            if len(odd):
                first.setdefault(entry.name, start + int(odd[0]))
        start += len(block)
    notes = [e for e in doubtful if counts[e.name] and not isinstance(e, Hashed)]
    filled = _filled_notes({e: counts[e.name] for e in notes if isinstance(e, Quantity)})
    words = [e for e in notes if isinstance(e, Category)]
    unknown = [_unknown_note(table, e, counts[e.name], first[e.name]) for e in words[:FEW]]
    if len(words) > FEW:
        cells = sum(counts[e.name] for e in words[FEW:])
        rule = f"{counted(cells, 'cell')} with categories that the training part does not have"
        unknown.append(f"columns {column_list([e.name for e in words[FEW:]])}: {rule}; their columns are all 0 there")
    return filled + unknown


def _filled_notes(counts: Mapping[Quantity, int]) -> list[str]:
    """What was done about missing cells: a line for each of a few columns, else one for all."""
    if len(counts) <= FEW:
        return [
            f"column {entry.name}: {counted(count, 'missing value')} filled with {entry.fill:g}, the median of the training part"
            for entry, count in counts.items()
        ]
    names = column_list([entry.name for entry in counts])
    return [f"columns {names}: {sum(counts.values())} missing values filled with the medians of the training part"]


def _unknown_note(table: Table, entry: Category, count: int, first: int) -> str:
    place = float(table.values(entry.name, np.array([first]))[0])
    words = table.column(entry.name).words or ()
    word = "no value" if place != place else repr(words[int(place)])
    rule = f"{counted(count, 'row')} with a category that the training part does not have"
    near = "" if place != place else _nearly(words[int(place)], entry.values)
    return f"column {entry.name}: {rule} ({word}, {table.place(first)}{near}); its columns are all 0 there"


def _nearly(word: str, known: Sequence[str]) -> str:
    """A known word that may be meant: with zeros before it, or in other capitals."""
    for how, other in ((lambda text: text.lstrip("0"), "leading zeros"), (str.casefold, "capitals")):
        same = next((each for each in known if how(each) == how(word)), None)
        if same is not None:
            return f", and it has {same!r}: {other} may have changed"
    return ""


def counted(number: int, noun: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
