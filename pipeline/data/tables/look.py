"""A first look at the columns of a table: what their cells are, block by block, in memory that does not grow with the table.

A column of plain numbers is cast by Arrow, which takes digits, a point and a power of ten and nothing else; of every other column the
distinct cells are counted. Of a small table what was made of the blocks is kept, so that nothing is read twice.
"""

# n rows of a block
from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.data.cells.columns import Missing
from pipeline.data.cells.infer import EXACT
from pipeline.data.cells.packed import FORMS, narrowed
from pipeline.data.cells.sentinels import Zeros, suspect, suspects
from pipeline.data.hints import ignoring
from pipeline.data.sources.batches import Source
from pipeline.errors import DataError

Array = npt.NDArray[Any]
T = TypeVar("T")
Typed = Literal["number", "boolean", "date", "time"]

KEPT = 2**26  # bytes of blocks that are kept, where there are several
APART = 2**22  # bytes of blocks from which on several processors look at them
DISTINCT = 200_000  # cells that are counted in all columns together, at least LEAST_DISTINCT and at most MOST_WORDS in each
LEAST_DISTINCT = 256
MOST_WORDS = 100_000
MOST_SHAPES = 1000


@dataclass
class Evidence:
    """What the cells of a column are.

    words   whether they are wanted as they are written
    whole_only  whether a point is no decimal mark
    plain   all present cells so far are plain numbers: `low` ... `suspects` are known of them, else `counts`
    packed  the dates of digits alone that all whole numbers so far may be
    pointed whether a whole number among them has a point, as 1.000
    kind    of a column that has a type
    counts  distinct present cells, stripped -> how often; `many`: more than are counted, and the first of each of `shapes` stands for the
            others of its shape; `nothing`: words that were taken as missing
    zeros   what is to be told of a 0 among plain numbers
    kept    the blocks, numbers [n] or Arrow text; None: not kept
    """

    name: str
    missing: Missing
    words: bool
    most: int
    whole_only: bool = False
    plain: bool = True
    kind: Typed | None = None
    rows: int = 0
    absent: int = 0
    low: float = np.inf
    high: float = -np.inf
    whole: bool = True
    pointed: bool = False
    packed: tuple[str, ...] = FORMS
    suspects: dict[float, int] = field(default_factory=dict)
    rest: tuple[float, float] = (np.inf, -np.inf)
    counts: dict[str, int] = field(default_factory=dict)
    nothing: set[str] = field(default_factory=set)
    zeros: Zeros = field(default_factory=Zeros)
    many: bool = False
    shapes: dict[str, str] = field(default_factory=dict)
    kept: list[Any] | None = field(default_factory=list)
    behind: bool = False
    infinite: int | None = None

    def see(self, array: Any) -> Any:
        """Takes in a block -> what it is kept as."""
        found = typed(array, self.missing)
        if found is not None and not self.words:
            kind, values = found
            self.kind = kind
            return self._numbers(values, exact=kind == "number")
        text = texts(array)
        if self.plain and not self.words:
            numbers = plain_numbers(text, self.missing)
            values = np.zeros(0) if numbers is None else _without(numbers, self.missing)
            if numbers is not None and values.dtype.kind == "f" and self.whole and not self.pointed:
                self.pointed = _with_point(text)
            if numbers is not None and not (self.whole_only and values.dtype.kind == "f" and (not _whole(values) or _with_point(text))):
                return self._numbers(values, exact=True)
            self.behind = self.rows > 0
        self.plain = False
        self.rows += len(text)
        self._count(text)
        return text

    def _numbers(self, values: Array, *, exact: bool) -> Array:
        self.rows += len(values)
        present = values
        if values.dtype.kind == "f":
            there = ~np.isnan(values)
            self.absent += int(len(values) - np.count_nonzero(there))
            present = values if there.all() else values[there]
        if not len(present):
            return values
        low, high = float(present.min()), float(present.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        if np.isinf(low) or np.isinf(high):
            place = self.rows - len(values) + int(np.flatnonzero(np.isinf(values))[0])
            self.infinite = place if self.infinite is None else self.infinite
            return values
        self.whole = self.whole and (present.dtype.kind != "f" or _whole(present))
        if exact:
            self.packed = narrowed(self.packed, present, low, high) if self.whole and self.packed else ()
            self._suspect(present, low, high)
            self.zeros.see(present, low, high)
        return values

    def _suspect(self, values: Array, low: float, high: float) -> None:
        if suspect(low) or suspect(high) or self.suspects:
            odd = suspects(values)
            for value, count in zip(*np.unique(values[odd], return_counts=True), strict=True):
                self.suspects[float(value)] = self.suspects.get(float(value), 0) + int(count)
            values = values[~odd]
            if not len(values):
                return
            low, high = float(values.min()), float(values.max())
        self.rest = (min(self.rest[0], low), max(self.rest[1], high))

    def _count(self, array: Any) -> None:
        beyond: dict[str, int] = {}
        for entry, count in zip(*_distinct(array), strict=True):
            text = "" if entry is None else entry.strip()
            if self.missing.holds(text):
                self.absent += count
                self.nothing.update([text] if text else [])
            elif text in self.counts or len(self.counts) < self.most:
                self.counts[text] = self.counts.get(text, 0) + count
            else:
                beyond[text] = count
        if beyond:
            self.many = True
            self._gather(beyond)

    def _gather(self, cells: Mapping[str, int]) -> None:
        """Counts cells beyond the limit with the first such of their shape: one that is unlike all others is seen wherever it stands."""
        for text, shape, count in shapes(cells):
            known = shape if shape in self.shapes or len(self.shapes) < MOST_SHAPES else ""
            first = self.shapes.setdefault(known, text)
            self.counts[first] = self.counts.get(first, 0) + count

    def again(self, *, typed: bool) -> Evidence:
        """Nothing known yet, and the cells counted from the first block on, as words also where they are `typed`."""
        return Evidence(name=self.name, missing=self.missing, words=self.words or typed, most=self.most, plain=False)

    @property
    def storage(self) -> np.dtype[Any]:
        """The smallest type that holds the cells, or the places of words, exactly; NaN is a missing one."""
        if self.plain and self.kind in (None, "number"):
            return np.dtype(np.float64) if not self.whole or not np.isfinite(self.low) else _smallest(self.low, self.high, self.absent > 0)
        return np.dtype(np.float64)


def look(source: Source, columns: Mapping[str, Missing], *, words: Iterable[str], whole_only: Iterable[str]) -> dict[str, Evidence]:
    """What the cells of `columns` (name -> what is missing there) are; those in `words` are wanted as written.  Raises DataError."""
    most = min(max(DISTINCT // max(len(columns), 1), LEAST_DISTINCT), MOST_WORDS)
    words, whole_only = set(words), set(whole_only)
    found = {
        name: Evidence(name=name, missing=missing, words=name in words, most=most, plain=name not in words, whole_only=name in whole_only)
        for name, missing in columns.items()
    }
    _see(source, found)
    recount(source, found, [name for name, evidence in found.items() if evidence.behind])
    return found


def recount(source: Source, found: dict[str, Evidence], names: Sequence[str], *, typed: bool = False) -> None:
    """Counts the distinct cells of columns that were taken for numbers, those of a type too where it is wanted.  Raises DataError."""
    if names:
        late = {name: found[name].again(typed=typed) for name in names}
        _see(source, late)
        found.update(late)


def _see(source: Source, found: Mapping[str, Evidence]) -> None:
    size = 0
    for number, batch in enumerate(source.batches(list(found))):
        for name, kind in zip(found, batch.schema.types, strict=True):
            if not readable(kind):
                rule = f"column {name} holds neither numbers, words nor dates"
                raise DataError(f"{source.label}: {rule}; leave it out with {ignoring(name)}")
        blocks = by_column(Evidence.see, list(found.values()), batch.columns)
        size += sum(block.nbytes for block in blocks)
        for evidence, block in zip(found.values(), blocks, strict=True):
            evidence.kept = None if (number and size > KEPT) or evidence.kept is None else [*evidence.kept, block]


def by_column(work: Callable[[T, Any], Any], columns: Sequence[T], blocks: Sequence[Any]) -> list[Any]:
    """work(column, block) of each column: several at once, where the blocks are worth it; Arrow and NumPy let go of the interpreter."""
    pairs, processors = list(zip(columns, blocks, strict=True)), os.cpu_count() or 1
    if sum(block.nbytes for block in blocks) < APART:
        return [work(*pair) for pair in pairs]
    size = -(-len(pairs) // (8 * processors))
    groups = [pairs[start : start + size] for start in range(0, len(pairs), size)]
    with ThreadPoolExecutor(processors) as threads:
        return [made for group in threads.map(lambda group: [work(*pair) for pair in group], groups) for made in group]


def plain_numbers(array: Any, missing: Missing) -> Array | None:
    """Arrow text [n] -> numbers [n] of the smallest type, NaN where a cell is missing; None where a cell is no plain number.

    Nor where two cells that differ would be one number, or the number is not the one that is written: 007, 3E7, 2^53 + 1.
    """
    numbers = _cast(array)
    if numbers is None:
        numbers = _cast(_cleaned(array, missing))
    return numbers


def _cast(array: Any) -> Array | None:
    import pyarrow as pa  # noqa: PLC0415

    if array.null_count == len(array):
        return np.full(len(array), np.nan)
    dense = array.drop_null() if array.null_count else array  # the text of a null may still be there
    try:
        whole = array.cast(pa.int64())
    except pa.ArrowInvalid:
        whole = None
    if whole is not None:
        present = whole.drop_null() if whole.null_count else whole
        values = present.to_numpy()
        if _as_written(dense, values):
            return whole.to_numpy(zero_copy_only=False) if whole.null_count else _small(values)
        return None
    try:
        values = array.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    return values.to_numpy(zero_copy_only=False) if _no_code(dense) else None


def _with_point(array: Any) -> bool:
    import pyarrow.compute as pc  # noqa: PLC0415

    return bool(pc.any(pc.match_substring(array, ".")).as_py())


def _as_written(array: Any, values: Array) -> bool:
    """Whether the cells are the whole numbers `values` as one writes them: no zeros before them, which would make their text longer."""
    start, stop = (int(offset) for offset in _offsets(array)[[0, -1]])
    low, high = int(values.min()), int(values.max())
    if max(abs(low), abs(high)) > EXACT:
        return False
    digits = len(values) + (int(np.count_nonzero(values < 0)) if low < 0 else 0)
    size, power = np.abs(values) if low < 0 else values, 10
    while power <= max(abs(low), abs(high)):
        digits += int(np.count_nonzero(size >= power))
        power *= 10
    return digits == stop - start


def _no_code(array: Any) -> bool:
    """Whether no cell is infinite, not a number, a whole number with a power (3E7), or has zeros before it."""
    import pyarrow.compute as pc  # noqa: PLC0415

    offsets = _offsets(array)
    text = array.buffers()[2]
    if text is None:
        return True
    data = np.frombuffer(text, np.uint8)
    content = text.slice(int(offsets[0]), int(offsets[-1] - offsets[0])).to_pybytes()
    if b"n" in content or b"N" in content:
        return False
    if (b"e" in content or b"E" in content) and pc.any(pc.match_substring_regex(array, r"^\d+[eE]\d+$")).as_py():
        return False
    starts, lengths = offsets[:-1], np.diff(offsets)
    signed = np.isin(data[np.minimum(starts, len(data) - 1)], (43, 45)) & (lengths > 1)
    starts, lengths = starts + signed, lengths - signed
    zeros = np.flatnonzero((lengths > 1) & (data[np.minimum(starts, len(data) - 1)] == 48))
    second = data[starts[zeros] + 1]
    if not bool(((second >= 48) & (second <= 57)).any()):
        return not _too_long(array, lengths)
    return False


def _too_long(array: Any, lengths: Array) -> bool:
    """Whether a whole number of so many digits is there that a float64 may be another one."""
    import pyarrow.compute as pc  # noqa: PLC0415

    return bool(lengths.max(initial=0) >= 16 and pc.any(pc.match_substring_regex(array, r"^[+-]?\d{16,}$")).as_py())


def _offsets(array: Any) -> Array:
    return np.frombuffer(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]


def _cleaned(array: Any, missing: Missing) -> Any:
    """Without the blanks around cells, null where one is missing."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    trimmed = pc.utf8_trim_whitespace(array)
    distinct = pc.unique(trimmed.slice(0, 4096)).to_pylist()
    if not any(text is not None and missing.holds(text) for text in distinct) and len(trimmed) <= 4096:
        return trimmed
    gone = {text for text in pc.unique(trimmed).to_pylist() if text is not None and missing.holds(text)}
    return pc.if_else(pc.is_in(trimmed, pa.array(sorted(gone), pa.string())), pa.scalar(None, pa.string()), trimmed) if gone else trimmed


def _distinct(array: Any) -> tuple[list[str | None], list[int]]:
    import pyarrow.compute as pc  # noqa: PLC0415

    found = pc.value_counts(array)
    return found.field("values").to_pylist(), found.field("counts").to_pylist()


def shapes(cells: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """Counted cells -> (the first cell, the shape, how often) of each shape.

    A shape has 8 in place of a number, but one of nines alone, 0 in place of one with a zero before it, a in place of a longer word.
    """
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    texts, shape = list(cells), pa.array(cells, pa.string())
    for pattern, mark in ((r"\b0\d+", "0"), (r"\d*[1-8]\d*|\d*0\d+|\d+0", "8"), (r"\p{L}[\p{L} ]{3,}", "a")):
        shape = pc.replace_substring_regex(shape, pattern, mark)
    coded = shape.dictionary_encode()
    _, first, places = np.unique(coded.indices.to_numpy(), return_index=True, return_inverse=True)
    counts = np.bincount(places, np.fromiter(cells.values(), np.float64))
    return [(texts[at], shape[int(at)].as_py(), int(count)) for at, count in sorted(zip(first, counts, strict=True))]


def typed(array: Any, missing: Missing) -> tuple[Typed, Array] | None:
    """A column that has a type: its kind and numbers [n]; None for text, which `texts` gives."""
    import pyarrow as pa  # noqa: PLC0415

    kind, types = array.type, pa.types
    if types.is_dictionary(kind):
        array, kind = array.cast(kind.value_type), kind.value_type
    if types.is_boolean(kind):
        return "boolean", _floats(array.cast(pa.int8()))
    if types.is_timestamp(kind) or types.is_date(kind):
        microseconds = array.cast(pa.timestamp("us", tz=getattr(kind, "tz", None)), safe=False).cast(pa.int64())
        return "date", _floats(microseconds) / 1e6 / 86400  # rounded as the same moment in a text is
    if types.is_time(kind):
        seconds = _floats(array.cast(pa.time64("us"), safe=False).cast(pa.int64())) / 1e6
        return "time", seconds // 3600 + seconds // 60 % 60 / 60 + np.round(seconds % 60, 6) / 3600
    if types.is_duration(kind):
        return "number", _floats(array.cast(pa.duration("us"), safe=False).cast(pa.int64())) / 1e6
    if types.is_integer(kind):
        values = _without(_floats(array), missing)
        return None if np.nanmax(np.abs(values), initial=0) > EXACT else ("number", _small(values))
    if types.is_decimal(kind):
        array = array.cast(pa.string())  # the number nearest to the digits; the other way is rounded twice
    if types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind):
        return "number", _small(_without(_floats(array.cast(pa.float64(), safe=False)), missing))
    return None


def texts(array: Any) -> Any:
    """The cells of a column as Arrow text, the way a text file has them."""
    import pyarrow as pa  # noqa: PLC0415

    kind, types = array.type, pa.types
    if types.is_string(kind):
        return array
    if types.is_dictionary(kind):
        return texts(array.cast(kind.value_type))
    if types.is_large_string(kind) or types.is_string_view(kind) or types.is_integer(kind):
        return array.cast(pa.string())
    return pa.array([_text(value) for value in array.to_pylist()], pa.string())


def _text(value: Any) -> str | None:
    if value is None or value != value:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < EXACT else repr(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def readable(kind: Any) -> bool:
    """Whether a column of this Arrow type has numbers, words, dates or times."""
    import pyarrow as pa  # noqa: PLC0415

    types = pa.types
    return not (types.is_nested(kind) or types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind))


def _floats(array: Any) -> Array:
    """Arrow numbers [n] as float64, NaN for null."""
    return np.asarray(array.to_numpy(zero_copy_only=False), np.float64).copy()


def _without(values: Array, missing: Missing) -> Array:
    return np.where(np.isin(values, missing.values), np.nan, values) if missing.values else values


def _whole(values: Array) -> bool:
    present = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    return bool(np.all(present == np.floor(present)))


def _small(values: Array) -> Array:
    """The same numbers in the smallest type, as they are where some are missing or no whole ones."""
    if not len(values) or (values.dtype.kind == "f" and not (np.isfinite(values).all() and _whole(values))):
        return values
    return values.astype(_smallest(float(values.min()), float(values.max()), False))


def _smallest(low: float, high: float, missing: bool) -> np.dtype[Any]:
    """The smallest type for whole numbers."""
    if missing:
        return np.dtype(np.float32 if max(abs(low), abs(high)) <= 2**24 else np.float64)
    if low >= 0 and high <= 255:
        return np.dtype(np.uint8)
    if low >= -(2**15) and high < 2**15:
        return np.dtype(np.int16)
    return np.dtype(np.float32 if max(abs(low), abs(high)) <= 2**24 else np.float64)
