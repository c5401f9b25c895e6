"""How a text file of rows and columns is written: packing, encoding, delimiter, quotes, header.  Looked at in its first records.

What the config gives is taken; what it leaves open is found here, and where two answers are possible the config is asked.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from pipeline.data.cells.findings import Doubt, Found
from pipeline.data.cells.forms import TRUTHS, plain
from pipeline.data.cells.infer import infer
from pipeline.data.hints import shell, written
from pipeline.data.sources.lines import bounded, check_alone, check_lines, check_names, number_in_file, without
from pipeline.data.storage.files import check_file, unreadable
from pipeline.errors import ConfigError, DataError
from pipeline.records import record

DELIMITERS = (",", ";", "\t", "|")
INVISIBLE = "\ufeff\u200b\u200e\u200f\u2060"
BLANKS = " "  # the delimiter of columns that stand apart by any number of blanks
SAMPLE = 2**18  # bytes that are looked at, more where they hold less than three lines
RECORDS = 200  # that are looked at, and cells
CELLS = 20_000
csv.field_size_limit(2**31 - 1)  # a cell may be a whole text
_WINDOWS = rb"[\x80\x82-\x8c\x8e\x91-\x9c\x9e\x9f]"  # letters there, and controls that no text holds in Latin-1
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@record
class Dialect:
    """encoding   of the text, as a person says it; codec: as Python does, a byte-order mark left out
    delimiter  between cells; a blank stands for any number of blanks
    header     whether the first record holds names
    columns    of the file, in their order, `names` those of them that are used: a column without name and cells is none
    skipped    lines before the first row, without those of `skip`, which are left out of the file (data.skip)
    by_hand    read by the csv module, as blanks between cells and before quotes ask for
    """

    encoding: str
    codec: str
    delimiter: str
    header: bool
    columns: tuple[str, ...]
    names: tuple[str, ...]
    skipped: int
    by_hand: bool
    notes: tuple[str, ...] = ()
    skip: tuple[int, ...] = ()


class Unreadable(Exception):
    """A record whose quotes do not fit, with the line it starts on."""

    def __init__(self, line: int, error: csv.Error) -> None:
        super().__init__(line, error)
        self.line, self.error = line, error

    def sentence(self, label: str, *, before: int = 0) -> DataError:
        """`before`: lines that stand before what was read."""
        return DataError(f"{label}: the record at line {self.line + before} cannot be read ({self.error}); mend its quotes")


def opened(path: Path) -> BinaryIO:
    """The bytes of a file, unpacked where it is gzip; a line is no longer than memory bears.  Raises DataError."""
    check_file(path, at="data.path")
    try:
        file: BinaryIO = path.open("rb")
        packed = file.read(2) == b"\x1f\x8b"
        if packed:
            file.close()
            file = cast(BinaryIO, gzip.open(path))  # noqa: SIM115  # closed by whoever asked for it
        else:
            file.seek(0)
    except OSError as error:
        raise unreadable(path, error, at="data.path") from error
    return bounded(file, path)


def is_utf8(path: Path) -> bool:
    """Whether a file holds letters beyond ASCII, all of them in UTF-8: text of another encoding is next to never so by chance."""
    decoder, beyond = codecs.getincrementaldecoder("utf-8")(), False
    with opened(path) as file:
        try:
            while block := file.read(2**20):
                beyond = beyond or not block.isascii()
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except (UnicodeDecodeError, OSError, EOFError):
            return False  # who reads it says what is wrong
    return beyond


def position(file: BinaryIO) -> int:
    """How many bytes of the file itself, packed or not, have been read."""
    inner = getattr(file, "raw", file)
    return cast(int, getattr(inner, "fileobj", inner).tell())


def dialect(
    path: Path, *, encoding: str | None, delimiter: str | None, header: bool | None, names: Sequence[str], skip: Sequence[int] = ()
) -> Dialect:
    """How `path` is written.  Raises DataError where it is blank, or where names and rows cannot be told apart."""
    with without(opened(path), skip) as file:
        try:
            head = file.read(SAMPLE)
            while head.count(b"\n") < 3 and (more := file.read(len(head))):
                head += more
            whole = not file.read(1)
        except (EOFError, OSError) as error:
            raise DataError(f"data.path = {path}: its gzip stream is cut short or damaged; get the file again") from error
    spoken = encoding or next((name for mark, name in _MARKS.items() if head.startswith(mark)), _by_zeros(head))
    codec = _codec(spoken, head)
    if skip and codec.startswith(("utf-16", "utf-32")):
        raise ConfigError(at="data.skip", got=list(skip), rule=f"the file is written in {spoken.upper()}", hint="save it as UTF-8")
    text = _decoded(path, head, spoken, codec, whole=whole)
    marked = re.match(r"sep=(.)\r?\n", text)  # what Excel reads and writes
    delimiter, comments = (marked[1], 1) if marked and delimiter is None else (delimiter, _comments(text, delimiter))
    body = "".join(text.splitlines(keepends=True)[comments:])
    separator = _given(delimiter) or _delimiter(body)
    by_hand = separator == BLANKS or bool(re.search(rf"{re.escape(separator)} +\"", body))
    rows = list(_records(path, body, separator, whole=whole, before=comments))
    if not rows:
        raise DataError(f"data.path = {path}: the file is blank; give a CSV with a header line and rows")
    if delimiter is None and all(len(cells) == 1 for _, cells in rows):
        check_alone(path, rows)
    if header is not False:
        check_lines(path, [(line + comments, cells) for line, cells in rows], skip)
    first = [cell.strip().strip(INVISIBLE).strip() for cell in rows[0][1]]
    below = [cells for _, cells in rows[1:]]
    look = _is_header if names else _has_header
    has = look(path, first, below) if header is None else header
    columns, used, notes = _columns(
        path,
        first,
        [cells for _, cells in rows[int(has) :]],
        names,
        has=has,
        whole=whole,
        title=[*skip, number_in_file(rows[0][0] + comments, skip)],
    )
    if has and len(rows) == 1 and whole:
        raise DataError(f"data.path = {path}: has a header and no rows; give a CSV with data")
    start = rows[1][0] - 1 if has and len(rows) > 1 else rows[0][0] - 1
    note = (f"{comments} line{'s' if comments > 1 else ''} with # at the head of the file left out",) if comments and not marked else ()
    return Dialect(
        encoding=spoken, codec=codec, delimiter=separator, header=has, columns=columns, names=used, skipped=comments + start,
        by_hand=by_hand, notes=(*note, *notes), skip=tuple(skip),
    )  # fmt: skip


def numbered(text: TextIO, written: Dialect) -> Iterator[tuple[int, list[str]]]:
    """(line it starts on, cells) of each row that is not blank."""
    for _ in range(written.skipped):
        text.readline()
    for line, cells in _read(text, written.delimiter):
        if any(cell.strip() for cell in cells) or len(cells) > 1:
            yield number_in_file(line + written.skipped, written.skip), cells


def _read(text: TextIO, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """(line it starts on, cells) of each record.  Raises csv.Error."""
    if delimiter == BLANKS:
        for number, written in enumerate(text):
            yield number + 1, next(csv.reader([written.strip().replace("\t", " ")], delimiter=" ", skipinitialspace=True), [])
        return
    reader = csv.reader(text, delimiter=delimiter, skipinitialspace=delimiter != "\t", strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise Unreadable(line, error) from error
        if cells is None:
            return
        yield line, cells


def _records(path: Path, text: str, delimiter: str, *, whole: bool, before: int) -> Iterator[tuple[int, list[str]]]:
    """The first records of a file that are not blank; the last is left out where it may be cut in the middle.  Raises DataError."""
    last: tuple[int, list[str]] | None = None
    try:
        for found in _sampled(text, delimiter):
            if last is not None:
                yield last
            last = found
        if last is not None and whole:
            yield last
    except Unreadable as error:
        if whole:
            raise error.sentence(f"data.path = {path}", before=before) from error


def _by_zeros(head: bytes) -> str:
    """The encoding of text without a mark: where every other byte is 0, it is UTF-16."""
    odd, even = head[1:4096:2].count(0), head[:4096:2].count(0)
    most = 0.4 * min(len(head), 4096) / 2
    return "utf-16-le" if odd > most > even else "utf-16-be" if even > most > odd else "utf-8"


def _codec(spoken: str, head: bytes) -> str:
    try:
        name = codecs.lookup(spoken).name
    except LookupError:
        rule = "is no encoding that is known here"
        raise ConfigError(at="data.encoding", got=spoken, rule=rule, hint="use utf-8, latin-1, cp1252, utf-16, ...") from None
    if name == "utf-8" and head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    return name


def _decoded(path: Path, head: bytes, encoding: str, codec: str, *, whole: bool) -> str:
    """The text of the first bytes of a file.  Raises DataError for bytes that are not in that encoding, with their line."""
    try:
        return codecs.getincrementaldecoder(codec)().decode(head, final=whole)
    except UnicodeDecodeError as error:
        raise undecodable(path, head, error, encoding) from error


def undecodable(path: Path, content: bytes, error: UnicodeDecodeError, encoding: str, *, before: int = 0) -> DataError:
    """`before`: lines that stand before `content`."""
    line = before + content[: error.start].count(b"\n") + 1
    byte = f"the byte 0x{content[error.start]:02x}" if error.start < len(content) else "a character that is cut short"
    first, second = ("cp1252", "latin-1") if re.search(_WINDOWS, content[error.start :]) else ("latin-1", "cp1252")
    hint = f"give data.encoding={first} (or {second}, utf-16, ...)" if encoding == "utf-8" else "give the right data.encoding"
    return DataError(f"data.path = {path}: line {line} holds {byte}, which is no {encoding.upper()} text; {hint}")


def _comments(text: str, delimiter: str | None) -> int:
    """Lines with # before the first one without, where they are no header: cut by the delimiter of what follows they have other cells."""
    lines = text.splitlines(keepends=True)
    count = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    if not count or count == len(lines):
        return 0
    separator = _given(delimiter) or _delimiter("".join(lines[count:]))

    def width(line: str) -> int:
        return len(next(iter(_read(io.StringIO(line, newline=""), separator)), (0, []))[1])

    wide = width(lines[count])
    return next((i for i, line in enumerate(lines[:count]) if width(line) == wide), count)


def _given(delimiter: str | None) -> str | None:
    if delimiter is None:
        return None
    known = {"\\t": "\t", "tab": "\t", "blank": " ", "space": " ", "comma": ",", "semicolon": ";"}.get(delimiter, delimiter)
    if len(known) != 1 or known in "\"'\r\n":
        raise ConfigError(at="data.delimiter", got=delimiter, rule="must be one character", hint='use ",", ";", "|", tab or blank')
    return known


def _delimiter(text: str) -> str:
    """The delimiter that cuts the first records into the same number of clean cells, the more the better; blanks where none does."""

    def suits(delimiter: str) -> tuple[float, float, int]:
        try:
            found = [cells for _, cells in _sampled(text, delimiter)]
        except Unreadable:
            return (0.0, 0.0, 0)
        counts = [len(cells) for cells in found]
        counts = counts[1:] if len(counts) > 2 and counts[0] == counts[1] - 1 else counts  # R leaves the name of the row names out
        usual = max(set(counts), key=counts.count) if counts else 1
        if usual < 2:
            return (0.0, 0.0, 0)
        cells = [cell for row in found for cell in row]
        others = [other for other in DELIMITERS if other != delimiter and other in text]
        clean = sum(_clean(cell, others) for cell in cells) if others else len(cells)
        return (counts.count(usual) / len(counts), clean / len(cells), usual)

    fits = {delimiter: suits(delimiter) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: (fits[delimiter], delimiter != ","))  # a comma stands in numbers and dates too
    columns = best == "\t" and bool(re.match(r"\s*[\d.]+ {2,}[\d.]+\s", text))  # numbers that blanks part, and a tab before a last one
    if fits[best][2] and fits[best][0] > 0.5 and not (columns and suits(BLANKS)[0] == 1.0):
        return best
    return BLANKS if suits(BLANKS)[0] == 1.0 else best if fits[best][2] else ","


def _sampled(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    rows = seen = 0
    for line, cells in _read(io.StringIO(text, newline=""), delimiter):
        if any(cell.strip() for cell in cells) or len(cells) > 1:
            yield line, cells
            rows, seen = rows + 1, seen + len(cells)
        if rows > RECORDS or (seen > CELLS and rows > 10):
            return


def _clean(cell: str, others: Sequence[str]) -> bool:
    """Whether none of the other delimiters is left in a cell, but for a comma within a number."""
    rest = re.sub(r"(?<=\d),(?=\d)", "", cell) if "," in cell else cell
    return not any(other in rest for other in others)


def _has_header(path: Path, first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first record holds names: it does, unless its cells look like those below them."""
    if not rows or list(first) == [str(i) for i in range(len(first))]:
        return True
    columns = [[row[i].strip() for row in rows if i < len(row)] for i in range(len(first))]
    values = [cell for cell, column in zip(first, columns, strict=True) if _like(cell, column)]
    again = len(rows) >= 5 and all(cell in column for cell, column in zip(first, columns, strict=True) if cell)
    if not values and not again:
        return True
    shown = ", ".join(first[:5]) + (", ..." if len(first) > 5 else "")
    rule = f"line 1 ({shown}) may hold the names of the columns or the first row"
    hint = "give data.header=true, or data.header=false (and data.names=[...] for names of your own)"
    raise DataError(f"data.path = {path}: {rule}; {hint}")


def _is_header(_: Path, first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first record is sure to hold names, where others are given: it has a word where all others have numbers, dates, ..."""
    columns = [[row[i].strip() for row in rows if i < len(row)] for i in range(len(first))]
    pairs = [(cell, Counter(filter(None, column))) for cell, column in zip(first, columns, strict=True) if cell]
    found = [(infer({cell: 1}, names=True), infer(below, names=True)) for cell, below in pairs]
    kinds = [(one.kind, other.kind) for one, other in found if isinstance(one, Found) and isinstance(other, Found)]
    return any(one == "category" and other not in ("category", "empty") for one, other in kinds)


def _like(cell: str, column: Sequence[str]) -> bool:
    """Whether a cell is a number, a date or a truth value like those of its column."""
    if plain(cell) is not None:
        return True
    truth = cell.casefold() in TRUTHS and len(cell) > 1  # a column may well be called y
    if not truth and cell[:1].isalpha() and column and plain(column[0]) is not None:
        return False  # a word above a number
    alone = infer({cell: 1}) if cell else Found(kind="empty")
    if isinstance(alone, Found) and alone.kind in ("category", "empty") and alone.why != "leading zeros" and not truth:
        return False
    others = infer(Counter(text for text in column if text), names=True)
    if truth:
        return isinstance(others, Found) and others.kind == "boolean"
    together = infer(Counter([cell, *(text for text in column if text)]), names=True)
    return isinstance(others, Doubt) or (isinstance(together, Found) and together.kind == others.kind != "category")


def _columns(
    path: Path, first: Sequence[str], rows: Sequence[Sequence[str]], names: Sequence[str], *, has: bool, whole: bool, title: Sequence[int]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The names of all columns, those that are used, and notes on others.  Raises DataError, ConfigError.

    title   the lines to leave out where the first is no line of names
    """
    found = list(first)
    if has and rows and all(len(row) == len(found) + 1 and not row[-1].strip() for row in rows):
        found.append("")  # a delimiter at the end of each row, but not of the header
    empty = {i for i in range(len(found)) if (not has or not found[i]) and all(i >= len(r) or not r[i].strip() for r in rows)}
    filled = max((i for i in range(len(found)) if i not in empty), default=-1)
    gone = empty if has else {i for i in empty if i > filled}
    notes = [f"{len(gone)} column{'s' if len(gone) > 1 else ''} without a name and without a value left out"] if gone else []
    if has and not names and not found[0] and 0 not in gone and len(found) - len(gone) > 1 and (what := _row_names(rows)):
        gone = gone | {0}
        keep = shell(f"data.names=[{','.join(map(written, ['row', *(name for name in found[1:] if name)]))}]")
        notes.append(f"column 1 has no name and {what}: taken for the names of the rows, as pandas and R write them, and left out")
        notes[-1] += f" (data.header=true {keep} keeps it)"
    width = len(found) - len(gone)
    if names:
        if len(names) not in (width, len(found)):
            rule = f"{path} has {width} columns"
            raise ConfigError(at="data.names", got=list(names), rule=rule, hint="give one name for each")
        gone = gone if len(names) == width else set()
        given = iter(names)
        found = ["" if i in gone else next(given) for i in range(len(found))]
    elif not has:
        found = ["" if i in gone else f"column_{i + 1}" for i in range(len(found))]
    check_names(path, found, gone, title)
    columns = tuple(name or f"\0{index}" for index, name in enumerate(found))
    used = tuple(name for index, name in enumerate(columns) if index not in gone)
    return columns, used, tuple(notes)


def _row_names(rows: Sequence[Sequence[str]]) -> str:
    """What shows that the first cells of rows are their names; nothing where they are not."""
    cells = [row[0].strip() for row in rows if row]
    counted = {" ".join(map(str, range(start, start + len(cells)))) for start in (0, 1)}
    if " ".join(cells) in counted:
        return "counts the rows"
    own = len(cells) >= 5 and len(set(cells)) == len(cells) and "" not in cells
    names = not any("." in cell and plain(cell) is not None for cell in cells)
    return "another cell in each row" if own and names else ""
