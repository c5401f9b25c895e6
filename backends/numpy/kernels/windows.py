"""Kernels over windows of images: unfolding, folding, pooling.  Copies and sums run over contiguous channels.

A tile is one image of the batch, and within it every sum has one fixed order, so bits do not depend on the number of threads.
"""

# N batch, H W image, C channels, Ho Wo output positions, kh kw window; a strip is up to 4 vectors of 16 lanes
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llvmlite import ir

from backends.contract import Call
from backends.numpy.emit.elementwise import RULES
from backends.numpy.emit.emitter import ELEMENT, I64, POINTER, Emitter, Value, i64, vector
from backends.numpy.kernels.kernel import Sizes
from backends.numpy.machine.processor import LANES, Processor

STRIP = 4 * LANES
MOST_PLACES = 9  # of a window that is written out
UNROLLED = 4 * STRIP  # elements that a copy moves without a loop
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


class WindowKernel:
    """Emits `name(input pointers, output pointer, scratch, begin, end)` for images begin <= n < end."""

    def __init__(self, module: ir.Module, name: str, windows: Windows) -> None:
        self.p = windows
        self.count = 2 if windows.op == "max_pool_gradient" else 1
        self.e = Emitter(module, name, [POINTER] * (self.count + 2) + [I64, I64])
        self.kind = vector(ELEMENT[windows.precision])

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
            EMITTERS[p.op](self, *(self._at(q, e.b.mul(n, i64(size))) for q, size in zip(pointers, sizes, strict=True)))
        e.finish()

    # -- unfolding ---------------------------------------------------------------------------------------------------------------

    def patches(self, x: Value, y: Value) -> None:
        """x [H, W, C] -> y [Ho, Wo, kh, kw, C]: a row of the window is one run of numbers where the columns lie side by side."""
        e, p = self.e, self.p
        (kh, kw), c = p.window, p.channels
        with e.loop(0, p.out[0]) as row, e.loop(0, kh) as i:
            h = e.b.add(e.b.mul(row, i64(p.stride[0])), e.b.sub(e.b.mul(i, i64(p.dilation[0])), i64(p.padding[0])))
            target = self._at(y, e.b.add(e.b.mul(row, i64(p.out[1] * kh * kw * c)), e.b.mul(i, i64(kw * c))))
            with e.b.if_else(e.b.icmp_unsigned("<", h, i64(p.size[0]))) as (inside, outside):
                with inside:
                    self._patch_row(self._at(x, e.b.mul(h, i64(p.size[1] * c))), target)
                with outside, e.loop(0, p.out[1]) as q:
                    self._zero(self._at(target, e.b.mul(q, i64(kh * kw * c))), kw * c)

    def _patch_row(self, x: Value, y: Value) -> None:
        """One row of the window at every column position: x [W, C] -> y [Wo, (kh), kw, C]."""
        e, p = self.e, self.p
        step = p.window[0] * p.window[1] * p.channels
        whole = [q for q in range(p.out[1]) if all(0 <= self._column(q, j) < p.size[1] for j in range(p.window[1]))]
        first, last = (whole[0], whole[-1] + 1) if whole else (0, 0)
        for q in (*range(first), *range(last, p.out[1])):
            for j in range(p.window[1]):
                w = self._column(q, j)
                target = self._at(y, q * step + j * p.channels)
                if 0 <= w < p.size[1]:
                    self._copy(self._at(x, w * p.channels), target, p.channels)
                else:
                    self._zero(target, p.channels)
        if whole:
            with e.loop(first, last) as q:
                source = self._at(x, e.b.mul(e.b.sub(e.b.mul(q, i64(p.stride[1])), i64(p.padding[2])), i64(p.channels)))
                target = self._at(y, e.b.mul(q, i64(step)))
                if p.dilation[1] == 1:
                    self._copy(source, target, p.window[1] * p.channels)
                else:
                    for j in range(p.window[1]):
                        self._copy(self._at(source, j * p.dilation[1] * p.channels), self._at(target, j * p.channels), p.channels)

    def _column(self, q: int, j: int) -> int:
        return q * self.p.stride[1] + j * self.p.dilation[1] - self.p.padding[2]

    # -- folding -----------------------------------------------------------------------------------------------------------------

    def fold(self, y: Value, x: Value) -> None:
        """y [Ho, Wo, kh, kw, C] -> x [H, W, C]: each place of the image gathers what the windows over it hold, in the window's order."""
        p = self.p

        def gather(h: Value, w: Value, start: Value, valid: list[int], cells: list[Value]) -> None:
            def add(number: Value, position: Value) -> None:
                offset = self.e.b.add(self.e.b.mul(position, i64(p.window[0] * p.window[1])), number)
                source = self._at(y, self.e.b.add(self.e.b.mul(offset, i64(p.channels)), start))
                self._accumulate(cells, self._load(source, valid))

            self._covering(h, w, add)

        self._everywhere(x, p.size, gather)

    def _covering(self, h: Value, w: Value, use: Callable[[Value, Value], None]) -> None:
        """Calls `use(number in the window, position)` for every window that covers (h, w), in the order of the window."""
        e, p = self.e, self.p
        with e.loop(0, p.window[0]) as i:
            row, fits = self._position(h, i, 0)
            with e.b.if_then(fits), e.loop(0, p.window[1]) as j:
                column, also = self._position(w, j, 1)
                with e.b.if_then(also):
                    use(e.b.add(e.b.mul(i, i64(p.window[1])), j), e.b.add(e.b.mul(row, i64(p.out[1])), column))

    def _position(self, h: Value, i: Value, axis: int) -> tuple[Value, Value]:
        """The position whose window has place i at image row h, and whether there is one."""
        e, p = self.e, self.p
        far = e.b.sub(e.b.add(h, i64(p.padding[2 * axis])), e.b.mul(i, i64(p.dilation[axis])))
        row = e.b.sdiv(far, i64(p.stride[axis]))
        fits = e.b.and_(e.b.icmp_signed(">=", far, i64(0)), e.b.icmp_signed("<", row, i64(p.out[axis])))
        return row, e.b.and_(fits, e.b.icmp_signed("==", e.b.mul(row, i64(p.stride[axis])), far))

    # -- pooling -----------------------------------------------------------------------------------------------------------------

    def max_pool(self, x: Value, y: Value) -> None:
        """x [H, W, C] -> y [Ho, Wo, C]."""
        self._everywhere(y, self.p.out, lambda *place: self._largest(x, *place))

    def _largest(self, x: Value, row: Value, column: Value, start: Value, valid: list[int], cells: list[Value]) -> None:
        """The largest x of the window at (row, column) into `cells`."""
        maximum = RULES["maximum"]
        self._fill(cells, float("-inf"))

        def take(position: Value) -> None:
            source = self._at(x, self.e.b.add(position, start))
            self._accumulate(cells, self._load(source, valid), lambda old, new: maximum(self.e, old, new))

        self._covered(row, column, take)

    def max_pool_gradient(self, x: Value, g: Value, dx: Value) -> None:
        """x, dx [H, W, C]; g [Ho, Wo, C]: position after position adds its g at the first place that holds the maximum."""
        e, p = self.e, self.p
        if p.apart:
            return self._max_pool_gradient_apart(x, g, dx)
        self._clear(dx)

        def spread(row: Value, column: Value, start: Value, valid: list[int], offset: Value) -> None:
            tops, left = self._cells(len(valid)), self._cells(len(valid))
            self._largest(x, row, column, start, valid, tops)
            top = [e.b.load(cell, typ=self.kind) for cell in tops]
            for cell, value in zip(left, self._load(self._at(g, offset), valid), strict=True):
                e.b.store(value, cell)

            def hit(position: Value) -> None:
                place = e.b.add(position, start)
                values, old = self._load(self._at(x, place), valid), self._load(self._at(dx, place), valid)
                zero = ir.Constant(self.kind, None)
                new = []
                for n, cell in enumerate(left):
                    rest = e.b.load(cell, typ=self.kind)
                    here = e.b.fcmp_ordered("==", values[n], top[n])
                    new.append(e.b.fadd(old[n], e.b.select(here, rest, zero)))
                    e.b.store(e.b.select(here, zero, rest), cell)  # what has found its place goes nowhere else
                self._store(new, self._at(dx, place), valid)

            self._covered(row, column, hit)

        self._positions(self.p.out, spread)

    def _max_pool_gradient_apart(self, x: Value, g: Value, dx: Value) -> None:
        """The same where no two windows meet and none leaves the image: every place is read once and written once."""
        e, p = self.e, self.p
        if p.stride != p.window or any(out * k != n for out, k, n in zip(p.out, p.window, p.size, strict=True)):
            self._clear(dx)  # places that no window covers
        places = [(i * p.size[1] + j) * p.channels for i in range(p.window[0]) for j in range(p.window[1])]
        zero = ir.Constant(self.kind, None)

        def spread(row: Value, column: Value, start: Value, valid: list[int], offset: Value) -> None:
            corner = e.b.add(e.b.mul(row, i64(p.stride[0] * p.size[1])), e.b.mul(column, i64(p.stride[1])))
            origin = e.b.add(e.b.mul(corner, i64(p.channels)), start)
            values = [self._load(self._at(x, e.b.add(origin, i64(place))), valid) for place in places]
            left = self._load(self._at(g, offset), valid)
            tops = values[0]
            for part in values[1:]:
                tops = [RULES["maximum"](e, old, new) for old, new in zip(tops, part, strict=True)]
            for place, part in zip(places, values, strict=True):
                here = [e.b.fcmp_ordered("==", value, top) for value, top in zip(part, tops, strict=True)]
                new = [e.b.select(hit, rest, zero) for hit, rest in zip(here, left, strict=True)]
                left = [e.b.select(hit, zero, rest) for hit, rest in zip(here, left, strict=True)]  # it goes nowhere else
                self._store(new, self._at(dx, e.b.add(origin, i64(place))), valid)

        self._positions(p.out, spread)

    def average_pool(self, x: Value, y: Value) -> None:
        """x [H, W, C] -> y [Ho, Wo, C]: sum over the places in the image, divided by their number."""

        def gather(row: Value, column: Value, start: Value, valid: list[int], cells: list[Value]) -> None:
            self._covered(
                row, column, lambda position: self._accumulate(cells, self._load(self._at(x, self.e.b.add(position, start)), valid))
            )
            count = self.e.splat(self._number(row, column))
            for cell in cells:
                self.e.b.store(self.e.b.fdiv(self.e.b.load(cell, typ=self.kind), count), cell)

        self._everywhere(y, self.p.out, gather)

    def average_pool_gradient(self, g: Value, dx: Value) -> None:
        """g [Ho, Wo, C] -> dx [H, W, C]: each place of the image gathers g / count of the windows over it."""
        e, p = self.e, self.p

        def gather(h: Value, w: Value, start: Value, valid: list[int], cells: list[Value]) -> None:
            def add(number: Value, position: Value) -> None:
                count = e.splat(self._number(e.b.sdiv(position, i64(p.out[1])), e.b.srem(position, i64(p.out[1]))))
                parts = self._load(self._at(g, e.b.add(e.b.mul(position, i64(p.channels)), start)), valid)
                self._accumulate(cells, [e.b.fdiv(part, count) for part in parts])

            self._covering(h, w, add)

        self._everywhere(dx, p.size, gather)

    def _bounds(self, index: Value, axis: int) -> tuple[Value, Value]:
        """First and last + 1 place of the window at `index` that lie in the image."""
        e, p = self.e, self.p
        start = e.b.sub(e.b.mul(index, i64(p.stride[axis])), i64(p.padding[2 * axis]))
        stop = e.smaller(e.b.add(start, i64(p.window[axis])), i64(p.size[axis]))
        if p.padding[2 * axis]:
            start = e.b.select(e.b.icmp_signed("<", start, i64(0)), i64(0), start)
        return start, stop

    def _covered(self, row: Value, column: Value, use: Callable[[Value], None]) -> None:
        """Calls `use(offset in the image)` for every place of the window at (row, column), in order."""
        e, p = self.e, self.p
        top, bottom = self._bounds(row, 0)
        left, right = self._bounds(column, 1)
        with e.loop(top, bottom) as h, e.loop(left, right) as w:
            use(e.b.mul(e.b.add(e.b.mul(h, i64(p.size[1])), w), i64(p.channels)))

    def _number(self, row: Value, column: Value) -> Value:
        """How many places of the window at (row, column) lie in the image."""
        e = self.e
        top, bottom = self._bounds(row, 0)
        left, right = self._bounds(column, 1)
        return e.b.sitofp(e.b.mul(e.b.sub(bottom, top), e.b.sub(right, left)), self.kind.element)

    # -- channels ----------------------------------------------------------------------------------------------------------------

    def _positions(self, size: Pair, use: Callable[[Value, Value, Value, list[int], Value], None]) -> None:
        """Calls `use(row, column, first channel, lanes in use, offset)` for every strip of channels of every position of [size, C]."""
        e, channels = self.e, self.p.channels
        whole, rest = divmod(channels, STRIP)
        with e.loop(0, size[0]) as row, e.loop(0, size[1]) as column:
            origin = e.b.mul(e.b.add(e.b.mul(row, i64(size[1])), column), i64(channels))
            if whole:
                with e.loop(0, whole) as index:
                    start = e.b.mul(index, i64(STRIP))
                    use(row, column, start, [LANES] * 4, e.b.add(origin, start))
            if rest:
                start = i64(whole * STRIP)
                use(row, column, start, [min(LANES, rest - n) for n in range(0, rest, LANES)], e.b.add(origin, start))

    def _everywhere(self, target: Value, size: Pair, gather: Callable[[Value, Value, Value, list[int], list[Value]], None]) -> None:
        """Stores what `gather` puts into cells, which are zero at first, at every position of target [size, C]."""

        def one(row: Value, column: Value, start: Value, valid: list[int], offset: Value) -> None:
            cells = self._cells(len(valid))
            self._fill(cells, 0.0)
            gather(row, column, start, valid, cells)
            self._store([self.e.b.load(cell, typ=self.kind) for cell in cells], self._at(target, offset), valid)

        self._positions(size, one)

    def _cells(self, count: int) -> list[Value]:
        with self.e.b.goto_entry_block():
            return [self.e.b.alloca(self.kind) for _ in range(count)]

    def _fill(self, cells: list[Value], value: float) -> None:
        for cell in cells:
            self.e.b.store(self.e.literal(value, self.kind), cell)

    def _accumulate(self, cells: list[Value], parts: list[Value], combine: Callable[[Value, Value], Value] | None = None) -> None:
        for cell, part in zip(cells, parts, strict=True):
            self.e.b.store((combine or self.e.b.fadd)(self.e.b.load(cell, typ=self.kind), part), cell)

    def _at(self, pointer: Value, offset: Value) -> Value:
        return self.e.at(pointer, offset, self.p.precision)

    def _load(self, pointer: Value, valid: list[int]) -> list[Value]:
        return [self.e.load_vector(self._at(pointer, LANES * n), self.p.precision, valid=lanes) for n, lanes in enumerate(valid)]

    def _store(self, parts: list[Value], pointer: Value, valid: list[int]) -> None:
        for n, (part, lanes) in enumerate(zip(parts, valid, strict=True)):
            self.e.store_vector(part, self._at(pointer, LANES * n), self.p.precision, valid=lanes)

    def _runs(self, count: int, use: Callable[[Value, list[int]], None]) -> None:
        """Calls `use(offset, lanes in use)` until `count` numbers are covered."""
        whole = count // STRIP if count > UNROLLED else 0
        if whole:
            with self.e.loop(0, whole) as index:
                use(self.e.b.mul(index, i64(STRIP)), [LANES] * 4)
        for start in range(whole * STRIP, count, STRIP):
            rest = min(STRIP, count - start)
            use(i64(start), [min(LANES, rest - n) for n in range(0, rest, LANES)])

    def _copy(self, source: Value, target: Value, count: int) -> None:
        self._runs(count, lambda offset, valid: self._store(self._load(self._at(source, offset), valid), self._at(target, offset), valid))

    def _zero(self, target: Value, count: int) -> None:
        zero = ir.Constant(self.kind, None)
        self._runs(count, lambda offset, valid: self._store([zero] * len(valid), self._at(target, offset), valid))

    def _clear(self, target: Value) -> None:
        p = self.p
        self._zero(target, p.size[0] * p.size[1] * p.channels)


EMITTERS: dict[str, Callable[..., None]] = {
    "patches": WindowKernel.patches,
    "fold": WindowKernel.fold,
    "max_pool": WindowKernel.max_pool,
    "max_pool_gradient": WindowKernel.max_pool_gradient,
    "average_pool": WindowKernel.average_pool,
    "average_pool_gradient": WindowKernel.average_pool_gradient,
}

__all__ = ["EMITTERS", "WindowKernel", "Windows"]
