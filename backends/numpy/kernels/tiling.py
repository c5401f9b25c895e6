"""What the kernels of products share: even shares, the tile at the edge, and copies of an operand that lie together."""

# K summed, N columns; lanes of the machine's own vectors
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from llvmlite import ir

from backends.numpy.emit.emitter import ELEMENT, I32, POINTER, SIZE, Emitter, Number, Value, vector

CHAINS = 12  # sums that must run at once to hide the latency of a multiply-add
RESIDENT = 1 << 19  # bytes of a packed operand that stay in the second-level cache
HEAD = 64  # bytes before what is packed: a number that says what that is, NOTHING before a thread's first tiles of a call
NOTHING = -1


def share_evenly(count: int, most: int) -> int:
    """The size of the parts, at most `most` each, that `count` is cut into as evenly as can be."""
    return -(-count // -(-count // most))


def when_last(e: Emitter, index: Value, count: int, usual: int, last: int, emit: Callable[[int], None]) -> None:
    """Emits the form of size `usual`, and that of the last of `count` parts where its size differs."""
    if usual == last or count == 1:
        emit(last if count == 1 else usual)
        return
    with e.b.if_else(e.number(index) == count - 1) as (then, otherwise):
        with then:
            emit(last)
        with otherwise:
            emit(usual)


@contextmanager
def when_not_packed(e: Emitter, scratch: Value, number: Value) -> Iterator[None]:
    """Where the scratch does not hold what `number` stands for: emits what packs it, and notes that it does now."""
    with e.b.if_then(e.load_number(scratch) != number):
        yield
        e.b.store(number, scratch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """Copies `columns` columns of `depth` rows together, `pitch` numbers from one row to the next.

        for k in range(depth):
            target[k * pitch : k * pitch + columns] = source[k * source_pitch : k * source_pitch + columns]
            transposed: target[k * pitch + n] = source[n * source_pitch + k] for n in range(columns)

    transposed: each column is a run of `depth` numbers in the source, `source_pitch` from the next; else each row is one.
    """

    depth: int
    columns: int
    source_pitch: int
    pitch: int
    transposed: bool
    precision: str
    lanes: int

    def emit(self, module: ir.Module, name: str) -> ir.Function:
        """The function `name(source, target)` in `module`."""
        if name in module.globals:
            return module.globals[name]
        e = Emitter(module, name, [POINTER] * 2, internal=True)
        (self._squares if self.transposed else self._rows)(e)
        e.finish()
        return e.function

    def _rows(self, e: Emitter) -> None:
        source, target = e.arguments
        with e.loop(0, self.depth) as k:
            for start in range(0, self.columns, self.lanes):
                address = self._at(e, source, k, self.source_pitch, start)
                row = e.load_vector(address, self.precision, lanes=self.lanes, valid=self.columns - start)
                e.store_vector(row, self._at(e, target, k, self.pitch, start), self.precision, lanes=self.lanes)

    def _squares(self, e: Emitter) -> None:
        """Squares of vectors, exchanged in registers."""
        whole, rest = divmod(self.depth, self.lanes)
        for start in range(0, self.columns, self.lanes):
            with e.loop(0, whole) as block:
                self._square(e, block * self.lanes, start, self.lanes)
            if rest:
                self._square(e, e.number(whole * self.lanes), start, rest)

    def _square(self, e: Emitter, k: Number, start: int, depth: int) -> None:
        source, target = e.arguments
        rows = []
        for n in range(start, start + self.lanes):
            address = e.at(source, (k + n * self.source_pitch) * SIZE[self.precision])
            inside = n < self.columns
            zero = ir.Constant(vector(ELEMENT[self.precision], self.lanes), None)
            rows.append(e.load_vector(address, self.precision, lanes=self.lanes, valid=depth) if inside else zero)
        for n, row in enumerate(_exchanged(e, rows, self.lanes)[:depth]):
            place = self._at(e, target, k + n, self.pitch, start)
            e.store_vector(row, place, self.precision, lanes=self.lanes)

    def _at(self, e: Emitter, pointer: Value, row: Number, pitch: int, start: int) -> Value:
        return e.at(pointer, (row * pitch + start) * SIZE[self.precision])


def _exchanged(e: Emitter, rows: list[Value], lanes: int) -> list[Value]:
    """A square of vectors with rows and columns exchanged: log2(lanes) rounds of pairwise exchanges."""
    step = 1
    while step < lanes:
        low = [lane if not lane & step else lanes + lane - step for lane in range(lanes)]
        high = [lane + step if not lane & step else lanes + lane for lane in range(lanes)]
        shuffles = [ir.Constant(vector(I32, lanes), order) for order in (low, high)]
        swapped = list(rows)
        for i in range(lanes):
            if not i & step:
                swapped[i] = e.b.shuffle_vector(rows[i], rows[i + step], shuffles[0])
                swapped[i + step] = e.b.shuffle_vector(rows[i], rows[i + step], shuffles[1])
        rows, step = swapped, 2 * step
    return rows
