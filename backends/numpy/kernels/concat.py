"""Kernels that put tensors side by side along an axis and cut them apart: runs of bytes are moved, nothing is computed."""

# n_i size of part i along the axis; outer, inner: the numbers of places before and after the axis
from __future__ import annotations

import math
from dataclasses import dataclass

from llvmlite import ir

from backends.contract import Call
from backends.numpy.emit.emitter import I64, POINTER, SIZE, Emitter
from backends.numpy.kernels.kernel import Sizes
from backends.numpy.machine.processor import Processor

TILE_BYTES = 2**16  # of the whole tensor that one tile moves


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs(Sizes):
    """`outer` times over, the runs of bytes of each part lie one after another in the whole; joins: parts -> whole, else whole -> parts.

    numbers: of the whole
    """

    outer: int
    runs: tuple[int, ...]
    joins: bool
    numbers: int

    @classmethod
    def of(cls, call: Call, precision: str, cpu: Processor) -> Runs:
        """The sizes of `call`."""
        joins, axis = call.op == "concat", call.attributes["axis"]
        parts = call.inputs if joins else call.outputs
        runs = tuple(math.prod(part.shape[axis:]) * SIZE[part.dtype] for part in parts)
        return cls(outer=math.prod(parts[0].shape[:axis]), runs=runs, joins=joins, numbers=sum(b.count for b in parts))

    @property
    def rows(self) -> int:
        """Of the outer places, how many one tile moves."""
        return max(1, TILE_BYTES // sum(self.runs))

    @property
    def tiles(self) -> int:
        """Into how many parts the work is cut."""
        return -(-self.outer // self.rows)

    @property
    def work(self) -> float:
        """Numbers moved."""
        return float(self.numbers)


class RunsKernel:
    """Emits `name(input pointers, output pointers, scratch, begin, end)` for tiles begin <= t < end: `rows` outer places each.

        for place in outer:
            whole[place] = part_0[place], part_1[place], ...    (or the other way round)

    where part_i[place] is one run of n_i * inner numbers.
    """

    def __init__(self, module: ir.Module, name: str, runs: Runs) -> None:
        self.p = runs
        self.e = Emitter(module, name, [POINTER] * (len(runs.runs) + 2) + [I64, I64])

    def emit(self) -> None:
        """Emits the whole kernel."""
        e, p = self.e, self.p
        *pointers, _, begin, end = e.arguments
        whole, parts = (pointers[-1], pointers[:-1]) if p.joins else (pointers[0], pointers[1:])
        first = begin * p.rows
        with e.loop(first, e.smaller(end * p.rows, p.outer)) as place:
            offset = 0
            for part, run in zip(parts, p.runs, strict=True):
                here = e.at(part, place * run)
                there = e.at(whole, place * sum(p.runs) + offset)
                e.copy(*((there, here) if p.joins else (here, there)), run)
                offset += run
        e.finish()
