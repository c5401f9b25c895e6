"""Kernels that move and mirror images: runs of bytes are copied, and the draws become whole numbers in integer arithmetic.

A tile is one image of the batch.
"""

# N batch, H W image, C channels
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llvmlite import ir

from backends.contract import Call
from backends.numpy.emit.emitter import I64, POINTER, SIZE, Emitter, Value
from backends.numpy.emit.number import Number
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
    """Emits `name(x, draws, (share,) y, scratch, begin, end)` for images begin <= n < end.

        shift   y[h, w] = x[h + down, w + right], (down, right) = floor(draws[n] * (2 margin + 1)) - margin;
                outside the image 0, or what lies nearest at its edge
        mirror  y[h, w] = x[h, W - 1 - w] where draws[n] < share, else x[h, w]

    [h, w] is one pixel, all channels of it.
    """

    def __init__(self, module: ir.Module, name: str, images: Images) -> None:
        self.p = images
        self.inputs = 3 if images.op == "mirror" else 2
        self.e = Emitter(module, name, [POINTER] * (self.inputs + 2) + [I64, I64])

    def emit(self) -> None:
        """Emits the whole kernel."""
        e = self.e
        *inputs, y, _, begin, end = e.arguments
        with e.loop(begin, end) as n:
            place = n * self.p.bytes
            EMITTERS[self.p.op](self, n, e.at(inputs[0], place), e.at(y, place), *inputs[1:])
        e.finish()

    def mirror(self, n: Number, x: Value, y: Value, draws: Value, share: Value) -> None:
        """x -> y [H, W, C], the columns exchanged where draws[n] < share."""
        e, p = self.e, self.p
        draw = e.number(e.load(e.at(draws, n, p.precision), p.precision))
        with e.b.if_else(draw < e.load(share, p.precision)) as (turned, kept):
            with turned, e.loop(0, p.height) as h, e.loop(0, p.width) as w:
                row = h * p.width
                e.copy(self._pixel(y, row + w), self._pixel(x, row + (p.width - 1 - w)), p.pixel)
            with kept:
                e.copy(y, x, p.bytes)

    def shift(self, n: Number, x: Value, y: Value, draws: Value) -> None:
        """y[h, w] = x[h + dh, w + dw] [H, W, C]: of every row the part that lies in the image is one run."""
        e, p = self.e, self.p
        first = e.at(draws, n * 2, p.precision)
        down, right = self._move(first), self._move(e.at(first, 1, p.precision))
        left = self._larger(-right, 0)  # columns of y before the run
        count = p.width - self._larger(right, -right)
        with e.loop(0, p.height) as h:
            target = self._pixel(y, h * p.width)
            row = h + down
            if p.edge:
                row = e.smaller(self._larger(row, 0), p.height - 1)
                self._row(self._pixel(x, row * p.width), target, left, count, right)
            else:
                with e.b.if_else(e.within(row, p.height)) as (inside, outside):
                    with inside:
                        self._row(self._pixel(x, row * p.width), target, left, count, right)
                    with outside:
                        e.clear(target, p.width * p.pixel)

    def _row(self, x: Value, y: Value, left: Number, count: Number, right: Number) -> None:
        """One row: `count` pixels of y from `left` come from x, `right` further on; what lies before and after them is filled."""
        e, p = self.e, self.p
        after = left + count
        e.copy(self._pixel(y, left), self._pixel(x, left + right), count * p.pixel)
        if not p.edge:
            e.clear(y, left * p.pixel)
            e.clear(self._pixel(y, after), (p.width - after) * p.pixel)
            return
        with e.loop(0, left) as w:
            e.copy(self._pixel(y, w), x, p.pixel)
        with e.loop(after, p.width) as w:
            e.copy(self._pixel(y, w), self._pixel(x, e.number(p.width - 1)), p.pixel)

    def _move(self, draw: Value) -> Number:
        """floor(u * (2 margin + 1)) - margin, exactly: u is a multiple of 2^-24."""
        e, p = self.e, self.p
        u = e.number(e.load(draw, p.precision))
        whole = e.number(e.b.fptosi(u * 2.0**24, I64))
        return (whole * (2 * p.margin + 1) >> 24) - p.margin

    def _larger(self, x: Number, y: Value) -> Number:
        return self.e.where(x > y, x, y)

    def _pixel(self, pointer: Value, place: Number) -> Value:
        return self.e.at(pointer, place * self.p.pixel)


EMITTERS: dict[str, Callable[..., None]] = {"shift": ImagesKernel.shift, "mirror": ImagesKernel.mirror}
