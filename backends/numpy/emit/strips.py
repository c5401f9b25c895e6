"""Runs of contiguous numbers in strips of vectors: loads, stores, tails, copies and sums, the same in every kernel that runs along them.

    for c in strips.along(channels):
        x = strips.load(source, c)
        strips.store(x * x, target, c)

emits its body in a loop over the whole strips, and once more for what is left at the end.
"""

# a strip is up to 4 vectors of 16 lanes; `valid` counts the lanes in use of each vector
from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from llvmlite import ir

from backends.numpy.emit.emitter import ELEMENT, Emitter, Value, vector
from backends.numpy.emit.number import Number
from backends.numpy.emit.vectors import Cells, Vectors
from backends.numpy.machine.processor import LANES

VECTORS = 4  # of a strip
UNROLLED = 4 * VECTORS * LANES  # numbers that are moved without a loop


def lanes_in_use(count: int, lanes: int = LANES) -> list[int]:
    """For each of the vectors that cover `count` numbers."""
    return [min(lanes, count - start) for start in range(0, count, lanes)]


@dataclass(frozen=True, slots=True)
class Strip:
    """The numbers start, start + 1, ... of an array."""

    start: Number
    valid: list[int]

    def after(self, offset: Value) -> Strip:
        """This strip of an array that begins `offset` numbers into a larger one."""
        return Strip(offset + self.start, self.valid)

    def further(self, count: int) -> Strip:
        """The strip that lies `count` numbers further on."""
        return Strip(self.start + count, self.valid)


class Strips:
    """Moves strips of one type of number."""

    def __init__(self, e: Emitter, dtype: str, lanes: int = LANES) -> None:
        self.e, self.dtype, self.lanes = e, dtype, lanes
        self.kind = vector(ELEMENT[dtype], lanes)
        self.zero = ir.Constant(self.kind, None)

    def along(self, count: int, unrolled: int = 0) -> Iterator[Strip]:
        """The strips of a run; one of at most `unrolled` numbers is written out without a loop."""
        size = VECTORS * self.lanes
        whole = count // size if count > unrolled else 0
        if whole:
            with self.e.loop(0, whole) as index:
                yield Strip(index * size, [self.lanes] * VECTORS)
        for start in range(whole * size, count, size):
            yield Strip(self.e.number(start), lanes_in_use(min(size, count - start), self.lanes))

    def cells(self, valid: list[int], value: float | None = None) -> Cells:
        """Accumulators of a strip, `value` in every lane where it is given."""
        cells = Cells(self.e, self.kind, len(valid))
        return cells if value is None else cells.fill(self.e.literal(value, self.kind))

    def load(self, pointer: Value, strip: Strip) -> Vectors:
        """A strip of the array at `pointer`; lanes that are not in use are zero."""
        return Vectors(self.e.b, self.loads(self._places(pointer, strip), strip.valid))

    def loads(self, places: Iterable[Value], valid: list[int]) -> Iterator[Value]:
        """A vector from each address, each when its turn comes."""
        return (self.e.load_vector(p, self.dtype, lanes=self.lanes, valid=n) for p, n in zip(places, valid, strict=True))

    def store(self, values: Iterable[Value], pointer: Value, strip: Strip) -> None:
        """The lanes in use, as a strip of the array at `pointer`."""
        self.stores(values, self._places(pointer, strip), strip.valid)

    def stores(self, values: Iterable[Value], places: Iterable[Value], valid: list[int]) -> None:
        """A vector to each address."""
        for value, place, n in zip(values, places, valid, strict=True):
            self.e.store_vector(value, place, self.dtype, lanes=self.lanes, valid=n)

    def copy(self, source: Value, target: Value, count: int) -> None:
        """`count` numbers."""
        for run in self.along(count, UNROLLED):
            self.store(self.load(source, run), target, run)

    def clear(self, target: Value, count: int) -> None:
        """`count` zeros."""
        for run in self.along(count, UNROLLED):
            self.store([self.zero] * len(run.valid), target, run)

    def _places(self, pointer: Value, strip: Strip) -> Iterator[Value]:
        first = self.e.at(pointer, strip.start, self.dtype)
        return (self.e.at(first, self.lanes * n, self.dtype) for n in range(len(strip.valid)))
