"""Where the rows of a table come from, batch after batch as Arrow columns: delimited text, Parquet, JSON lines, the answer of a query.

Delimited text gives columns of text, cell by cell as written; the others give columns of their own types. A source can be read again,
so that a table larger than memory is looked at first and converted then.
"""

# n rows of a batch
from __future__ import annotations

import io
import itertools
import time
import traceback
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from pipeline.data.sources.dialect import Dialect, Unreadable, numbered, opened, position, undecodable
from pipeline.data.sources.lines import MOST_SHOWN, skipping, without
from pipeline.data.storage.progress import Progress
from pipeline.errors import DataError

BLOCK = 2**23  # bytes of text that become cells at a time
PIECE = 2**22  # bytes that are read at a time
WHOLE = 2**27  # bytes of text up to which a file is read in one piece
BATCH_ROWS = 2**16
LATEST = 5.0  # seconds
INDEX = "__index_level_0__"  # what pandas calls the row names that it stores


class Source(Protocol):
    """Rows that can be read again and again."""

    @property
    def label(self) -> str:
        """`data.path = FILE`, at the head of a sentence."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns, in their order."""

    @property
    def notes(self) -> tuple[str, ...]:
        """On how it is read."""

    @property
    def european(self) -> bool:
        """Whether a comma is no delimiter, so that it may be the decimal mark."""

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        """The rows of these columns, in order -> Arrow record batches [n].  Raises DataError."""

    def place(self, row: int) -> str:
        """`line 7` or `row 5`."""

    def written(self, row: int, column: str) -> str | None:
        """The cell as it is in the file, where it is text."""


class _Counted:
    """How many quotes and ends of lines have passed, of a text or of a file that is read through it."""

    def __init__(self) -> None:
        self.quotes, self.lines, self.closed = 0, 0, False

    def see(self, piece: bytes) -> bytes:
        """Counts those of `piece`, which it gives back."""
        self.quotes += piece.count(b'"')
        self.lines += piece.count(b"\n")
        return piece

    def reading(self, file: BinaryIO) -> _Counted:
        """Itself, as a file with the bytes of `file`."""
        self._file = file
        return self

    def read(self, size: int = -1) -> bytes:
        """As of a file."""
        return self.see(self._file.read(size))


class TextSource:
    """A file of delimited text."""

    def __init__(self, path: Path, written: Dialect) -> None:
        self.path, self.dialect, self.label = path, written, f"data.path = {path}"
        self.names, self.notes, self.european = written.names, written.notes, written.delimiter == ";"
        self._fit = False  # whether the quotes of the whole file are known to fit

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        """Columns of text."""
        import pyarrow as pa  # noqa: PLC0415  # 0.1 s that only tables need

        if self.dialect.by_hand:
            return self._by_hand(pa, columns)
        return self._by_arrow(pa, columns)

    def _by_arrow(self, pa: Any, columns: Sequence[str]) -> Iterator[Any]:
        blank = partial(_skip_blank)
        held = [weakref.ref[Any](blank)]
        batches = self._batches(pa, columns, blank, held)
        del blank
        try:
            yield from batches
        except BaseException as error:
            traceback.clear_frames(error.__traceback__)  # they hold what Arrow reads with
            if isinstance(error, pa.ArrowInvalid | UnicodeDecodeError | EOFError | OSError):
                raise self._fault(error) from error
            raise
        finally:
            del batches
            _let_go(held)

    def _batches(self, pa: Any, columns: Sequence[str], blank: Callable[[Any], str], held: list[weakref.ref[Any]]) -> Iterator[Any]:
        """`blank` says what becomes of lines of another length; `held`: what Python made for Arrow's threads."""
        from pyarrow import csv as arrow  # noqa: PLC0415

        inner = [str(place) for place in range(len(self.dialect.columns))]
        places = {name: place for place, name in enumerate(self.dialect.columns)}
        wanted = [inner[places[name]] for name in columns]
        options: dict[str, Any] = {
            "read_options": arrow.ReadOptions(
                column_names=inner, skip_rows=self.dialect.skipped, encoding=self.dialect.codec, block_size=BLOCK
            ),
            "convert_options": arrow.ConvertOptions(
                include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string()), strings_can_be_null=True, null_values=[""]
            ),
        }
        passed = _Counted()
        text = self._whole(pa, passed)
        quoted = text is None or not '"'.encode(self.dialect.codec).endswith(b'"') or passed.quotes > 0  # a cell may hold several lines
        parse = arrow.ParseOptions(delimiter=self.dialect.delimiter, newlines_in_values=quoted, invalid_row_handler=blank)
        if text is not None:
            table = arrow.read_csv(pa.BufferReader(text), parse_options=parse, **options)
            del text
            batches = table.combine_chunks().to_batches()  # a column is one piece
        else:
            read = partial(arrow.open_csv, parse_options=parse, **options)
            batches = self._streamed(lambda file: pa.PythonFile(passed.reading(file), mode="r"), read, held)
        rows = 0
        for batch in batches:
            rows += batch.num_rows
            if batch.num_rows:
                yield batch.rename_columns(list(columns)) if wanted else batch
        self._check_quotes(passed, rows)

    def _check_quotes(self, passed: _Counted, rows: int) -> None:
        """Whether quotes fit, where one may have no other and swallowed the lines behind it, as Arrow lets it.  Raises DataError."""
        if not self._fit and passed.quotes and (passed.quotes % 2 or passed.lines > rows + self.dialect.skipped + 1):
            for _ in self._records():
                pass
        self._fit = True

    def _whole(self, pa: Any, passed: _Counted) -> Any | None:
        """The text of the file as memory of Arrow, where it is short: all processors take part then; else None."""
        if (size := self.path.stat().st_size) > WHOLE:
            return None
        text, length = pa.BufferOutputStream(), 0
        with without(opened(self.path), self.dialect.skip) as file, Progress(self.path.name, size) as progress:
            while length <= WHOLE and (piece := file.read(PIECE)):
                text.write(passed.see(piece))
                length += len(piece)
                progress.at(position(file))
        return text.getvalue() if length <= WHOLE else None  # of a packed file the size says little

    def _streamed(self, given: Callable[[BinaryIO], Any], read: Callable[[Any], Iterator[Any]], held: list[Any]) -> Iterator[Any]:
        """What `read` makes of the file, piece by piece; `given` is what it takes."""
        with without(opened(self.path), self.dialect.skip) as file, Progress(self.path.name, self.path.stat().st_size) as progress:
            held.append(weakref.ref(file))
            for batch in read(given(file)):
                progress.at(position(file))
                yield batch

    def _by_hand(self, pa: Any, columns: Sequence[str]) -> Iterator[Any]:
        places = {name: place for place, name in enumerate(self.dialect.columns)}
        chosen = [places[name] for name in columns]
        rows = (cells for _, cells in self._records())
        while block := list(itertools.islice(rows, BATCH_ROWS)):
            arrays = [pa.array([cells[i] or None for cells in block], pa.string()) for i in chosen]
            yield pa.RecordBatch.from_arrays(arrays, names=list(columns))

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """(line it starts on, cells) of every row, checked against the number of columns.  Slow and exact.  Raises DataError."""
        wanted = len(self.dialect.columns)
        with without(opened(self.path), self.dialect.skip) as raw:
            text = io.TextIOWrapper(raw, encoding=self.dialect.codec, newline="")
            rows = numbered(text, self.dialect)
            try:
                for line, cells in rows:
                    if len(cells) != wanted:
                        more = (odd for odd, others in rows if len(others) != wanted)
                        raise self._uneven([line, *itertools.islice(more, MOST_SHOWN)], len(cells))
                    yield line, cells
            except UnicodeDecodeError as error:
                raise self._fault(error) from error
            except (EOFError, OSError) as error:
                raise DataError(f"{self.label}: its gzip stream is cut short or damaged; get the file again") from error
            except Unreadable as error:
                raise error.sentence(self.label, before=self.dialect.skipped) from error

    def _uneven(self, lines: Sequence[int], cells: int) -> DataError:
        """Lines that have another number of cells than the header; the first has `cells`."""
        found = f"line {lines[0]} has {cells} cell{'s' if cells != 1 else ''}"
        wanted = len(self.dialect.columns)
        against = f"the header {wanted}" if self.dialect.header else f"the others {wanted}"
        if len(lines) > MOST_SHOWN:
            return DataError(f"{self.label}: {found} and {against}, and so it is with {MOST_SHOWN} lines and more; mend them")
        also = f" (lines {', '.join(map(str, lines[1:]))} too)" if len(lines) > 1 else ""
        what = "the line, or leave it" if len(lines) == 1 else "the lines, or leave them"
        return DataError(f"{self.label}: {found} and {against}{also}; mend {what} out with {skipping([*self.dialect.skip, *lines])}")

    def _fault(self, error: Exception) -> DataError:
        """What is wrong with the file, by a slow look at each of its lines."""
        if isinstance(error, EOFError | OSError):
            return DataError(f"{self.label}: its gzip stream is cut short or damaged; get the file again")
        with opened(self.path) as raw:
            for number, line in enumerate(raw):
                try:
                    line.decode(self.dialect.codec)
                except UnicodeDecodeError as wrong:
                    if not self.dialect.codec.startswith("utf-16"):
                        return undecodable(self.path, line, wrong, self.dialect.encoding, before=number)
        try:
            for _ in self._records():
                pass
        except DataError as found:
            return found
        return DataError(f"{self.label}: cannot be read ({' '.join(str(error).split())}); mend the file")

    def place(self, row: int) -> str:
        """The line on which the record of a row starts."""
        return f"line {self._record(row)[0]}"

    def written(self, row: int, column: str) -> str | None:
        """The cell, without the blanks around it."""
        return self._record(row)[1][self.dialect.columns.index(column)].strip()

    def _record(self, row: int) -> tuple[int, list[str]]:
        return next(itertools.islice(self._records(), row, None))


def _skip_blank(row: Any) -> str:
    return "skip" if not row.text.strip() else "error"


def _let_go(held: Sequence[weakref.ref[Any]]) -> None:
    """Waits until Arrow's threads have let go of what Python made for them.

    They do so a moment after a reading has ended, and need the interpreter for it: one that ends in this moment would break off in C++
    (terminate called without an active exception).
    """
    late = time.monotonic() + LATEST
    while any(one() is not None for one in held) and time.monotonic() < late:
        time.sleep(0.0002)


@dataclass(frozen=True)
class ArrowSource:
    """What Arrow reads in batches by itself: Parquet, JSON lines, the answer of a query, a table in memory."""

    label: str
    names: tuple[str, ...]
    read: Callable[[Sequence[str]], Iterator[Any]]
    notes: tuple[str, ...] = ()
    european: bool = False

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        """Columns of their types."""
        return self.read(columns)

    def place(self, row: int) -> str:
        """Counted from 0."""
        return f"row {row}"

    def written(self, row: int, column: str) -> str | None:
        """A cell that has a type is not text."""
        return None


def parquet_source(path: Path) -> Source:
    """A Parquet file.  Raises DataError."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet  # noqa: PLC0415

    try:
        file = pyarrow.parquet.ParquetFile(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"data.path = {path}: is not a whole Parquet file; write it again, or give data=csv") from error
    names = tuple(file.schema_arrow.names)
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise DataError(f"data.path = {path}: two columns are named {twice}; rename one")
    names = tuple(name for name in names if name != INDEX)
    if not file.metadata.num_rows or not names:
        raise DataError(f"data.path = {path}: has no rows; give a Parquet file with data")

    def read(columns: Sequence[str]) -> Iterator[Any]:
        try:
            for batch in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=BATCH_ROWS, columns=list(columns)):
                batch.validate(full=True)  # words may be no UTF-8
                yield batch
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DataError(f"data.path = {path}: is not a whole Parquet file; write it again, or give data=csv") from error

    return ArrowSource(f"data.path = {path}", names, read)


class JsonSource:
    """A file of JSON objects, one a line: their keys are the columns, in order of first mention; a key that is not there is missing."""

    notes: tuple[str, ...] = ()
    european = False

    def __init__(self, path: Path) -> None:
        self.path, self.label = path, f"data.path = {path}"
        found: dict[str, None] = {}
        for _, row in self._rows():
            found.update(dict.fromkeys(row))
        if not found:
            raise DataError(f"{self.label}: has no rows; give a file with one JSON object a line")
        self.names = tuple(found)

    def _rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        import json  # noqa: PLC0415

        with opened(self.path) as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line.decode("utf-8-sig"), parse_float=str, parse_int=str)
                except RecursionError:
                    rule = f"line {number} is nested too deeply"
                    raise DataError(f"{self.label}: {rule}; give objects of numbers, words and truth values") from None
                except ValueError as error:
                    what = getattr(error, "msg", "bytes that are not UTF-8")
                    raise DataError(f"{self.label}: line {number} is no JSON ({what}); give one object a line") from error
                if not isinstance(row, dict):
                    raise DataError(f"{self.label}: line {number} is no JSON object; give one object a line")
                yield number, row

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        """Columns of text, as the values are written: a number keeps its digits."""
        import pyarrow as pa  # noqa: PLC0415

        rows = self._rows()
        while block := list(itertools.islice(rows, BATCH_ROWS)):
            arrays = [pa.array([self._text(number, name, row.get(name)) for number, row in block], pa.string()) for name in columns]
            yield pa.RecordBatch.from_arrays(arrays, names=list(columns))

    def _text(self, line: int, name: str, value: Any) -> str | None:
        if value is None or isinstance(value, str):
            return value or None
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, float):  # NaN, Infinity, which no parser sees
            return None if value != value else str(value)
        rule = f"column {name}, line {line} holds neither a number, a word nor a truth value"
        raise DataError(f"{self.label}: {rule}; leave it out with data.ignore=[{name}]")

    def place(self, row: int) -> str:
        """The line of a row."""
        return f"line {next(itertools.islice(self._rows(), row, None))[0]}"

    def written(self, row: int, column: str) -> str | None:
        """The value as text."""
        number, values = next(itertools.islice(self._rows(), row, None))
        return self._text(number, column, values.get(column))
