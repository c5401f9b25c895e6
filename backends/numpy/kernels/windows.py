"""Kernels over windows of images: im2col (`patches`), col2im (`fold`), pooling.  Copies and sums run over contiguous channels.

A tile is one image of the batch, and within it every sum has one fixed order, so bits do not depend on the number of threads.
"""

# N batch, H W image, C channels, Ho Wo output positions, kh kw window
from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from llvmlite import ir

from backends.contract import Call
from backends.numpy.emit.elementwise import RULES
from backends.numpy.emit.emitter import I64, POINTER, Emitter, Value
from backends.numpy.emit.number import Number
from backends.numpy.emit.strips import Strip, Strips
from backends.numpy.emit.vectors import Cells
from backends.numpy.kernels.kernel import Sizes
from backends.numpy.machine.processor import Processor

MOST_PLACES = 9  # of a window that is written out
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows(Sizes):
    """The sizes of one call; `size` is the image, `out` the positions of the window."""

    op: str
    images: int
    size: Pair
    out: Pair
    channels: int
    window: Pair
    stride: Pair
    padding: tuple[int, int, int, int]
    dilation: Pair
    precision: str

    @classmethod
    def of(cls, call: Call, precision: str, cpu: Processor) -> Windows:
        """The sizes of `call`."""
        a = call.attributes
        source, target = call.inputs[0].shape, call.outputs[0].shape
        back = call.op in ("fold", "average_pool_gradient")
        image, out = (target, source) if back else (source, call.inputs[-1].shape if call.op == "max_pool_gradient" else target)
        return cls(
            op=call.op, images=image[0], size=(image[1], image[2]), out=(out[1], out[2]), channels=image[3], window=a["window"],
            stride=a["stride"], padding=a["padding"], dilation=a.get("dilation", (1, 1)), precision=precision,
        )  # fmt: skip

    @property
    def tiles(self) -> int:
        """One for each image."""
        return self.images

    @property
    def apart(self) -> bool:
        """Whether the windows are small, none meets another and none leaves the image."""
        small = self.window[0] * self.window[1] <= MOST_PLACES
        return small and not any(self.padding) and all(s >= k for s, k in zip(self.stride, self.window, strict=True))

    @property
    def work(self) -> float:
        """Numbers moved by the whole call."""
        return float(self.images * self.out[0] * self.out[1] * self.window[0] * self.window[1] * self.channels)


@dataclass(frozen=True, slots=True)
class _Place:
    """A strip of channels at (row, column); `here`: the same strip counted from the start of [rows, columns, C]."""

    row: Number
    column: Number
    channels: Strip
    here: Strip


class WindowKernel:
    """Emits `name(input pointers, output pointer, scratch, begin, end)` for images begin <= n < end.

    Place (i, j) of the window at (row, column) lies at h = row * stride + i * dilation - padding, w alike, where that is in the image:

        patches                  y[row, column, i, j, :] = x[h, w, :], or 0 outside
        fold                     x[h, w, :] = sum over (i, j) of y[row, column, i, j, :]
        max_pool                 y[row, column, :] = max over (i, j) of x[h, w, :]
        max_pool_gradient        dx[h, w, :] += g[row, column, :] at the first (i, j) where x[h, w, :] is that maximum
        average_pool             y[row, column, :] = sum over (i, j) of x[h, w, :] / count[row, column]
        average_pool_gradient    dx[h, w, :] = sum over (i, j) of g[row, column, :] / count[row, column]

    Sums are gathered by the place that they belong to: fold and average_pool_gradient ask every place of the image for the windows over
    it, so it is written once.  Only the gradient of max_pool goes the other way, for only a window knows its maximum.
    """

    def __init__(self, module: ir.Module, name: str, windows: Windows) -> None:
        self.p = windows
        self.count = 2 if windows.op == "max_pool_gradient" else 1
        self.e = Emitter(module, name, [POINTER] * (self.count + 2) + [I64, I64])
        self.strips = Strips(self.e, windows.precision)

    def emit(self) -> None:
        """Emits the whole kernel."""
        e, p = self.e, self.p
        *pointers, _, begin, end = e.arguments
        image = p.size[0] * p.size[1] * p.channels
        out = p.out[0] * p.out[1] * p.channels
        patch = out * p.window[0] * p.window[1]
        sizes = {
            "patches": (image, patch), "fold": (patch, image), "max_pool": (image, out), "average_pool": (image, out),
            "max_pool_gradient": (image, out, image), "average_pool_gradient": (out, image),
        }[p.op]  # fmt: skip
        with e.loop(begin, end) as n:
            EMITTERS[p.op](self, *(self._at(q, n * size) for q, size in zip(pointers, sizes, strict=True)))
        e.finish()

    # -- im2col ------------------------------------------------------------------------------------------------------------------

    def patches(self, x: Value, y: Value) -> None:
        """x [H, W, C] -> y [Ho, Wo, kh, kw, C]: a row of the window is one run of numbers where the columns lie side by side."""
        e, p, s = self.e, self.p, self.strips
        (kh, kw), c = p.window, p.channels
        with e.loop(0, p.out[0]) as row, e.loop(0, kh) as i:
            h = row * p.stride[0] + (i * p.dilation[0] - p.padding[0])
            target = self._at(y, row * (p.out[1] * kh * kw * c) + i * (kw * c))
            with e.b.if_else(e.within(h, p.size[0])) as (inside, outside):
                with inside:
                    self._patch_row(self._at(x, h * (p.size[1] * c)), target)
                with outside, e.loop(0, p.out[1]) as q:
                    s.clear(self._at(target, q * (kh * kw * c)), kw * c)

    def _patch_row(self, x: Value, y: Value) -> None:
        """One row of the window at every column position: x [W, C] -> y [Wo, (kh), kw, C]."""
        e, p, s = self.e, self.p, self.strips
        kw, c = p.window[1], p.channels
        step = p.window[0] * kw * c
        whole = [q for q in range(p.out[1]) if all(0 <= self._column(q, j) < p.size[1] for j in range(kw))]
        first, last = (whole[0], whole[-1] + 1) if whole else (0, 0)
        for q in (*range(first), *range(last, p.out[1])):  # positions at the edges are written out, place by place
            for j in range(kw):
                w = self._column(q, j)
                target = self._at(y, q * step + j * c)
                if 0 <= w < p.size[1]:
                    s.copy(self._at(x, w * c), target, c)
                else:
                    s.clear(target, c)
        if whole:
            with e.loop(first, last) as position:
                source = self._at(x, (position * p.stride[1] - p.padding[2]) * c)
                target = self._at(y, position * step)
                if p.dilation[1] == 1:
                    s.copy(source, target, kw * c)
                else:
                    for j in range(kw):
                        s.copy(self._at(source, j * p.dilation[1] * c), self._at(target, j * c), c)

    def _column(self, q: int, j: int) -> int:
        return q * self.p.stride[1] + j * self.p.dilation[1] - self.p.padding[2]

    # -- col2im ------------------------------------------------------------------------------------------------------------------

    def fold(self, y: Value, x: Value) -> None:
        """y [Ho, Wo, kh, kw, C] -> x [H, W, C]: each place of the image gathers what the windows over it hold, in the window's order."""
        p, s = self.p, self.strips
        for at, total in self._gathering(x, p.size):
            with self._covering(at.row, at.column) as (number, position):
                offset = position * (p.window[0] * p.window[1]) + number
                total.take(operator.add, s.load(y, at.channels.after(offset * p.channels)))

    @contextmanager
    def _covering(self, h: Number, w: Number) -> Iterator[tuple[Number, Number]]:
        """(number in the window, position) of every window that covers (h, w), in the order of the window."""
        e, p = self.e, self.p
        with e.loop(0, p.window[0]) as i:
            row, fits = self._position(h, i, 0)
            with e.b.if_then(fits), e.loop(0, p.window[1]) as j:
                column, also = self._position(w, j, 1)
                with e.b.if_then(also):
                    yield i * p.window[1] + j, row * p.out[1] + column

    def _position(self, h: Number, i: Number, axis: int) -> tuple[Number, Number]:
        """The position whose window has place i at image row h, and whether there is one."""
        out, stride, padding, dilation = (of[axis] for of in (self.p.out, self.p.stride, self.p.padding[::2], self.p.dilation))
        far = h + padding - i * dilation
        row = far // stride
        fits = (far >= 0) & (row < out) & (row * stride == far)
        return row, fits

    # -- pooling -----------------------------------------------------------------------------------------------------------------

    def max_pool(self, x: Value, y: Value) -> None:
        """x [H, W, C] -> y [Ho, Wo, C]."""
        for at, largest in self._gathering(y, self.p.out):
            self._maximum(x, at, largest)

    def _maximum(self, x: Value, at: _Place, largest: Cells) -> None:
        """The largest x of the window at `at`."""
        e, s = self.e, self.strips
        largest.fill(e.literal(float("-inf"), s.kind))
        with self._covered(at.row, at.column) as offset:
            largest.take(lambda old, new: RULES["maximum"](e, old, new), s.load(x, at.channels.after(offset)))

    def max_pool_gradient(self, x: Value, g: Value, dx: Value) -> None:
        """x, dx [H, W, C]; g [Ho, Wo, C]: position after position adds its g at the first place that holds the maximum."""
        e, p, s = self.e, self.p, self.strips
        if p.apart:
            return self._max_pool_gradient_apart(x, g, dx)
        self._clear(dx)
        for at in self._places(p.out):
            largest, left = s.cells(at.here.valid), s.cells(at.here.valid)
            self._maximum(x, at, largest)
            top = largest.read()
            left.write(s.load(g, at.here))
            with self._covered(at.row, at.column) as offset:
                place = at.channels.after(offset)
                values, sums, new = s.load(x, place), s.load(dx, place), []
                for n, (rest, value, old, most) in enumerate(zip(left, values, sums, top, strict=True)):
                    hit = value == most
                    new.append(old + e.where(hit, rest, s.zero))
                    left.put(n, e.where(hit, s.zero, rest))  # what has found its place goes nowhere else
                s.store(new, dx, place)
        return None

    def _max_pool_gradient_apart(self, x: Value, g: Value, dx: Value) -> None:
        """The same where no two windows meet and none leaves the image: every place is read once and written once."""
        e, p, s = self.e, self.p, self.strips
        if p.stride != p.window or any(out * k != n for out, k, n in zip(p.out, p.window, p.size, strict=True)):
            self._clear(dx)  # places that no window covers
        window = [(i * p.size[1] + j) * p.channels for i in range(p.window[0]) for j in range(p.window[1])]
        for at in self._places(p.out):
            corner = at.channels.after((at.row * (p.stride[0] * p.size[1]) + at.column * p.stride[1]) * p.channels)
            values = [s.load(x, corner.further(place)) for place in window]
            left = s.load(g, at.here)
            largest = values[0]
            for value in values[1:]:
                largest = largest.each(lambda old, new: RULES["maximum"](e, old, new), value)
            for place, value in zip(window, values, strict=True):
                hit = value.each(operator.eq, largest)
                new = hit.each(e.where, left, s.zero)
                left = hit.each(e.where, s.zero, left)  # it goes nowhere else
                s.store(new, dx, corner.further(place))

    def average_pool(self, x: Value, y: Value) -> None:
        """x [H, W, C] -> y [Ho, Wo, C]: sum over the places in the image, divided by their number."""
        e, s = self.e, self.strips
        for at, total in self._gathering(y, self.p.out):
            with self._covered(at.row, at.column) as offset:
                total.take(operator.add, s.load(x, at.channels.after(offset)))
            count = e.splat(self._number(at.row, at.column))
            total.take(operator.truediv, [count] * len(at.here.valid))

    def average_pool_gradient(self, g: Value, dx: Value) -> None:
        """g [Ho, Wo, C] -> dx [H, W, C]: each place of the image gathers g / count of the windows over it."""
        e, p, s = self.e, self.p, self.strips
        for at, total in self._gathering(dx, p.size):
            with self._covering(at.row, at.column) as (_, position):
                count = e.splat(self._number(position // p.out[1], position % p.out[1]))
                total.take(operator.add, s.load(g, at.channels.after(position * p.channels)) / count)

    def _bounds(self, index: Number, axis: int) -> tuple[Number, Number]:
        """First and last + 1 place of the window at `index` that lie in the image."""
        e, p = self.e, self.p
        start = index * p.stride[axis] - p.padding[2 * axis]
        stop = e.smaller(start + p.window[axis], p.size[axis])
        if p.padding[2 * axis]:
            start = e.where(start < 0, 0, start)
        return start, stop

    @contextmanager
    def _covered(self, row: Number, column: Number) -> Iterator[Number]:
        """The offset in the image of every place of the window at (row, column), in order."""
        e, p = self.e, self.p
        top, bottom = self._bounds(row, 0)
        left, right = self._bounds(column, 1)
        with e.loop(top, bottom) as h, e.loop(left, right) as w:
            yield (h * p.size[1] + w) * p.channels

    def _number(self, row: Number, column: Number) -> Value:
        """How many places of the window at (row, column) lie in the image."""
        top, bottom = self._bounds(row, 0)
        left, right = self._bounds(column, 1)
        return self.e.b.sitofp((bottom - top) * (right - left), self.strips.kind.element)

    # -- the walk over the output --------------------------------------------------------------------------------------------------

    def _places(self, size: Pair) -> Iterator[_Place]:
        """Every strip of channels of every position of [size, C]."""
        with self.e.loop(0, size[0]) as row, self.e.loop(0, size[1]) as column:
            origin = (row * size[1] + column) * self.p.channels
            for channels in self.strips.along(self.p.channels):
                yield _Place(row, column, channels, channels.after(origin))

    def _gathering(self, target: Value, size: Pair) -> Iterator[tuple[_Place, Cells]]:
        """The same with cells, zero at first, that are stored at every position of target [size, C] when the body has filled them."""
        for at in self._places(size):
            cells = self.strips.cells(at.here.valid, 0.0)
            yield at, cells
            self.strips.store(cells.read(), target, at.here)

    def _at(self, pointer: Value, offset: Value) -> Value:
        return self.e.at(pointer, offset, self.p.precision)

    def _clear(self, target: Value) -> None:
        self.strips.clear(target, self.p.size[0] * self.p.size[1] * self.p.channels)


EMITTERS: dict[str, Callable[..., None]] = {
    "patches": WindowKernel.patches,
    "fold": WindowKernel.fold,
    "max_pool": WindowKernel.max_pool,
    "max_pool_gradient": WindowKernel.max_pool_gradient,
    "average_pool": WindowKernel.average_pool,
    "average_pool_gradient": WindowKernel.average_pool_gradient,
}
