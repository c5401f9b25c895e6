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
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.data.cells.columns import Missing
from pipeline.data.cells.findings import Doubt
from pipeline.data.cells.infer import uneven
from pipeline.data.cells.packed import FORMS, narrowed
from pipeline.data.cells.sentinels import Zeros, suspect, suspect_days, suspects
from pipeline.data.hints import ignoring
from pipeline.data.sources.batches import Source
from pipeline.data.tables.blocks import Typed, plain_numbers, readable, shapes, smallest, texts, typed, whole, with_point, without
from pipeline.errors import DataError

Array = npt.NDArray[Any]
T = TypeVar("T")

KEPT = 2**26  # bytes of blocks that are kept, where there are several
APART = 2**22  # bytes of blocks from which on several processors look at them
DISTINCT = 200_000  # cells that are counted in all columns together, at least LEAST_DISTINCT and at most MOST_WORDS in each
LEAST_DISTINCT = 256
SAMPLE = 4096  # cells of plain numbers that are looked at as they are written
MOST_WORDS = 100_000
MOST_SHAPES = 1000


@dataclass
class Evidence:
    """What the cells of a column are.

    words   whether they are wanted as they are written
    whole_only  whether a point is no decimal mark
    plain   all present cells so far are plain numbers: `low` ... `suspects` are known of them, else `counts`
    packed  the dates of digits alone that all whole numbers so far may be
    pointed whether a whole number among them has a point, as 1.000;  uneven: what is to be said of 1.10 beside 1.9
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
    uneven: Doubt | None = None

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
            values = np.zeros(0) if numbers is None else without(numbers, self.missing)
            if numbers is not None and values.dtype.kind == "f" and self.whole and not self.pointed:
                self.pointed = with_point(text)
            if numbers is not None and values.dtype.kind == "f" and not self.rows:
                self.uneven = uneven(text for text in _distinct(text.slice(0, SAMPLE))[0] if text is not None)
            if numbers is not None and not (self.whole_only and values.dtype.kind == "f" and (not whole(values) or with_point(text))):
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
        self.whole = self.whole and (present.dtype.kind != "f" or whole(present))
        if self.kind == "date":
            self._suspect(present, low, high)
        if exact:
            self.packed = narrowed(self.packed, present, low, high) if self.whole and self.packed else ()
            self._suspect(present, low, high)
            self.zeros.see(present, low, high)
        return values

    def _suspect(self, values: Array, low: float, high: float) -> None:
        find = suspect_days if self.kind == "date" else suspects
        if self.kind == "date" or suspect(low) or suspect(high) or self.suspects:
            odd = find(values)
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
            return np.dtype(np.float64) if not self.whole or not np.isfinite(self.low) else smallest(self.low, self.high, self.absent > 0)
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


def _distinct(array: Any) -> tuple[list[str | None], list[int]]:
    import pyarrow.compute as pc  # noqa: PLC0415

    found = pc.value_counts(array)
    return found.field("values").to_pylist(), found.field("counts").to_pylist()
