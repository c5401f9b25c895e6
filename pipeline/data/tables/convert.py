"""The cells of a table -> numbers, block by block: the table need not fit in memory.

A number, a date (days since 1970-01-01), a time (hours) or a truth value (1, 0) is itself, an ordered word its place in the order; any
other word is its place in the column's list of words; a missing cell is NaN.
"""

# n rows of a block, C columns
from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.cells.columns import Reading
from pipeline.data.cells.dates import EPOCH, moment
from pipeline.data.cells.formats import formats_of
from pipeline.data.cells.forms import Form, Moment, Number, parser, said
from pipeline.data.cells.infer import LEAST_NAMES, bare
from pipeline.data.cells.nothing import for_nothing
from pipeline.data.hints import column_setting, ignoring, listed, written
from pipeline.data.sources.batches import Source
from pipeline.data.tables.blocks import plain_numbers, texts, typed
from pipeline.data.tables.look import MOST_WORDS, by_column
from pipeline.errors import DataError

Array = npt.NDArray[Any]


@dataclass
class Converter:
    """Makes the cells of a column numbers, and remembers its words in order of first mention and the digest of all cells.

    hint  what to do about a cell that is not in the column's form
    new   whether the rows are new to a model: where it knows the numbers 1 and 0, true and false are these (SQLite has no truth values),
          and words that people write for nothing are missing cells, though the training had none of them; `nothing` counts these, `bare`
          holds notes on numbers without the unit of the training
    """

    source: Source
    name: str
    reading: Reading
    hint: str
    new: bool = False
    small: bool = False  # whether all cells are whole numbers of a byte, in which case these are digested
    nothing: dict[str, int] = field(default_factory=dict)
    bare: dict[str, None] = field(default_factory=dict)
    start: int = 0
    first: int = 0  # row that has a word
    absent: int = 0
    words: dict[str, int] = field(default_factory=dict)
    digest: Any = field(default_factory=hashlib.sha256)

    def __call__(self, block: Any) -> Array:
        """A block as it was kept or read [n] -> numbers [n].  Raises DataError."""
        values = block if isinstance(block, np.ndarray) and not self.reading.words else self._without(self._made(block))
        if values.dtype.kind == "f":
            self._finite(values)
        self.start += len(values)
        if not self.reading.words:
            self.digest.update(values.astype(np.uint8 if self.small else np.float64).tobytes())
        return values

    def _made(self, block: Any) -> Array:
        found = (
            None
            if isinstance(block, np.ndarray) or self.reading.words or self.reading.kind == "ordinal"
            else typed(block, self.reading.missing)
        )
        if found is not None:
            kind, values = found
            if kind == self.reading.kind or (kind == "number" and self.reading.kind == "boolean" and np.isin(values, (0, 1)).all()):
                return values
            if self.new and kind == "boolean" and self.reading.kind == "number":
                return values
            if kind != "number" or not isinstance(self.reading.form, Moment) or self.reading.form.format is None:
                raise self._wrong(0, f"a {kind}")
        text = texts(block) if not isinstance(block, np.ndarray) else _truths(block)
        if not self.reading.words and self.reading.form == Number():
            plain = plain_numbers(text, self.reading.missing)
            if plain is not None:
                return plain
        elif isinstance(self.reading.form, Number) and not self.reading.form.prefix and not self.reading.form.suffix:
            plain = _with_points(text, self.reading, self.reading.form)
            if plain is not None:
                return plain
        return self._one_by_one(text)

    def _without(self, values: Array) -> Array:
        """NaN for the numbers that stand for a missing cell, however they are written."""
        gone = self.reading.missing.values if self.reading.kind == "number" else ()
        return np.where(np.isin(values, gone), np.nan, values) if gone else values

    def _one_by_one(self, text: Any) -> Array:
        """By the distinct cells of the block."""
        coded = text.dictionary_encode()
        cells = ["" if cell is None else cell.strip() for cell in coded.dictionary.to_pylist()]
        values = np.empty(len(cells) + 1)
        values[-1] = np.nan  # null
        bad, nothing = list[int](), list[int]()
        for place, cell in enumerate(cells):
            value = np.nan if self.reading.absent(cell) else self._value(cell)
            values[place] = np.nan if value is None else value
            missing = value is None and self.new and for_nothing(cell, words=True)
            nothing += [place] if missing else []
            bad += [place] if value is None and not missing else []
        if self.new and isinstance(self.reading.form, Number):
            self.bare.update(dict.fromkeys(bare(filter(None, cells), self.reading.form)))
        places = np.asarray(coded.indices.fill_null(len(cells)).to_numpy(zero_copy_only=False), np.int64)
        if bad:
            row = int(np.flatnonzero(np.isin(places, bad))[0])
            present = np.array([not self.reading.absent(cell) for cell in cells] + [False])[places]
            cell = cells[places[row]]
            error = self._wrong(row, repr(cell), present=int(present.sum()), bad=int(np.isin(places, bad).sum()))
            present_cells = dict.fromkeys((each for each in cells if each and not self.reading.absent(each)), 1)
            odd = dict.fromkeys((cells[place] for place in bad), 1)
            if self.new:
                raise DataError(f"{error}{_otherwise(self.name, self.reading, cell, present_cells, odd)}")
            raise DataError(f"{error}{_as_missing(self.name, self.reading, list(odd))}")
        for place in nothing:
            self.nothing[cells[place]] = self.nothing.get(cells[place], 0) + int(np.count_nonzero(places == place))
        made = values[places]
        if self.reading.words:
            if self.absent == self.start and len(there := np.flatnonzero(~np.isnan(made))):
                self.first = self.start + int(there[0])
            self.digest.update("".join("\1" if c is None else f"{c}\0" for c in self._written(cells, places)).encode())
        return made

    def _written(self, cells: Sequence[str], places: Array) -> Iterator[str | None]:
        words = [None if self.reading.absent(cell) else self.reading.spelled(cell) for cell in cells]
        words.append(None)
        return (words[place] for place in places.tolist())

    def _value(self, cell: str) -> float | None:
        if not self.reading.words:
            value = self.reading.value(cell)
            truth = value is None and self.new and self.reading.kind == "number"
            return {"true": 1.0, "false": 0.0}.get(cell.casefold()) if truth else value
        place = self.words.setdefault(self.reading.spelled(cell), len(self.words))
        if len(self.words) > MOST_WORDS:
            rule = f"column {self.name} has more than {MOST_WORDS} different words"
            raise DataError(f"{self.source.label}: {rule}; leave it out with {ignoring(self.name)}")
        return float(place)

    def _wrong(self, row: int, cell: str, *, present: int = 0, bad: int = 0) -> DataError:
        """`present` cells have a value, `bad` of them are not in the column's form."""
        what = {
            "number": _number_in(self.reading.form), "boolean": "true or false", "date": "a date", "time": "a time of the day",
            "ordinal": f"one of {', '.join(self.reading.order)}",
        }[self.reading.kind]  # fmt: skip
        like = f" like {present - bad} of the {present} cells" if present > bad > 0 else ""
        where = f"column {self.name}, {self.source.place(self.start + row)}"
        return DataError(f"{self.source.label}: {where} is {cell}; it must be {what}{like}; {self.hint}")

    def _finite(self, values: Array) -> None:
        infinite = np.flatnonzero(np.isinf(values))
        if len(infinite):
            row = int(infinite[0])
            where = f"column {self.name}, {self.source.place(self.start + row)}"
            rule = "numbers must be finite, leave the cell empty if unknown"
            raise DataError(f"{self.source.label}: {where} is {values[row]}; {rule}")
        self.absent += int(np.count_nonzero(np.isnan(values)))

    def check_names(self) -> None:
        """Refuses a column most of whose cells differ, which the first look could not count.  Raises DataError."""
        present = self.start - self.absent
        if self.reading.words and present >= LEAST_NAMES and 2 * len(self.words) > present:
            first, *others = self.words
            also = f" (also {listed(others, 2)})" if others else ""
            rule = f"{len(self.words)} of the {present} cells differ, so they may be names and no categories"
            ways = " or ".join(column_setting(self.name, f"kind: {kind}") for kind in ("category", "hash", "id"))
            where = f"column {self.name}, {self.source.place(self.first)}"
            raise DataError(f"{self.source.label}: {where} is {first!r}{also}; {rule}; give {ways}")

    @property
    def told(self) -> tuple[str, ...]:
        """What is to be said of cells that were taken as missing, or without their unit."""
        count = sum(self.nothing.values())
        cells = f"{count} cell{'s' if count > 1 else ''}, {listed(list(self.nothing))},"
        missing = (f"{cells} taken as missing, though the training had none of the kind",) if count else ()
        return (*missing, *list(self.bare)[:1])

    @property
    def sha(self) -> str:
        """The digest of all cells, whatever file they come from."""
        return str(self.digest.hexdigest())


def _as_missing(name: str, reading: Reading, odd: Sequence[str]) -> str:
    """What takes a few cells that are no numbers as missing, where the column is declared to hold numbers."""
    if reading.kind != "number" or len(odd) > 3:
        return ""
    words = ", ".join(map(written, dict.fromkeys((*reading.missing.words, *odd))))
    return f"; {column_setting(name, f'kind: number, missing: [{words}]')} takes {'it' if len(odd) == 1 else 'them'} as missing"


def _otherwise(name: str, reading: Reading, cell: str, cells: Mapping[str, int], odd: Mapping[str, int]) -> str:
    """What to say of a cell of a new file that is written in another way than those of the training.

    cells, odd  of the column: all that have a value, and those that are not in its form
    """
    ways = []
    if isinstance(reading.form, Number):
        for form in (Number(decimal=".", thousands=","), Number(decimal=",", thousands=".")):
            value = parser(replace(form, prefix=reading.form.prefix, suffix=reading.form.suffix))(cell)
            if value is not None:
                ways.append(f"{column_setting(name, f'decimal: {written(form.decimal)}')} reads it as {value:g}")
    elif isinstance(reading.form, Moment):
        for format_ in formats_of(cells) or formats_of(odd):
            day = moment(cell, format_)
            read = f" reads it as {EPOCH + timedelta(days=day):%Y-%m-%d}" if day is not None else " reads others"
            ways.append(f"{column_setting(name, f'format: {written(format_)}')}{read}")
        if not ways and any(letter.isdigit() for letter in cell):
            ways = ["a format as of strptime in data.columns says how the dates of this file are written"]
    return f"; {' and '.join(ways)}" if ways else ""


def _number_in(form: Form | None) -> str:
    """`a number with a decimal comma and kg after it`."""
    return said(form).replace("numbers", "a number", 1).replace(" them", " it") if isinstance(form, Number) else "a number"


def _truths(values: Array) -> Any:
    """1 and 0 as words, for a target."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.array([None if value != value else "true" if value else "false" for value in values.tolist()], pa.string())


def _with_points(text: Any, reading: Reading, form: Number) -> Array | None:
    """Numbers with a decimal mark and nothing else beside them, at once."""
    import pyarrow.compute as pc  # noqa: PLC0415

    others = {".", ",", form.thousands} - {form.decimal, ""}
    if any(pc.any(pc.match_substring(text, mark)).as_py() for mark in others):
        return None
    return plain_numbers(text if form.decimal == "." else pc.replace_substring(text, ",", "."), reading.missing)


def converted(blocks: Iterator[list[Any]], converters: Mapping[str, Converter], kind: np.dtype[Any]) -> Iterator[Array]:
    """Blocks of the columns -> cells [n, C] of type `kind`.  Raises DataError."""
    for block in blocks:
        columns = by_column(Converter.__call__, list(converters.values()), block)
        rows = len(columns[0])
        cells = np.empty((rows, len(columns)), kind)
        step = max(1, 2**18 // max(len(columns), 1))
        for start in range(0, rows, step):  # piece by piece, so that what is written stays in the processor's cache
            for place, column in enumerate(columns):
                cells[start : start + step, place] = column[start : start + step]
        yield cells
