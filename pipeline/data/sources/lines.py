"""The lines of a text file that are no rows: those that data.skip leaves out, and those that look as if they should be."""

from __future__ import annotations

import io
import re
import zlib
from collections import Counter
from collections.abc import Container, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from pipeline.data.cells.columns import MISSING
from pipeline.data.cells.forms import plain
from pipeline.data.cells.nothing import for_nothing
from pipeline.data.hints import listed, shell, written
from pipeline.errors import DataError

Record = tuple[int, list[str]]  # the line it starts on, and its cells

MARKS = "~^:!#§¦\x01\x1f"  # delimiters that are rare enough to be asked about
LONGEST = 2**25  # bytes of a line
MOST_SHOWN = 20  # numbers of lines in an override
_RULE = re.compile(r":?-{3,}:?|={3,}")


class _Bounded(io.RawIOBase):
    """The bytes of a file whose lines are not longer than LONGEST."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.fileobj = getattr(file, "fileobj", file)  # whose place in the file on disk tells the progress
        self._file, self._path, self._read, self._length = file, path, 0, 0  # bytes so far, and of the line that is being read

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: object) -> int:
        """As a raw file does.  Raises DataError; OSError where a packed file is damaged."""
        view = memoryview(buffer)[: 2**22].cast("B")  # type: ignore[arg-type]  # what readinto is given
        try:
            count = cast(int, self._file.readinto(view))  # type: ignore[attr-defined]  # both kinds of files have it
        except zlib.error as error:
            raise OSError(str(error)) from error
        end = _last_break(view[:count])
        self._length = self._length + count if end < 0 else count - end - 1
        self._read += count
        if self._length > LONGEST:
            rule = f"line {self._line()} is longer than {LONGEST >> 20} MB, which no row of a table is"
            raise DataError(f"data.path = {self._path}: {rule}; mend it")
        return count

    def _line(self) -> int:
        """The number of the line that is being read: what stands before it is read again."""
        self._file.seek(0)
        line, left = 1, self._read - self._length
        while left and (chunk := self._file.read(min(left, 2**20))):
            line, left = line + chunk.count(b"\n"), left - len(chunk)
        return line

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()


def _last_break(view: memoryview) -> int:
    """The place of the last end of a line, -1 where there is none: it is next to always near the end."""
    for start in (max(0, len(view) - 2**12), 0):
        text = bytes(view[start:])
        if (end := max(text.rfind(b"\n"), text.rfind(b"\r"))) >= 0:
            return start + end
    return -1


def bounded(file: BinaryIO, path: Path) -> BinaryIO:
    """`file`, at `path`: a line that is longer than LONGEST is refused where it is read."""
    return cast(BinaryIO, io.BufferedReader(_Bounded(file, path), 2**20))


class _Without(io.RawIOBase):
    """The bytes of a file without the lines of these numbers, from 1."""

    def __init__(self, file: BinaryIO, skip: Sequence[int]) -> None:
        inner = getattr(file, "raw", file)
        self.fileobj = getattr(inner, "fileobj", inner)  # whose place in the file on disk tells the progress
        self._file, self._left, self._line, self._rest = file, sorted(set(skip)), 1, b""

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: object) -> int:
        """As a raw file does; 0 at its end."""
        view = memoryview(buffer)  # type: ignore[arg-type]  # what readinto is given
        while not self._rest:
            chunk = self._file.read(max(len(view), 2**16))
            if not chunk:
                return 0
            self._rest = self._kept(chunk)
        size = min(len(view), len(self._rest))
        view[:size], self._rest = self._rest[:size], self._rest[size:]
        return size

    def _kept(self, chunk: bytes) -> bytes:
        kept, start = [], 0
        while self._left and start < len(chunk):
            wanted = self._left[0] - self._line
            if wanted > chunk.count(b"\n", start):
                self._line += chunk.count(b"\n", start)
                break
            stop = start
            for _ in range(wanted):
                stop = chunk.index(b"\n", stop) + 1
            kept.append(chunk[start:stop])
            self._line += wanted
            end = chunk.find(b"\n", stop)
            if end < 0:
                return b"".join(kept)  # the rest of the line is in the chunks to come
            start = end + 1
            self._line += 1
            self._left.pop(0)
        return b"".join([*kept, chunk[start:]])

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()


def without(file: BinaryIO, skip: Sequence[int]) -> BinaryIO:
    """`file`, its lines `skip` left out."""
    return cast(BinaryIO, io.BufferedReader(_Without(file, skip), 2**20)) if skip else file


def number_in_file(line: int, skip: Sequence[int]) -> int:
    """The number in the whole file of a line that is counted without those of `skip`."""
    for gone in sorted(set(skip)):
        line += gone <= line
    return line


def skipping(lines: Sequence[int]) -> str:
    """`data.skip=[3,4]`."""
    return f"data.skip=[{','.join(map(str, lines))}]"


def check_lines(path: Path, rows: Sequence[Record], skip: Sequence[int]) -> None:
    """Refuses titles and remarks above the names, a line of dashes or units below them, names that come again.  Raises DataError."""
    at = {number: number_in_file(line, skip) for number, (line, _) in enumerate(rows)}
    cells = [[cell.strip() for cell in row] for _, row in rows]
    widths = [len(row) for row in cells]
    if len(rows) < 2:
        return
    usual = Counter(widths[1:]).most_common(1)[0][0]
    trailing = widths[0] == usual - 1 and all(not row[-1] for row in cells[1:])
    if widths[0] != usual and usual > 1 and not trailing:
        lead = next((i for i, width in enumerate(widths) if width == usual), 0)
        gone = [*skip, *(at[i] for i in range(lead))]
        raise DataError(f"data.path = {path}: {_uneven_head(cells, at, lead, usual, gone, skip)}")
    lead = next((i for i, row in enumerate(cells) if sum(map(bool, row)) > 1), 0)
    if usual > 2 and lead and widths[0] == usual:
        what = (
            f"line {at[0]} has a single cell that is not empty; it"
            if lead == 1
            else f"lines {at[0]} to {at[lead - 1]} have a cell at most; they"
        )
        raise DataError(f"data.path = {path}: {what} may be a title; give {skipping([*skip, *(at[i] for i in range(lead))])}")
    dashes = len(cells) > 2 and len(cells[1]) == usual and all(_RULE.fullmatch(cell) for cell in cells[1] if cell) and any(cells[1])
    if dashes:
        raise DataError(f"data.path = {path}: line {at[1]} is a line of dashes below the names; give {skipping([*skip, at[1]])}")
    if (units := _units(cells, usual)) is not None:
        rule = f"line {at[1]} ({units}) stands among columns of numbers and may hold units, or a second line of names"
        ways = f"give {skipping([*skip, at[1]])}, or {skipping([*skip, at[0]])} where line {at[0]} is no line of names"
        raise DataError(f"data.path = {path}: {rule}; {ways}")
    again = [at[i] for i, row in enumerate(cells) if i and row == cells[0]]
    rows_below = [row for row in cells[1:] if row != cells[0] and len(row) == usual] if again else []
    numbers = [place for place in range(usual) if rows_below and all(plain(row[place]) is not None for row in rows_below)]
    if any(plain(cells[0][place]) is None for place in numbers):
        rule = f"line {again[0]} repeats line {at[0]}, the names of the columns"
        raise DataError(f"data.path = {path}: {rule}; give {skipping([*skip, *again[:MOST_SHOWN]])}")


def check_alone(path: Path, rows: Sequence[Record]) -> None:
    """Refuses lines of one cell that all hold a mark as often as the first does, which may be the delimiter.  Raises DataError."""
    lines = [cells[0] for _, cells in rows if cells]
    for mark in MARKS:
        often = lines[0].count(mark)
        if len(lines) > 1 and often and all(line.count(mark) == often for line in lines):
            rule = f"has one column, and {mark!r} stands {often} time{'s' if often > 1 else ''} in each of its lines"
            raise DataError(
                f"data.path = {path}: {rule}; give {shell(f'data.delimiter={written(mark)}')}, or data.delimiter=comma to keep it"
            )


def check_names(path: Path, names: Sequence[str], empty: Container[int], title: Sequence[int]) -> None:
    """Refuses columns without a name, but for those of `empty`, and names that come again; `title`: the lines to leave out then.

    Raises DataError.
    """
    seen: set[str] = set()
    for index, name in enumerate(names):
        if not name and index not in empty:
            given = shell(f"data.names=[{','.join(written(n or f'column_{i + 1}') for i, n in enumerate(names))}]")
            hint = f"name it, or give data.header=true {given}" if len(names) <= 20 else "name it"
            raise DataError(f"data.path = {path}: column {index + 1} of the header has no name; {hint}")
        if name and name in seen:
            own = [f"{n}_{i + 1}" if n in names[:i] or n in names[i + 1 :] else n or f"column_{i + 1}" for i, n in enumerate(names)]
            hint = "rename one" + (
                f", or give data.header=true {shell(f'data.names=[{chr(44).join(map(written, own))}]')}" if len(names) <= 20 else ""
            )
            ways = f"{hint}, or {skipping(title)} if line {title[-1]} is a title"
            raise DataError(f"data.path = {path}: two columns of the header are named {name}; {ways}")
        seen.add(name)


def _uneven_head(
    cells: Sequence[Sequence[str]], at: dict[int, int], lead: int, usual: int, gone: Sequence[int], skip: Sequence[int]
) -> str:
    """What is said of a first line that has other cells than those below it."""
    width, rest = len(cells[0]), f"line {at[lead]} has {usual}"
    first = f"line {at[0]} has {width} cell{'s' if width > 1 else ''} and {rest}"
    if lead != 1 or abs(width - usual) > 1 or width == 1:
        what = "it may be a title" if lead == 1 else f"lines {at[0]} to {at[lead - 1]} may be a title or remarks"
        return f"{first}; {what}; give {skipping(gone)}"
    what, names = (
        ("the first column has no name", ["column_1", *cells[0]]) if width < usual else ("the last name is one too many", cells[0][:-1])
    )
    named = shell(f"data.names=[{','.join(map(written, names))}]")
    return f"{first}; mend it, give {skipping(gone)} if it is a title, or {skipping(gone)} data.header=false {named} if {what}"


def _units(cells: Sequence[Sequence[str]], usual: int) -> str | None:
    """The words of the second line that stand above numbers throughout, where they do so in every column of numbers."""
    below = [row for row in cells[2:] if len(row) == usual]
    if len(below) < 3 or len(cells[1]) != usual or any(plain(cell) is not None for cell in cells[0]):
        return None

    def empty(cell: str) -> bool:
        return not cell or cell.casefold() in MISSING or for_nothing(cell, words=True)

    def odd(cell: str) -> bool:
        marked = any(letter.isalpha() or letter in "[(%°" for letter in cell)
        return marked and not empty(cell) and plain(cell) is None

    if sum(map(odd, cells[1])) < 2:
        return None
    found = []
    for place in range(usual):
        column = [row[place] for row in below if not empty(row[place])]
        if len(column) >= 3 and all(plain(cell) is not None for cell in column):
            found.append(cells[1][place])
    words = [cell for cell in found if odd(cell)]
    return listed(words) if len(words) > 1 and len(words) >= len(found) - 1 else None
