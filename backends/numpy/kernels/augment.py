"""Kernels that move and mirror images: runs of bytes are copied, and the draws become whole numbers in integer arithmetic.

A tile is one image of the batch.
"""

# N batch, H W image, C channels
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llvmlite import ir

from backends.contract import Call
from backends.numpy.emit.emitter import I1, I8, I64, POINTER, SIZE, VOID, Emitter, Value, i64
from backends.numpy.kernels.kernel import Sizes
from backends.numpy.machine.processor import Processor


@dataclass(frozen=True, slots=True, kw_only=True)
class Images(Sizes):
    """The sizes of one call; `pixel` is the bytes of one place, all channels."""

    op: str
    images: int
    height: int
    width: int
    pixel: int
    precision: str
    margin: int
    edge: bool

    @classmethod
    def of(cls, call: Call, precision: str, cpu: Processor) -> Images:
        """The sizes of `call`."""
        (n, h, w, c), a = call.inputs[0].shape, call.attributes
        return cls(
            op=call.op, images=n, height=h, width=w, pixel=c * SIZE[precision], precision=precision,
            margin=a.get("margin", 0), edge=a.get("fill") == "edge",
        )  # fmt: skip

    @property
    def bytes(self) -> int:
        """Of one image."""
        return self.height * self.width * self.pixel

    @property
    def tiles(self) -> int:
        """One for each image."""
        return self.images

    @property
    def work(self) -> float:
        """Numbers moved."""
        return float(self.images * self.bytes // SIZE[self.precision])


class ImagesKernel:
    """Emits `name(x, draws, (share,) y, scratch, begin, end)` for images begin <= n < end."""

    def __init__(self, module: ir.Module, name: str, images: Images) -> None:
        self.p = images
        self.inputs = 3 if images.op == "mirror" else 2
        self.e = Emitter(module, name, [POINTER] * (self.inputs + 2) + [I64, I64])

    def emit(self) -> None:
        """Emits the whole kernel."""
        e = self.e
        *inputs, y, _, begin, end = e.arguments
        with e.loop(begin, end) as n:
            place = e.b.mul(n, i64(self.p.bytes))
            EMITTERS[self.p.op](self, n, e.at(inputs[0], place), e.at(y, place), *inputs[1:])
        e.finish()

    def mirror(self, n: Value, x: Value, y: Value, draws: Value, share: Value) -> None:
        """x -> y [H, W, C], the columns exchanged where draws[n] < share."""
        e, p = self.e, self.p
        draw = e.load(e.at(draws, n, p.precision), p.precision)
        with e.b.if_else(e.b.fcmp_ordered("<", draw, e.load(share, p.precision))) as (turned, kept):
            with turned, e.loop(0, p.height) as h, e.loop(0, p.width) as w:
                row = e.b.mul(h, i64(p.width))
                self._copy(self._pixel(y, e.b.add(row, w)), self._pixel(x, e.b.add(row, e.b.sub(i64(p.width - 1), w))), i64(p.pixel))
            with kept:
                self._copy(y, x, i64(p.bytes))

    def shift(self, n: Value, x: Value, y: Value, draws: Value) -> None:
        """y[h, w] = x[h + dh, w + dw] [H, W, C]: of every row the part that lies in the image is one run."""
        e, p = self.e, self.p
        first = e.at(draws, e.b.mul(n, i64(2)), p.precision)
        down, right = self._move(first), self._move(e.at(first, 1, p.precision))
        left = self._larger(e.b.neg(right), i64(0))  # columns of y before the run
        count = e.b.sub(i64(p.width), self._larger(right, e.b.neg(right)))
        with e.loop(0, p.height) as h:
            target = self._pixel(y, e.b.mul(h, i64(p.width)))
            row = e.b.add(h, down)
            if p.edge:
                row = e.smaller(self._larger(row, i64(0)), i64(p.height - 1))
                self._row(self._pixel(x, e.b.mul(row, i64(p.width))), target, left, count, right)
            else:
                with e.b.if_else(e.b.icmp_unsigned("<", row, i64(p.height))) as (inside, outside):
                    with inside:
                        self._row(self._pixel(x, e.b.mul(row, i64(p.width))), target, left, count, right)
                    with outside:
                        self._zero(target, i64(p.width * p.pixel))

    def _row(self, x: Value, y: Value, left: Value, count: Value, right: Value) -> None:
        e, p = self.e, self.p
        after = e.b.add(left, count)
        self._copy(self._pixel(y, left), self._pixel(x, e.b.add(left, right)), e.b.mul(count, i64(p.pixel)))
        if not p.edge:
            self._zero(y, e.b.mul(left, i64(p.pixel)))
            self._zero(self._pixel(y, after), e.b.mul(e.b.sub(i64(p.width), after), i64(p.pixel)))
            return
        with e.loop(0, left) as w:
            self._copy(self._pixel(y, w), x, i64(p.pixel))
        with e.loop(after, i64(p.width)) as w:
            self._copy(self._pixel(y, w), self._pixel(x, i64(p.width - 1)), i64(p.pixel))

    def _move(self, draw: Value) -> Value:
        """floor(u * (2 margin + 1)) - margin, exactly: u is a multiple of 2^-24."""
        e, p = self.e, self.p
        u = e.load(draw, p.precision)
        whole = e.b.fptosi(e.b.fmul(u, e.literal(2.0**24, u.type)), I64)
        return e.b.sub(e.b.ashr(e.b.mul(whole, i64(2 * p.margin + 1)), i64(24)), i64(p.margin))

    def _larger(self, x: Value, y: Value) -> Value:
        return self.e.b.select(self.e.b.icmp_signed(">", x, y), x, y)

    def _pixel(self, pointer: Value, place: Value) -> Value:
        return self.e.at(pointer, self.e.b.mul(place, i64(self.p.pixel)))

    def _copy(self, target: Value, source: Value, size: Value) -> None:
        self.e.call("llvm.memcpy.p0.p0.i64", VOID, target, source, size, ir.Constant(I1, 0))

    def _zero(self, target: Value, size: Value) -> None:
        self.e.call("llvm.memset.p0.i64", VOID, target, ir.Constant(I8, 0), size, ir.Constant(I1, 0))


EMITTERS: dict[str, Callable[..., None]] = {"shift": ImagesKernel.shift, "mirror": ImagesKernel.mirror}
