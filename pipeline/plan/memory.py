"""Lifetimes to offsets: first-fit placement of intervals in one arena, largest first."""

from __future__ import annotations

from dataclasses import dataclass

from backends.contract import ALIGNMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """A block of `bytes` that is live from phase `first` to phase `last`, both included."""

    name: str
    bytes: int
    first: int
    last: int


def aligned(size: int) -> int:
    """`size` rounded up to the alignment of the arena."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def place(lifetimes: list[Lifetime]) -> tuple[dict[str, int], int]:
    """-> (name -> offset, size of the arena).  Blocks live at the same time never overlap; the result depends on the input only."""
    offsets: dict[str, int] = {}
    placed: list[tuple[int, int, int, int]] = []  # first and last byte, first and last phase
    for block in sorted(lifetimes, key=lambda b: (-b.bytes, b.first, b.name)):
        start, stop = block.first, block.last
        busy = sorted((lo, hi) for lo, hi, first, last in placed if first <= stop and start <= last)
        offset = 0
        for lo, hi in busy:
            if offset + block.bytes <= lo:
                break
            offset = max(offset, hi)
        offsets[block.name] = offset
        placed.append((offset, aligned(offset + block.bytes), start, stop))
    return offsets, max((hi for _, hi, *_ in placed), default=0)
