"""The gather of x where its rows are stored in another form: bytes or floats -> the numbers that the network sees.

x = number(stored);  x = (x - shift) * factor  for each pair, one rounding an operation: the bits of a preprocessing done in advance.
"""

# B batch rows, D numbers of a row, P pairs
from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from backends.contract import STORED, Array, Feed
from backends.numpy.emit.emitter import ELEMENT, I32, I64, POINTER, VOID, Emitter, Module, Number, Value, vector
from backends.numpy.kernels.kernel import Kernel
from backends.numpy.machine.cache import key
from backends.numpy.machine.processor import LANES, Processor

FLUSH = 0x8040  # of x86's control word: denormal results and operands become 0
UNROLL = 4  # vectors of a turn: their loads are under way together
# target [B, D], source [N, D], order int64 [B], begin, end, number of the form, pairs [count, 2, D], count of at least one
ARGUMENTS = (POINTER, POINTER, POINTER, I64, I64, I64, POINTER, I64)


def forms(precision: str) -> tuple[str, ...]:
    """The types that rows may be stored in; the n-th has number n + 1 in the argument block, 0 stands for rows that are copied."""
    return tuple(dict.fromkeys((*STORED, precision)))


def stored(feed: Feed, precision: np.dtype[Any]) -> tuple[dict[str, Array], dict[str, int]]:
    """The arrays and numbers of the argument block that the gather of x [N, ...] reads.  A type that has no form is converted here."""
    x, pairs, order = feed.x, feed.pairs, np.ascontiguousarray(feed.rows_of("x"), np.int64)
    alone = not pairs.shape[1]
    if alone and (x.dtype == precision or str(x.dtype) not in STORED):
        return {"x": np.ascontiguousarray(x, precision), "x_order": order}, {}
    if alone:  # the pair that changes no number: one loop serves both
        pairs = np.repeat([[[[0.0], [1.0]]]], pairs.shape[3], axis=3)
    made = {"x": np.ascontiguousarray(x), "x_order": order, "pairs": np.ascontiguousarray(pairs, precision)}
    stride = made["pairs"][0].nbytes if len(pairs) > 1 else 0
    return made, {"x_form": 1 + forms(precision.name).index(str(x.dtype)), "pair_count": pairs.shape[1], "pair_stride": stride}


def gather_kernel(width: int, precision: str, cpu: Processor) -> Kernel:
    """The gather of rows of `width` numbers that are stored in any of the forms."""
    symbol = f"gather_{key(cpu, width, precision)}"

    def build() -> ir.Module:
        module = Module(symbol, cpu)
        GatherKernel(module, symbol, width, precision, cpu).emit()
        return module

    return Kernel(symbol=symbol, tiles=1, scratch=0, paths=(), flops=0.0, build=build)


class GatherKernel:
    """Emits `gather(ARGUMENTS)`: rows `begin` to `end` of the batch.

    for b in range(begin, end):                      # in the loop of the form that is given
        x[b, :] = number(source[order[b], :])
        for shift, factor in pairs:
            x[b, :] = (x[b, :] - shift) * factor
    """

    def __init__(self, module: ir.Module, name: str, width: int, precision: str, cpu: Processor) -> None:
        self.width, self.precision, self.x86 = width, precision, cpu.triple.startswith("x86_64")
        self.e = Emitter(module, name, list(ARGUMENTS))

    def emit(self) -> None:
        """The function."""
        e, width = self.e, self.width
        target, source, order, begin, end, given, pairs, count = e.arguments
        saved = self._keep_denormals()
        for number, form in enumerate(forms(self.precision), 1):
            with e.b.if_then(given == number), e.loop(begin, end) as row:
                place = e.at(target, row * width, self.precision)
                origin = e.load_number(e.at(order, row * 8)) * width
                self._pass(place, e.at(source, origin, form), form, pairs)
                with e.loop(1, count) as pair:
                    self._pass(place, place, self.precision, e.at(pairs, pair * (2 * width), self.precision))
        if saved is not None:
            e.call("llvm.x86.sse.ldmxcsr", VOID, saved)
        e.finish()

    def _pass(self, target: Value, source: Value, form: str, pair: Value) -> None:
        """One row through one pair."""
        e, turn = self.e, UNROLL * LANES
        whole = self.width // turn * turn
        with e.loop(0, whole, turn) as start:
            for part in range(UNROLL):
                self._vector(target, source, form, pair, start + part * LANES, LANES)
        for tail in range(whole, self.width, LANES):
            self._vector(target, source, form, pair, e.number(tail), min(LANES, self.width - tail))

    def _vector(self, target: Value, source: Value, form: str, pair: Value, start: Number, valid: int) -> None:
        e, precision = self.e, self.precision
        kind = vector(ELEMENT[precision])
        x = e.load_vector(e.at(source, start, form), form, valid=valid)
        if form == "uint8":
            x = e.b.uitofp(x, kind)
        elif form != precision:
            x = e.b.fpext(x, kind)
        shift, factor = (e.at(pair, start + n * self.width, precision) for n in range(2))
        x = (e.number(x) - e.load_vector(shift, precision, valid=valid)) * e.load_vector(factor, precision, valid=valid)
        e.store_vector(x, e.at(target, start, precision), precision, valid=valid)

    def _keep_denormals(self) -> Value:
        """Denormals count here, as they do in a preprocessing done in advance -> where the control word of the step is kept."""
        if not self.x86:
            return None
        e = self.e
        saved, changed = e.b.alloca(I32), e.b.alloca(I32)
        e.call("llvm.x86.sse.stmxcsr", VOID, saved)
        e.b.store(e.b.and_(e.b.load(saved, typ=I32), ir.Constant(I32, 2**32 - 1 - FLUSH)), changed)
        e.call("llvm.x86.sse.ldmxcsr", VOID, changed)
        return saved
