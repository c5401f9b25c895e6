"""Which numbers of the source each position of a convolution reads: geometry of one axis at a time, no code is emitted here.

Position p of a convolution reads place i of its window at the row

    p * stride + i * dilation - padding

of the source, so all positions read alike: one lattice, p = 0, 1, 2, ...  Its data gradient asks the other way round.  Row p of the image
was read as place i by the window at position q where q * stride + i * dilation - padding = p, that is at

    q = (p + padding - i * dilation) / stride

wherever that is whole.  Whether it is depends on the remainder of p by the stride alone: the rows of one remainder, first, first + stride,
first + 2 stride, ..., are reached by the same places of the window, and from one of them to the next q grows by one.  On such a lattice the
data gradient is a convolution of stride 1 with some of the places of the window.  In two dimensions, a lattice of rows with one of columns
is a phase.
"""

# a tap is a place of the window that the positions of a lattice read, with its offset in the source
from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

MOST_TAPS = 5  # of a row of the window that are summed at once: the weights of more would leave too few registers for sums


@dataclass(frozen=True, slots=True)
class Lattice:
    """The positions first, first + step, ... (`count` of them) of one axis of the output, that the same places of the window reach.

    Position number q reads the source at q * pace + offset for every (place of the window, offset) in `taps`; offsets rise evenly.
    """

    first: int
    step: int
    count: int
    pace: int
    taps: tuple[tuple[int, int], ...]

    @property
    def rise(self) -> int:
        """From one offset to the next."""
        return self.taps[1][1] - self.taps[0][1] if len(self.taps) > 1 else 1

    @property
    def groups(self) -> list[tuple[int, ...]]:
        """The taps by their numbers, in groups of nearly equal size whose weights the registers hold at once."""
        count = len(self.taps)
        parts = -(-count // MOST_TAPS)
        limits = [count * n // parts for n in range(parts + 1)] if parts else []
        return [tuple(range(a, b)) for a, b in pairwise(limits)]

    @property
    def together(self) -> int:
        """Taps of the largest group."""
        return max(map(len, self.groups), default=1)

    def inside(self, start: int, count: int, offset: int, size: int) -> tuple[int, int]:
        """Which of the positions start <= q < start + count read inside the source at `offset`, counted from start."""
        found = [q for q in range(count) if 0 <= (start + q) * self.pace + offset < size]
        return (found[0], found[-1] + 1) if found else (0, 0)


def lattices(*, back: bool, out: int, window: int, stride: int, padding: int, dilation: int) -> tuple[Lattice, ...]:
    """The lattices of one axis: one of a convolution; of its data gradient one for each remainder of the division by the stride."""
    if not back:
        return (Lattice(0, 1, out, stride, tuple((i, i * dilation - padding) for i in range(window))),)
    result = []
    for first in range(min(stride, out)):
        reach = [(i, (first + padding - i * dilation) // stride) for i in range(window) if (first + padding - i * dilation) % stride == 0]
        result.append(Lattice(first, stride, len(range(first, out, stride)), 1, tuple(sorted(reach, key=lambda tap: tap[1]))))
    return tuple(result)


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring tiles of one output row that differ in nothing but their place: `tiles` tiles of `width` positions from `start`.

    valid: for each tap of the columns, the positions of a tile that read inside the source.
    """

    start: int
    tiles: int
    width: int
    valid: tuple[tuple[int, int], ...]


def runs(columns: Lattice, width: int, size: int) -> list[Run]:
    """The tiles of one output row, `width` positions each but the last, over a source of `size` columns; tiles alike put together.

    Near the edges of the image tiles differ in the taps that reach outside; all those between are alike, and share one piece of code that
    asks no questions.
    """
    result: list[Run] = []
    for start in range(0, columns.count, width):
        count = min(width, columns.count - start)
        valid = tuple(columns.inside(start, count, offset, size) for _, offset in columns.taps)
        last = result[-1] if result else None
        if last and (last.width, last.valid) == (count, valid):
            result[-1] = Run(last.start, last.tiles + 1, count, valid)
        else:
            result.append(Run(start, 1, count, valid))
    return result


def readers(columns: Lattice, run: Run, group: tuple[int, ...]) -> list[tuple[int, list[tuple[int, int]]]]:
    """(column of the source, counted from the tile's first, [(tap, position of the tile that reads it there)]), in order of the columns.

    A number of the source is read once for all the positions whose windows it lies in: of a row of the window with 3 taps, each number is
    the right one of one position, the middle one of the next and the left one of the one after.
    """
    found: dict[int, list[tuple[int, int]]] = {}
    for tap in group:
        low, high = run.valid[tap]
        for position in range(low, high):
            found.setdefault(position * columns.pace + columns.taps[tap][1], []).append((tap, position))
    return sorted(found.items())
