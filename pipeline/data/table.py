"""CSV and Parquet files as columns.  A CSV cell keeps its line, so that an error can name it.

CSV is read by the standard library: it counts lines exactly, quoted line breaks included, and needs no import of 0.5 s.
"""

# N rows
from __future__ import annotations

import csv
import hashlib
import io
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TextIO

import numpy as np
import numpy.typing as npt

from pipeline.data.files import read_bytes
from pipeline.errors import DataError

Numbers = npt.NDArray[np.float64]
Texts = Sequence[str | None]
Kind = Literal["number", "bool", "date", "text", "mixed", "other"]

MISSING = frozenset(("", "na", "n/a", "#n/a", "nan", "<na>", "null", "?"))  # in lower case; `none` may well be a category
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?")
_BOOL = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: `texts` (CSV, words) with None where a cell is missing, `numbers` [N] with NaN there, or both (numbers in a CSV).

    kind: mixed is mostly numbers with some words among them; other is a type that no input can be made of.
    """

    name: str
    kind: Kind
    texts: Texts | None = None
    numbers: Numbers | None = None


@dataclass(frozen=True, kw_only=True)
class Cells:
    """The used columns of a table as one matrix on disk, float64 [N, C]; see pipeline/data/convert.py.

    index    column -> its place in the matrix;  words  column -> what its numbers stand for, where they stand for words
    digests  column -> SHA-256 of its cells
    """

    matrix: npt.NDArray[np.float64]
    index: Mapping[str, int]
    words: Mapping[str, Sequence[str]]
    digests: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Table:
    """The columns of a file by name; `places` [N] are line numbers (CSV, from 1) or row numbers (Parquet, from 0).

    cells  where the columns lie on disk, when the file has been converted
    """

    path: Path
    columns: dict[str, Column]
    places: npt.NDArray[np.int64]
    unit: Literal["line", "row"]
    cells: Cells | None = None

    def place(self, row: int) -> str:
        """`line 7` or `row 5`."""
        return f"{self.unit} {self.places[row]}"


def read_table(path: Path, *, parquet: bool) -> Table:
    """The table in `path`.  Raises DataError."""
    return _read_parquet(path) if parquet else _read_csv(path)


def as_numbers(table: Table, column: Column, *, hint: str | None = None) -> Numbers:
    """`column` as float64 [N], NaN where a cell is missing, dates as days since 1970-01-01.

    Raises DataError where a cell is no number; `hint` says what to do then, by default to mend it or to call the column categorical.
    """
    if column.kind == "other":
        raise _unusable(table, column)
    if column.numbers is not None:
        values = column.numbers
    else:
        assert column.texts is not None
        parse: Callable[[str], float | None] = {"date": days, "bool": truth}.get(column.kind, number)
        parsed = [np.nan if text is None else parse(text) for text in column.texts]
        bad = next((row for row, value in enumerate(parsed) if value is None), None)
        if bad is not None:
            hint = hint or f"mend it, or give data.categorical=[{column.name}] if the cells are names"
            raise _word_among_numbers(table, column, bad, parsed, hint)
        values = np.array(parsed, np.float64)
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        row = int(infinite[0])
        where = f"column {column.name}, {table.place(row)}"
        raise DataError(f"data.path = {table.path}: {where} is {values[row]}; numbers must be finite, leave the cell empty if unknown")
    return values


def as_texts(table: Table, column: Column) -> Texts:
    """`column` as words, None where a cell is missing; whole numbers are written without a point.  Raises DataError."""
    if column.kind == "other":
        raise _unusable(table, column)
    if column.texts is not None:
        return column.texts
    assert column.numbers is not None
    if column.kind == "bool":
        return [None if np.isnan(v) else ("true" if v else "false") for v in column.numbers.tolist()]
    return [None if np.isnan(v) else (str(int(v)) if v.is_integer() else str(v)) for v in column.numbers.tolist()]


def digest(table: Table, numbers: Iterable[str], words: Iterable[str]) -> str:
    """SHA-256 (hex) of the named columns, those of numbers and those of words."""
    made = hashlib.sha256()
    for name in (*numbers, *words):
        made.update(f"{name};".encode())
        if table.cells is not None:
            made.update(table.cells.digests[name].encode())
            continue
        column = table.columns[name]
        content = as_texts(table, column) if name in words else as_numbers(table, column)
        made.update(hashlib.sha256(cell_bytes(content)).hexdigest().encode())
    return made.hexdigest()


def cell_bytes(content: Numbers | Texts) -> bytes:
    """The cells of a column, or of a part of it, one after the other."""
    if isinstance(content, np.ndarray):
        return content.tobytes()
    return "".join("\1" if text is None else f"{text}\0" for text in content).encode()


def column_list(names: Sequence[str]) -> str:
    """`a, b, c`, or the first 20 and how many more."""
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _read_csv(path: Path) -> Table:
    content = read_bytes(path, at="data.path")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"data.path = {path}: byte {error.start} is not UTF-8 text; give a CSV in UTF-8, or data=parquet") from error
    ((names, lines, rows),) = csv_chunks(path, io.StringIO(text, newline=""), sys.maxsize)
    columns = {name: typed(name, [cell(text) for text in texts]) for name, texts in zip(names, zip(*rows, strict=True), strict=True)}
    return Table(path=path, columns=columns, places=np.array(lines, np.int64), unit="line")


def csv_chunks(path: Path, file: TextIO, size: int) -> Iterator[tuple[list[str], list[int], list[list[str]]]]:
    """(names of the columns, line of each row, cells of each row) of up to `size` rows at a time, at least once.  Raises DataError."""
    found = records(path, file)
    _, header = next(found, (0, []))
    names = [name.strip() for name in header]
    _check_header(path, names)
    lines: list[int] = []
    rows: list[list[str]] = []
    for line, cells in found:
        if len(cells) != len(names):
            raise DataError(f"data.path = {path}: line {line} has {len(cells)} cells and the header {len(names)}; mend the line")
        if len(rows) == size:
            yield names, lines, rows
            lines, rows = [], []
        lines.append(line)
        rows.append(cells)
    if not rows:
        raise DataError(f"data.path = {path}: has a header and no rows; give a CSV with data")
    yield names, lines, rows


def records(path: Path, file: TextIO) -> Iterator[tuple[int, list[str]]]:
    """(line it starts on, cells) of each record that is not blank.  The delimiter is the one the header uses most: , ; tab or |."""
    header = next((line for line in file if line.strip()), "")
    file.seek(0)
    delimiter = max(",;\t|", key=header.count)
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(f"data.path = {path}: the record at line {line} cannot be read ({error}); mend its quotes") from error
        if cells is None:
            return
        if any(cell.strip() for cell in cells) or len(cells) > 1:
            yield line, cells


def _check_header(path: Path, names: list[str]) -> None:
    if not names:
        raise DataError(f"data.path = {path}: the file is blank; give a CSV with a header line and rows")
    if all(number(name) is not None for name in names) and names != [str(i) for i in range(len(names))]:
        raise DataError(f"data.path = {path}: line 1 holds numbers where the names of the columns belong; put a header line before it")
    for index, name in enumerate(names):
        if not name:
            raise DataError(f"data.path = {path}: column {index + 1} of the header has no name; name it")
        if name in names[:index]:
            raise DataError(f"data.path = {path}: two columns of the header are named {name}; rename one")


def cell(text: str) -> str | None:
    """A cell of a CSV without the blanks around it; None where it is missing."""
    stripped = text.strip()
    return None if stripped.lower() in MISSING else stripped


def typed(name: str, texts: Texts) -> Column:
    """The column with the kind that all its present cells share."""
    try:  # all cells at once: fast where all are numbers, as in most columns
        numbers = np.array(["nan" if text is None else text for text in texts], np.float64)
        return Column(name=name, kind="number", texts=texts, numbers=numbers)
    except ValueError:
        present = [text for text in texts if text is not None]
    if all(truth(text) is not None for text in present):
        return Column(name=name, kind="bool", texts=texts)
    if all(days(text) is not None for text in present):
        return Column(name=name, kind="date", texts=texts)
    parsed = sum(number(text) is not None for text in present)
    return Column(name=name, kind="mixed" if 2 * parsed > len(present) else "text", texts=texts)


def number(text: str) -> float | None:
    """A number, or None where it is none."""
    try:
        return float(text)
    except ValueError:
        return None


def truth(text: str) -> float | None:
    """true and false; 0 and 1 too, as another program may write them."""
    value = _BOOL.get(text.lower(), number(text))
    return value if value in (0.0, 1.0) else None


def days(text: str) -> float | None:
    """Days since 1970-01-01 of an ISO 8601 date or time; without a zone it is UTC."""
    if not _DATE.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - EPOCH).total_seconds() / 86400


def _word_among_numbers(table: Table, column: Column, row: int, parsed: list[float | None], hint: str) -> DataError:
    assert column.texts is not None
    present = sum(text is not None for text in column.texts)
    numbers = present - sum(value is None for value in parsed)
    where = f"column {column.name}, {table.place(row)} is {column.texts[row]!r}"
    others = f" like {numbers} of the {present} cells" if numbers else ""
    rule = f"it must be {'a date' if column.kind == 'date' else 'a number'}{others}"
    return DataError(f"data.path = {table.path}: {where}; {rule}; {hint}")


def _unusable(table: Table, column: Column) -> DataError:
    rule = f"column {column.name} holds neither numbers, words nor dates"
    return DataError(f"data.path = {table.path}: {rule}; leave it out with data.ignore=[{column.name}]")


def _read_parquet(path: Path) -> Table:
    import pyarrow as pa  # noqa: PLC0415  # 0.1 s that only this kind of file needs
    import pyarrow.parquet  # noqa: PLC0415

    content = read_bytes(path, at="data.path")
    try:
        names = pyarrow.parquet.read_schema(pa.BufferReader(content)).names
        twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
        if twice is not None:
            raise DataError(f"data.path = {path}: two columns are named {twice}; rename one")
        table: Any = pyarrow.parquet.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"data.path = {path}: is not a whole Parquet file; write it again, or give data=csv") from error
    if not table.num_rows or not table.num_columns:
        raise DataError(f"data.path = {path}: has no rows; give a Parquet file with data")
    columns = {str(name): arrow_column(pa, str(name), table.column(name)) for name in table.column_names if name != "__index_level_0__"}
    return Table(path=path, columns=columns, places=np.arange(table.num_rows, dtype=np.int64), unit="row")


def arrow_column(pa: Any, name: str, values: Any) -> Column:
    """An Arrow column as ours, by its type."""
    kind, types = values.type, pa.types
    if types.is_dictionary(kind) or types.is_string(kind) or types.is_large_string(kind):
        texts = [None if value is None else str(value).strip() for value in values.to_pylist()]
        return Column(name=name, kind="text", texts=texts)
    if types.is_boolean(kind):
        return Column(name=name, kind="bool", numbers=_floats(values.cast(pa.int8())))
    if types.is_timestamp(kind) or types.is_date(kind):
        microseconds = values.cast(pa.timestamp("us", tz=getattr(kind, "tz", None)), safe=False).cast(pa.int64())
        return Column(name=name, kind="date", numbers=_floats(microseconds) / 86400e6)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind):
        return Column(name=name, kind="number", numbers=_floats(values.cast(pa.float64(), safe=False)))
    return Column(name=name, kind="other")


def _floats(values: Any) -> Numbers:
    """An Arrow column of numbers as float64 [N], NaN for null."""
    return np.asarray(values.to_numpy(), np.float64).copy()
