"""Convolution without unfolding: the tile kernel walks over the image itself.

A tile is up to `tile_rows` neighbouring positions of one output row times a panel of channels.  Its sums stay in registers while window
rows, window columns and input channels run; places outside the image are left out, so no image is ever padded.  Every element is one
chain of fused multiply-adds in a fixed order: bits depend neither on the tiles nor on the number of threads.
"""

# N images, H W rows and columns, K channels that are summed, O channels that are made, kh kw window; P positions of a tile
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from llvmlite import ir

from backends.contract import Call
from backends.numpy.cpu import Processor
from backends.numpy.emit import ELEMENT, I64, POINTER, SIZE, Emitter, Value, i64, vector
from backends.numpy.epilogue import Epilogue, apply_epilogue
from backends.numpy.matmul import transposed

SHARES = 64  # parts that the work is cut into at least, where there are so many rows: threads take them
RESIDENT = 1 << 19  # bytes of packed weights that stay in the second-level cache beside an image


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """The sizes of one call.  back: the data gradient, whose source is the gradient and whose output is the image."""

    back: bool
    images: int
    source: tuple[int, int, int]
    out: tuple[int, int, int]
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
    precision: str

    @classmethod
    def of(cls, call: Call, precision: str) -> Convolution:
        """The sizes of `call`."""
        a, (_, *source), (kh, kw, c, o) = call.attributes, call.inputs[0].shape, call.inputs[1].shape
        back = call.op == "conv_data_gradient"
        around = (a["padding"][0] + a["padding"][1], a["padding"][2] + a["padding"][3])
        sides = zip(source, around, a["dilation"], (kh, kw), a["stride"], strict=False)
        size = a["size"] if back else [(n + extra - d * (k - 1) - 1) // s + 1 for n, extra, d, k, s in sides]
        return cls(
            back=back, images=call.inputs[0].shape[0], source=(source[0], source[1], source[2]), out=(size[0], size[1], c if back else o),
            window=(kh, kw), stride=a["stride"], padding=a["padding"], dilation=a["dilation"], precision=precision,
        )  # fmt: skip

    def axis(self, axis: int) -> tuple[Lattice, ...]:
        """The lattices of the rows (0) or the columns (1)."""
        return lattices(
            back=self.back, out=self.out[axis], window=self.window[axis], stride=self.stride[axis], padding=self.padding[2 * axis],
            dilation=self.dilation[axis],
        )  # fmt: skip

    def flops(self) -> float:
        """Operations of the whole call, places outside the image counted too."""
        places = (self.source if self.back else self.out)[:2]
        return 2.0 * self.images * places[0] * places[1] * self.window[0] * self.window[1] * self.source[2] * self.out[2]


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring tiles of one output row that differ in nothing but their place: `tiles` tiles of `width` positions from `start`.

    valid: for each tap of the columns, the positions of a tile that read inside the source.
    """

    start: int
    tiles: int
    width: int
    valid: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Tile:
    """A tile to be called: what decides its code, its pointers, and its position with the taps of the rows that it takes."""

    rows: Lattice
    columns: Lattice
    run: Run
    pointers: list[Value]
    numbers: list[Value]


class ConvolutionKernel:
    """Emits `name(source, weight, other inputs, outputs, scratch, begin, end)` for shares begin <= t < end: some rows of one image."""

    def __init__(self, module: ir.Module, name: str, sizes: Convolution, cpu: Processor, epilogue: Epilogue | None = None) -> None:
        self.module, self.name, self.p, self.cpu, self.epilogue = module, name, sizes, cpu, epilogue
        self.others = 1 if epilogue is None else len(epilogue.dtypes) + len(epilogue.body.outputs)
        self.size = SIZE[sizes.precision]
        self.lanes = cpu.vector_bytes // self.size
        self.kind = vector(ELEMENT[sizes.precision], self.lanes)
        self.width = self.lanes * (cpu.tile_vectors if sizes.out[2] > self.lanes else 1)
        self.panels = -(-sizes.out[2] // self.width)
        self.made: dict[tuple[object, ...], ir.Function] = {}
        self.phases = [(rows, columns) for rows in sizes.axis(0) for columns in sizes.axis(1)]

    @cached_property
    def shares_per_image(self) -> int:
        """Into how many bands of rows an image is cut."""
        return min(max(lattice.count for lattice in self.p.axis(0)), -(-SHARES // self.p.images))

    @property
    def tiles(self) -> int:
        """Independent parts of the work."""
        return self.p.images * self.shares_per_image

    @property
    def scratch_bytes(self) -> int:
        """Room for the packed weights: [phases, panels, taps of rows, taps of columns, K, width]."""
        return self.panels * sum(map(self._panel_bytes, range(len(self.phases))))

    def _panel_bytes(self, phase: int) -> int:
        rows, columns = self.phases[phase]
        return len(rows.taps) * len(columns.taps) * self.p.source[2] * self.width * self.size

    def emit(self) -> None:
        """Emits the kernel and its tiles."""
        e = Emitter(self.module, self.name, [POINTER] * (3 + self.others) + [I64, I64])
        source, weight, *others, scratch, begin, end = e.arguments
        self._pack_all(e, weight, scratch)
        if self.scratch_bytes <= RESIDENT:
            with e.loop(begin, end) as share, e.loop(0, self.panels) as panel:
                self._share(e, source, others, scratch, share, panel)
        else:
            with e.loop(0, self.panels) as panel, e.loop(begin, end) as share:
                self._share(e, source, others, scratch, share, panel)
        e.finish()

    # -- weights -----------------------------------------------------------------------------------------------------------------

    def _pack_all(self, e: Emitter, weight: Value, scratch: Value) -> None:
        k, o = self.p.source[2], self.p.out[2]
        offset = 0
        for rows, columns in self.phases:
            for panel in range(self.panels):
                start = panel * self.width
                for i, _ in rows.taps:
                    for j, _ in columns.taps:
                        block = (i * self.p.window[1] + j) * k * o + (start * k if self.p.back else start)
                        self._pack_call(e, e.at(weight, block * self.size), e.at(scratch, offset), min(self.width, o - start))
                        offset += k * self.width * self.size

    def _pack_call(self, e: Emitter, source: Value, target: Value, columns: int) -> None:
        name = f"{self.name}_pack_{columns}"
        if name not in self.module.globals:
            (self._pack_transposed if self.p.back else self._pack)(name, columns)
        e.b.call(self.module.globals[name], [source, target])

    def _pack(self, name: str, columns: int) -> None:
        """Columns of a block [K, O] -> [K, width], zeros to the right."""
        e = Emitter(self.module, name, [POINTER] * 2, internal=True)
        source, target = e.arguments
        with e.loop(0, self.p.source[2]) as k:
            for start in range(0, self.width, self.lanes):
                address = e.at(source, e.b.mul(e.b.add(e.b.mul(k, i64(self.p.out[2])), i64(start)), i64(self.size)))
                valid = min(self.lanes, columns - start)
                row = e.load_vector(address, self.p.precision, lanes=self.lanes, valid=valid) if valid > 0 else ir.Constant(self.kind, None)
                offset = e.b.add(e.b.mul(k, i64(self.width)), i64(start))
                e.store_vector(row, e.at(target, e.b.mul(offset, i64(self.size))), self.p.precision, lanes=self.lanes)
        e.finish()

    def _pack_transposed(self, name: str, columns: int) -> None:
        """Rows of a block [O, K] -> [K, width], zeros to the right: squares of vectors, exchanged in registers."""
        depth = self.p.source[2]
        e = Emitter(self.module, name, [POINTER] * 2, internal=True)
        source, target = e.arguments
        whole, rest = divmod(depth, self.lanes)
        for start in range(0, self.width, self.lanes):
            valid = max(0, min(self.lanes, columns - start))
            if whole:
                with e.loop(0, whole) as block:
                    self._square(e, source, target, e.b.mul(block, i64(self.lanes)), start, valid, self.lanes)
            if rest:
                self._square(e, source, target, i64(whole * self.lanes), start, valid, rest)
        e.finish()

    def _square(self, e: Emitter, source: Value, target: Value, k: Value, start: int, columns: int, depth: int) -> None:
        rows = []
        for n in range(self.lanes):
            address = e.at(source, e.b.mul(e.b.add(k, i64((start + n) * self.p.source[2])), i64(self.size)))
            zero = ir.Constant(self.kind, None)
            rows.append(e.load_vector(address, self.p.precision, lanes=self.lanes, valid=depth) if n < columns else zero)
        for n, row in enumerate(transposed(e, rows, self.lanes)[:depth]):
            offset = e.b.add(e.b.mul(e.b.add(k, i64(n)), i64(self.width)), i64(start))
            e.store_vector(row, e.at(target, e.b.mul(offset, i64(self.size))), self.p.precision, lanes=self.lanes)

    # -- the walk over the output --------------------------------------------------------------------------------------------------

    def _share(self, e: Emitter, source: Value, others: list[Value], scratch: Value, share: Value, panel: Value) -> None:
        """One panel of the rows of one share."""
        p = self.p
        image, band = e.b.sdiv(share, i64(self.shares_per_image)), e.b.srem(share, i64(self.shares_per_image))
        source = e.at(source, e.b.mul(image, i64(p.source[0] * p.source[1] * p.source[2] * self.size)))
        packed = 0
        for phase, (rows, columns) in enumerate(self.phases):
            weights = e.at(scratch, e.b.add(i64(packed), e.b.mul(panel, i64(self._panel_bytes(phase)))))
            packed += self.panels * self._panel_bytes(phase)
            low = e.b.sdiv(e.b.mul(band, i64(rows.count)), i64(self.shares_per_image))
            high = e.b.sdiv(e.b.mul(e.b.add(band, i64(1)), i64(rows.count)), i64(self.shares_per_image))
            with e.loop(low, high) as row:
                first, last = self._tap_range(e, rows, row)
                line = e.b.add(e.b.mul(row, i64(rows.pace)), i64(rows.taps[0][1] if rows.taps else 0))
                x = e.at(source, e.b.mul(line, i64(p.source[1] * p.source[2] * self.size)))
                place = e.b.add(e.b.mul(row, i64(rows.step)), i64(rows.first))
                top = e.b.mul(e.b.add(e.b.mul(image, i64(p.out[0])), place), i64(p.out[1]))  # the row's first position in the batch
                for run in self._runs(columns):
                    with e.loop(0, run.tiles) as number:
                        start = e.b.add(i64(run.start), e.b.mul(number, i64(run.width)))
                        x_tile = e.at(x, e.b.mul(start, i64(columns.pace * p.source[2] * self.size)))
                        position = e.b.add(top, e.b.add(i64(columns.first), e.b.mul(start, i64(columns.step))))
                        tile = _Tile(rows, columns, run, [x_tile, weights, *others], [position, first, last])
                        self._call_tile(e, tile, panel)

    def _tap_range(self, e: Emitter, rows: Lattice, row: Value) -> tuple[Value, Value]:
        """First and last + 1 of the taps of the rows that read inside the source."""
        count, height = len(rows.taps), self.p.source[0]
        if not count:
            return i64(0), i64(0)
        line = e.b.add(e.b.mul(row, i64(rows.pace)), i64(rows.taps[0][1]))  # of the first tap; they rise from there
        first, last = i64(0), i64(0)
        for number in range(count):
            here = e.b.add(line, i64(number * rows.rise))
            before = e.b.icmp_signed("<", here, i64(0))
            within = e.b.icmp_signed("<", here, i64(height))
            first = e.b.add(first, e.b.zext(before, I64))
            last = e.b.add(last, e.b.zext(within, I64))
        return first, last

    def _runs(self, columns: Lattice) -> list[Run]:
        """The tiles of one output row: positions shared out evenly, tiles alike put together."""
        tiles = -(-columns.count // self.cpu.tile_rows)
        width = -(-columns.count // tiles)
        result: list[Run] = []
        for start in range(0, columns.count, width):
            count = min(width, columns.count - start)
            valid = tuple(columns.inside(start, count, offset, self.p.source[1]) for _, offset in columns.taps)
            last = result[-1] if result else None
            if last and (last.width, last.valid) == (count, valid):
                result[-1] = Run(last.start, last.tiles + 1, count, valid)
            else:
                result.append(Run(start, 1, count, valid))
        return result

    def _call_tile(self, e: Emitter, tile: _Tile, panel: Value) -> None:
        left = e.b.mul(panel, i64(self.width))
        rest = self.p.out[2] - (self.panels - 1) * self.width

        def call(channels: int) -> None:
            e.b.call(self._tile(tile, channels), [*tile.pointers, *tile.numbers, left])

        if self.panels == 1 or rest == self.width:
            return call(rest if self.panels == 1 else self.width)
        with e.b.if_else(e.b.icmp_signed("==", panel, i64(self.panels - 1))) as (then, otherwise):
            with then:
                call(rest)
            with otherwise:
                call(self.width)
        return None

    # -- the tile ------------------------------------------------------------------------------------------------------------------

    def _tile(self, tile: _Tile, channels: int) -> ir.Function:
        """tile(source, weights, others, position, first, last, left): the sums over the taps first <= i < last of the rows."""
        rows, columns, run = tile.rows, tile.columns, tile.run
        offsets = tuple(offset for _, offset in columns.taps)
        key = (rows.rise, offsets, columns.pace, columns.step, run.width, run.valid, channels)
        if key in self.made:
            return self.made[key]
        p, depth = self.p, self.p.source[2]
        kinds = [POINTER] * (2 + self.others) + [I64] * 4
        e = Emitter(self.module, f"{self.name}_tile_{len(self.made)}", kinds, internal=True)
        self.made[key] = e.function
        x, w, *others, place, first, last, left = e.arguments
        valid = [min(self.lanes, channels - start) for start in range(0, channels, self.lanes)]
        vectors = -(-channels // self.lanes)
        cells = [[e.b.alloca(self.kind) for _ in range(vectors)] for _ in range(run.width)]
        for line in cells:
            for cell in line:
                e.b.store(ir.Constant(self.kind, None), cell)
        with e.loop(first, last) as i:
            x_row = e.at(x, e.b.mul(i, i64(rows.rise * p.source[1] * depth * self.size)))
            w_row = e.at(w, e.b.mul(i, i64(len(columns.taps) * depth * self.width * self.size)))
            for start, count, (low, high) in _chains(run.valid, columns.rise):
                x_tap = e.at(x_row, offsets[start] * depth * self.size)
                w_tap = e.at(w_row, start * depth * self.width * self.size)
                with e.loop(0, count * depth) as k:
                    x_k, w_k = (e.at(q, e.b.mul(k, i64(step * self.size))) for q, step in ((x_tap, 1), (w_tap, self.width)))
                    right = [e.b.load(e.at(w_k, v * self.lanes * self.size), align=self.size, typ=self.kind) for v in range(vectors)]
                    for position in range(low, high):
                        factor = e.splat(e.load(e.at(x_k, position * columns.pace * depth * self.size), p.precision), self.lanes)
                        for v in range(vectors):
                            cell = cells[position][v]
                            e.b.store(e.fma(factor, right[v], e.b.load(cell, typ=self.kind)), cell)
        sums = [[e.b.load(cell, typ=self.kind) for cell in line] for line in cells]
        if self.epilogue is not None:
            apply_epilogue(e, self.epilogue, sums, others, p.precision, self.lanes, p.out[2], place, left, valid, columns.step)
        else:
            y = e.at(others[0], e.b.add(e.b.mul(place, i64(p.out[2])), left), p.precision)
            for position, line in enumerate(sums):
                for v, value in enumerate(line):
                    address = e.at(y, position * columns.step * p.out[2] + v * self.lanes, p.precision)
                    e.store_vector(value, address, p.precision, lanes=self.lanes, valid=valid[v])
        e.finish()
        return e.function


def _chains(valid: tuple[tuple[int, int], ...], rise: int) -> list[tuple[int, int, tuple[int, int]]]:
    """(first tap, number of taps, positions): neighbouring taps that the same positions take are one long sum, as their channels lie
    side by side in the source and in the packed weights."""
    result: list[tuple[int, int, tuple[int, int]]] = []
    for number, positions in enumerate(valid):
        if positions[0] == positions[1]:
            continue
        last = result[-1] if result else None
        if last and rise == 1 and last[0] + last[1] == number and last[2] == positions:
            result[-1] = (last[0], last[1] + 1, positions)
        else:
            result.append((number, 1, positions))
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightGradient:
    """The sizes of one call: image [H, W, C], gradient [Ho, Wo, O], result [parts, kh, kw, C, O]."""

    images: int
    image: tuple[int, int, int]
    out: tuple[int, int, int]
    parts: int
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
    precision: str

    @classmethod
    def of(cls, call: Call, precision: str) -> WeightGradient:
        """The sizes of `call`."""
        a, x, g, d = call.attributes, call.inputs[0].shape, call.inputs[1].shape, call.outputs[0].shape
        return cls(
            images=x[0], image=(x[1], x[2], x[3]), out=(g[1], g[2], g[3]), parts=d[0], window=(d[1], d[2]), stride=a["stride"],
            padding=a["padding"], dilation=a["dilation"], precision=precision,
        )  # fmt: skip

    def flops(self) -> float:
        """Operations of the whole call, places outside the image counted too."""
        return 2.0 * self.images * self.out[0] * self.out[1] * self.window[0] * self.window[1] * self.image[2] * self.out[2]


BAND = 36 * 1024  # bytes of image and gradient rows that a band of output rows may take: they stay in the first-level cache


class WeightGradientKernel:
    """Emits `name(image, gradient, result, scratch, begin, end)`: a share is one panel of one part's sums over the part's images.

    A tile is up to `tile_rows` input channels at one place of the window times a panel of output channels; its sums run over the
    positions of a band of rows and are taken up again at the next band, in the order of images, rows and columns.
    """

    def __init__(self, module: ir.Module, name: str, sizes: WeightGradient, cpu: Processor) -> None:
        self.module, self.name, self.p, self.cpu = module, name, sizes, cpu
        self.size = SIZE[sizes.precision]
        self.lanes = cpu.vector_bytes // self.size
        self.kind = vector(ELEMENT[sizes.precision], self.lanes)
        self.width = self.lanes * (cpu.tile_vectors if sizes.out[2] > self.lanes else 1)
        self.panels = -(-sizes.out[2] // self.width)
        self.tiles = sizes.parts * self.panels
        blocks = -(-sizes.image[2] // cpu.tile_rows)
        self.height = -(-sizes.image[2] // blocks)

    def emit(self) -> None:
        """Emits the kernel and its tiles."""
        p = self.p
        e = Emitter(self.module, self.name, [POINTER] * 4 + [I64, I64])
        image, gradient, result, _, begin, end = e.arguments
        row = (p.image[1] * p.image[2] * p.stride[0] + p.out[1] * self.width) * self.size
        band = max(1, min(p.out[0], (BAND - (p.window[0] - 1) * p.image[1] * p.image[2] * self.size) // row))
        bands = -(-p.out[0] // band)
        with e.loop(begin, end) as share:
            part, panel = e.b.sdiv(share, i64(self.panels)), e.b.srem(share, i64(self.panels))
            column = e.b.mul(panel, i64(self.width * self.size))
            taps = p.window[0] * p.window[1]
            d = e.at(result, e.b.add(e.b.mul(part, i64(taps * p.image[2] * p.out[2] * self.size)), column))
            low = e.b.sdiv(e.b.mul(part, i64(p.images)), i64(p.parts))
            high = e.b.sdiv(e.b.mul(e.b.add(part, i64(1)), i64(p.images)), i64(p.parts))

            def walk(channels: int) -> None:
                self._clear(e, d, channels)
                with e.loop(low, high) as n, e.loop(0, bands) as number:
                    x = e.at(image, e.b.mul(n, i64(p.image[0] * p.image[1] * p.image[2] * self.size)))
                    offset = e.b.mul(n, i64(p.out[0] * p.out[1] * p.out[2] * self.size))
                    g = e.at(gradient, e.b.add(offset, column))
                    top = e.b.mul(number, i64(band))
                    bottom = e.smaller(e.b.add(top, i64(band)), i64(p.out[0]))
                    self._band(e, x, g, d, top, bottom, channels)

            self._by_panel(e, panel, walk)
        e.finish()

    def _by_panel(self, e: Emitter, panel: Value, emit: Callable[[int], None]) -> None:
        rest = self.p.out[2] - (self.panels - 1) * self.width
        if self.panels == 1 or rest == self.width:
            return emit(rest if self.panels == 1 else self.width)
        with e.b.if_else(e.b.icmp_signed("==", panel, i64(self.panels - 1))) as (then, otherwise):
            with then:
                emit(rest)
            with otherwise:
                emit(self.width)
        return None

    def _clear(self, e: Emitter, d: Value, channels: int) -> None:
        p = self.p
        with e.loop(0, p.window[0] * p.window[1] * p.image[2]) as row:
            for start in range(0, channels, self.lanes):
                place = e.at(d, e.b.mul(e.b.add(e.b.mul(row, i64(p.out[2])), i64(start)), i64(self.size)))
                e.store_vector(ir.Constant(self.kind, None), place, p.precision, lanes=self.lanes, valid=min(self.lanes, channels - start))

    def _band(self, e: Emitter, x: Value, g: Value, d: Value, top: Value, bottom: Value, channels: int) -> None:
        """Adds what the output rows top <= p < bottom give to every place of the window."""
        p = self.p
        line = p.image[1] * p.image[2] * self.size
        with e.loop(0, p.window[0]) as i:
            shift = e.b.sub(e.b.mul(i, i64(p.dilation[0])), i64(p.padding[0]))  # image row = output row * stride + shift
            first = self._at_least(e, self._above(e, e.b.neg(shift)), top)
            last = e.smaller(self._above(e, e.b.sub(i64(p.image[0]), shift)), bottom)
            count = e.b.sub(last, first)
            x_row = e.at(x, e.b.mul(e.b.add(e.b.mul(first, i64(p.stride[0])), shift), i64(line)))
            g_row = e.at(g, e.b.mul(first, i64(p.out[1] * p.out[2] * self.size)))
            d_row = e.at(d, e.b.mul(i, i64(p.window[1] * p.image[2] * p.out[2] * self.size)))
            with e.b.if_then(e.b.icmp_signed(">", count, i64(0))):
                for j in range(p.window[1]):
                    offset = j * p.dilation[1] - p.padding[2]
                    inside = [q for q in range(p.out[1]) if 0 <= q * p.stride[1] + offset < p.image[1]]
                    if inside:
                        x_tap = e.at(x_row, (inside[0] * p.stride[1] + offset) * p.image[2] * self.size)
                        g_tap = e.at(g_row, inside[0] * p.out[2] * self.size)
                        d_tap = e.at(d_row, j * p.image[2] * p.out[2] * self.size)
                        self._channels(e, x_tap, g_tap, d_tap, count, len(inside), channels)

    def _above(self, e: Emitter, rows: Value) -> Value:
        """ceil(rows / stride)."""
        stride = self.p.stride[0]
        if stride == 1:
            return rows
        high = self._at_least(e, rows, i64(0))  # a negative bound is below every row anyway
        return e.b.udiv(e.b.add(high, i64(stride - 1)), i64(stride))

    def _at_least(self, e: Emitter, x: Value, y: Value) -> Value:
        return e.b.select(e.b.icmp_signed("<", x, y), y, x)

    def _channels(self, e: Emitter, x: Value, g: Value, d: Value, rows: Value, columns: int, channels: int) -> None:
        """Every block of input channels at one place of the window."""
        p = self.p
        whole, rest = divmod(p.image[2], self.height)
        with e.loop(0, whole) as block:
            start = e.b.mul(block, i64(self.height * self.size))
            d_block = e.at(d, e.b.mul(start, i64(p.out[2])))
            e.b.call(self._tile(self.height, columns, channels), [e.at(x, start), g, d_block, rows])
        if rest:
            start = whole * self.height * self.size
            e.b.call(self._tile(rest, columns, channels), [e.at(x, start), g, e.at(d, start * p.out[2]), rows])

    def _tile(self, height: int, columns: int, channels: int) -> ir.Function:
        """tile(image, gradient, result, rows): adds the sums over rows x columns positions."""
        name = f"{self.name}_tile_{height}_{columns}_{channels}"
        if name in self.module.globals:
            return self.module.globals[name]
        p = self.p
        e = Emitter(self.module, name, [POINTER] * 3 + [I64], internal=True)
        x, g, d, rows = e.arguments
        vectors = -(-channels // self.lanes)
        valid = [min(self.lanes, channels - v * self.lanes) for v in range(vectors)]
        places = [[e.at(d, (m * p.out[2] + v * self.lanes) * self.size) for v in range(vectors)] for m in range(height)]
        cells = [[e.b.alloca(self.kind) for _ in range(vectors)] for _ in range(height)]
        for m in range(height):
            for v in range(vectors):
                e.b.store(e.load_vector(places[m][v], p.precision, lanes=self.lanes, valid=valid[v]), cells[m][v])
        with e.loop(0, rows) as row:
            x_row = e.at(x, e.b.mul(row, i64(p.stride[0] * p.image[1] * p.image[2] * self.size)))
            g_row = e.at(g, e.b.mul(row, i64(p.out[1] * p.out[2] * self.size)))
            with e.loop(0, columns) as q:
                x_q = e.at(x_row, e.b.mul(q, i64(p.stride[1] * p.image[2] * self.size)))
                g_q = e.at(g_row, e.b.mul(q, i64(p.out[2] * self.size)))
                right = [
                    e.load_vector(e.at(g_q, v * self.lanes * self.size), p.precision, lanes=self.lanes, valid=valid[v])
                    for v in range(vectors)
                ]
                for m in range(height):
                    left = e.splat(e.load(e.at(x_q, m * self.size), p.precision), self.lanes)
                    for v in range(vectors):
                        cell = cells[m][v]
                        e.b.store(e.fma(left, right[v], e.b.load(cell, typ=self.kind)), cell)
        for m in range(height):
            for v in range(vectors):
                e.store_vector(e.b.load(cells[m][v], typ=self.kind), places[m][v], p.precision, lanes=self.lanes, valid=valid[v])
        e.finish()
        return e.function
