"""A table: its columns as one matrix of numbers, in memory or mapped from disk, with what each number stands for.

Whatever the file is, the same cells become the same numbers and words; see sources/, look, decide and convert.
"""

# N rows, C columns of the table that are used
from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.cells.columns import Reading
from pipeline.data.cells.forms import Number
from pipeline.data.dataset import by_chunks, gathered
from pipeline.data.hints import column_setting, shell, written
from pipeline.data.settings import Data, target_columns
from pipeline.data.sources.batches import Source
from pipeline.data.sources.origin import source
from pipeline.data.tables.convert import Converter, converted
from pipeline.data.tables.decide import Decision, column_list, decide, declarations, doubted
from pipeline.data.tables.look import Evidence
from pipeline.errors import DataError
from pipeline.records import record, setting

Array = npt.NDArray[Any]
Numbers = npt.NDArray[np.float64]

__all__ = ["Column", "Facts", "Table", "column_list", "read_new_table", "read_rows", "read_table", "rows_of"]


@record
class Column:
    """How a column was read, and what its numbers stand for.

    words   what the numbers stand for, where they stand for words
    digest  SHA-256 of its cells, whatever the file they come from
    absent  number of cells without a value
    why     the rule that chose the kind;  notes: what is to be told
    """

    name: str = setting()
    reading: Reading = setting()
    words: tuple[str, ...] | None = setting()
    digest: str = setting()
    absent: int = setting()
    why: str = setting("")
    notes: tuple[str, ...] = setting(())


@record
class Facts:
    """What is known of a table beside its cells.

    names    of all columns of the file;  columns: those that are used, in their order
    storage  the type of the cells
    """

    label: str = setting()
    names: tuple[str, ...] = setting()
    columns: tuple[Column, ...] = setting()
    storage: str = setting()
    notes: tuple[str, ...] = setting(())


@dataclass(frozen=True, kw_only=True)
class Table:
    """The cells [N, C] of the columns that are used; `cells` may be mapped from a file.

    origin  makes the source of the rows, for a sentence that names a line
    """

    facts: Facts
    cells: Array
    origin: Callable[[], Source]
    index: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.index.update((column.name, place) for place, column in enumerate(self.facts.columns))

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def label(self) -> str:
        """`data.path = FILE`, at the head of a sentence."""
        return self.facts.label

    @property
    def mapped(self) -> bool:
        """Whether the cells lie on disk."""
        return isinstance(self.cells.base, np.memmap)

    def column(self, name: str) -> Column:
        """The column of that name."""
        return self.facts.columns[self.index[name]]

    def values(self, name: str, rows: npt.NDArray[np.int64] | None = None) -> Numbers:
        """Numbers [N], or of `rows`: NaN where a cell is missing; places in `words` for a column of words."""
        place = self.index[name]
        if rows is not None:
            return np.asarray(gathered(self.cells, rows, slice(place, place + 1))[:, 0], np.float64)
        return np.concatenate([np.array(block[:, place], np.float64) for block in by_chunks(self.cells)])

    def texts(self, name: str) -> list[str | None]:
        """The words of a column, None where a cell is missing."""
        words = self.column(name).words
        assert words is not None, f"{name} holds numbers"
        return [None if place != place else words[int(place)] for place in self.values(name).tolist()]

    def place(self, row: int) -> str:
        """`line 7` or `row 5`: a file is read again for it."""
        return self.origin().place(row)

    def written(self, row: int, name: str) -> str | None:
        """The cell as it is in the file, where it is text."""
        return self.origin().written(row, name)

    def digest(self, names: Iterable[str]) -> str:
        """SHA-256 (hex) of the named columns."""
        made = hashlib.sha256()
        for name in names:
            made.update(f"{name};{self.column(name).digest}".encode())
        return made.hexdigest()


def read_table(path: Path, config: Data) -> Table:
    """The table in `path`, in memory.  Raises DataError."""
    return read_rows(lambda: source(path, config), config)


def read_rows(origin: Callable[[], Source], config: Data) -> Table:
    """The table of the rows that `origin` gives, in memory.  Raises DataError."""
    facts, blocks = rows_of(origin(), config)
    cells = list(blocks)
    return Table(facts=facts(), cells=np.concatenate(cells), origin=origin)


def rows_of(rows: Source, config: Data) -> tuple[Callable[[], Facts], Iterator[Array]]:
    """(what is known of the table once its cells are made, its cells block by block [n, C]).  Raises DataError."""
    found, decisions = decide(rows, config, declarations(rows, config))
    for decision in decisions.values():
        if decision.doubt is not None:
            same = decision.doubt.settings
            alike = [other.name for other in decisions.values() if other.doubt is not None and other.doubt.settings == same]
            raise doubted(rows, decision, config, [name for name in alike if name != decision.name])
    if not next(iter(found.values())).rows:
        raise DataError(f"{rows.label}: has no rows; give a table with data")
    hints = {name: _hint(name, config) for name in decisions}
    return _converted(rows, found, decisions, hints, config)


def read_new_table(rows: Source, readings: Mapping[str, Reading], *, hint: str) -> Table:
    """The columns of `readings`, read as they were when a model was trained; `hint` for what is not so written.  Raises DataError."""
    found = {
        name: Evidence(name=name, missing=reading.missing, words=True, most=0, plain=False, kept=None) for name, reading in readings.items()
    }
    decisions = {name: Decision(name=name, reading=reading, why="") for name, reading in readings.items()}
    hints = {name: hint.format(_plural(reading)) for name, reading in readings.items()}
    facts, blocks = _converted(rows, found, decisions, hints, None)
    try:
        cells = list(blocks)
    except DataError as error:
        raise DataError(f"{error}{_for_all(rows, found, decisions, hints)}") from None
    if not cells:
        raise DataError(f"{rows.label}: has no rows; give a table with data")
    return Table(facts=facts(), cells=np.concatenate(cells), origin=lambda: rows)


def _for_all(rows: Source, found: Mapping[str, Evidence], decisions: Mapping[str, Decision], hints: Mapping[str, str]) -> str:
    """What to say where several columns of numbers are written in another way than in the training, and one way reads them all."""
    numbers = {name: each for name, each in decisions.items() if isinstance(each.reading.form, Number)}
    wrong = list(_faults(rows, _converters(rows, found, numbers, hints, None), found))
    if len(wrong) < 2:
        return ""
    ways = []
    for form in (Number(decimal=".", thousands=","), Number(decimal=",", thousands=".")):
        marked = {
            name: replace(
                each, reading=replace(each.reading, form=replace(each.reading.form, decimal=form.decimal, thousands=form.thousands))
            )
            for name, each in numbers.items()
            if isinstance(each.reading.form, Number)
        }
        if not _faults(rows, _converters(rows, found, marked, hints, None), found):
            ways.append(shell(f"data.decimal={'.' if form.decimal == '.' else written(form.decimal)}"))
    if not ways:
        return ""
    reads = "reads" if len(ways) == 1 else "read"
    return f"; {column_list(wrong)} are all written otherwise than in the training, and {' or '.join(ways)} {reads} the whole file"


def faults(rows: Source, found: Mapping[str, Evidence], decisions: Mapping[str, Decision], config: Data) -> dict[str, DataError]:
    """Column -> what refuses it when all its cells are read as decided."""
    converters = _converters(rows, found, decisions, {name: _hint(name, config) for name in decisions}, config)
    wrong = _faults(rows, converters, found)
    for name in _inferred_words(decisions, config):
        try:
            converters[name].check_names()
        except DataError as error:
            wrong.setdefault(name, error)
    return wrong


def _inferred_words(decisions: Mapping[str, Decision], config: Data | None) -> list[str]:
    """Columns of words that nobody declared: they may turn out to be names."""
    targets = () if config is None else target_columns(config.target)
    words = [name for name, each in decisions.items() if each.reading.words and each.why != "declared" and name not in targets]
    return words if config is not None else []


def _faults(rows: Source, converters: Mapping[str, Converter], found: Mapping[str, Evidence]) -> dict[str, DataError]:
    """The first fault of each column, in one pass over all of them."""
    wrong: dict[str, DataError] = {}
    for blocks in _blocks_of(rows, list(converters), found) if converters else ():
        for (name, convert), block in zip(converters.items(), blocks, strict=True):
            if name not in wrong:
                try:
                    convert(block)
                except DataError as error:
                    wrong[name] = error
    return wrong


def _plural(reading: Reading) -> str:
    return {"boolean": "true and false", "date": "dates", "time": "times of the day", "ordinal": "its words"}.get(reading.kind, "numbers")


def _hint(name: str, config: Data) -> str:
    if name in target_columns(config.target):
        return "mend it, or give data.task=classification if the cells are names of classes"
    return f"mend it, or give {column_setting(name, 'kind: category')} if the cells are names"


def _converters(
    rows: Source, found: Mapping[str, Evidence], decisions: Mapping[str, Decision], hints: Mapping[str, str], config: Data | None
) -> dict[str, Converter]:
    return {
        name: Converter(
            source=rows,
            name=name,
            reading=decision.reading,
            hint=hints[name],
            small=found[name].storage == np.dtype(np.uint8),
            new=config is None,
        )
        for name, decision in decisions.items()
    }


def _converted(
    rows: Source, found: Mapping[str, Evidence], decisions: Mapping[str, Decision], hints: Mapping[str, str], config: Data | None
) -> tuple[Callable[[], Facts], Iterator[Array]]:
    converters = _converters(rows, found, decisions, hints, config)
    storage = np.result_type(*(found[name].storage for name in converters)) if converters else np.dtype(np.float64)

    def blocks() -> Iterator[Array]:
        yield from converted(_blocks_of(rows, list(converters), found), converters, storage)
        for name in _inferred_words(decisions, config):
            converters[name].check_names()

    def facts() -> Facts:
        columns = tuple(
            Column(
                name=name,
                reading=convert.reading,
                words=tuple(convert.words) if convert.reading.words else None,
                digest=convert.sha,
                absent=convert.absent,
                why=decisions[name].why,
                notes=(*decisions[name].notes, *convert.told),
            )
            for name, convert in converters.items()
        )
        return Facts(label=rows.label, names=tuple(rows.names), columns=columns, storage=storage.str, notes=tuple(rows.notes))

    return facts, blocks()


def grouped(notes: Sequence[tuple[str, str]]) -> list[str]:
    """(column, what is told of it) -> one sentence for all columns of which the same is told, in order of first mention."""
    columns: dict[str, list[str]] = {}
    for name, text in notes:
        columns.setdefault(text, []).append(name)
    return [f"{'column' if len(names) == 1 else 'columns'} {column_list(names)}: {text}" for text, names in columns.items()]


def _blocks_of(source: Source, names: Sequence[str], found: Mapping[str, Evidence]) -> Iterator[list[Any]]:
    """The blocks of the columns, as they were kept, or read again.  Raises DataError."""
    kept = [found[name].kept for name in names]
    if all(blocks is not None for blocks in kept):
        yield from (list(blocks) for blocks in zip(*kept, strict=True))
        return
    for batch in source.batches(names):
        yield [batch.column(place) for place in range(len(names))]
