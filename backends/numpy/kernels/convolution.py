"""Convolution without unfolding: the tile kernel walks over the image itself.

A tile is some neighbouring positions of one output row times a panel of channels.  Its sums stay in registers while window rows and input
channels run; a number of the source is read once for all the windows of the tile that it lies in.  Places outside the image are left
out, so no image is ever padded.  Every element is one
chain of fused multiply-adds in a fixed order: bits depend neither on the tiles nor on the number of threads.
"""

# N images, H W rows and columns, K channels that are summed, O channels that are made, kh kw window; P positions of a tile
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from llvmlite import ir

from backends.contract import Call
from backends.numpy.emit.emitter import ELEMENT, I64, POINTER, SIZE, Emitter, Module, Value, i64, vector
from backends.numpy.kernels.epilogue import Epilogue, apply_epilogue
from backends.numpy.kernels.kernel import Sizes
from backends.numpy.kernels.tiling import HEAD, RESIDENT, Packing, share_evenly, when_last, when_not_packed
from backends.numpy.machine.processor import Processor

MOST_TAPS = 5  # of a row of the window that are summed at once
SHARES = 64  # parts that the work is cut into at least, where there are so many rows: threads take them


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
class Convolution(Sizes):
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
    cpu: Processor
    epilogue: Epilogue | None

    @classmethod
    def of(cls, call: Call, precision: str, cpu: Processor) -> Convolution:
        """The sizes of `call`."""
        a, (_, *source), (kh, kw, c, o) = call.attributes, call.inputs[0].shape, call.inputs[1].shape
        back = call.op == "conv_data_gradient"
        around = (a["padding"][0] + a["padding"][1], a["padding"][2] + a["padding"][3])
        sides = zip(source, around, a["dilation"], (kh, kw), a["stride"], strict=False)
        size = a["size"] if back else [(n + extra - d * (k - 1) - 1) // s + 1 for n, extra, d, k, s in sides]
        return cls(
            back=back, images=call.inputs[0].shape[0], source=(source[0], source[1], source[2]), out=(size[0], size[1], c if back else o),
            window=(kh, kw), stride=a["stride"], padding=a["padding"], dilation=a["dilation"], precision=precision, cpu=cpu,
            epilogue=Epilogue.of(call),
        )  # fmt: skip

    def axis(self, axis: int) -> tuple[Lattice, ...]:
        """The lattices of the rows (0) or the columns (1)."""
        return lattices(
            back=self.back, out=self.out[axis], window=self.window[axis], stride=self.stride[axis], padding=self.padding[2 * axis],
            dilation=self.dilation[axis],
        )  # fmt: skip

    @property
    def tiles(self) -> int:
        """Shares: some rows of one image each."""
        return ConvolutionKernel(Module("planned", self.cpu), "planned", self).tiles

    @property
    def scratch(self) -> int:
        """Room for the packed weights."""
        return ConvolutionKernel(Module("planned", self.cpu), "planned", self).scratch_bytes

    @property
    def work(self) -> float:
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

    def __init__(self, module: Module, name: str, sizes: Convolution) -> None:
        self.module, self.name, self.p, self.cpu, self.epilogue = module, name, sizes, sizes.cpu, sizes.epilogue
        cpu, epilogue = sizes.cpu, sizes.epilogue
        self.others = 1 if epilogue is None else len(epilogue.dtypes) + len(epilogue.body.outputs)
        self.size = SIZE[sizes.precision]
        self.lanes = cpu.vector_bytes // self.size
        self.kind = vector(ELEMENT[sizes.precision], self.lanes)
        self.made: dict[tuple[object, ...], ir.Function] = {}
        self.phases = [(rows, columns) for rows in sizes.axis(0) for columns in sizes.axis(1)]
        vectors = -(-sizes.out[2] // self.lanes)
        choices = [share_evenly(vectors, most) for most in range(1, min(vectors, cpu.tile_vectors) + 1)]
        self.width = self.lanes * min(choices, key=self._loads)
        self.panels = -(-sizes.out[2] // self.width)

    def _loads(self, vectors: int) -> float:
        """Loads for one multiply-add where a tile is `vectors` wide."""
        columns = self.phases[0][1]
        count, taps = self._positions(columns, vectors), max(map(len, _groups(columns)), default=1)
        return (count + taps - 1 + taps * vectors) / (taps * count * vectors)

    def _positions(self, columns: Lattice, vectors: int) -> int:
        """Positions of a tile, shared out evenly: their sums, a group's weights and one number of the source fill the registers."""
        taps = max(map(len, _groups(columns)), default=1)
        most = max(1, (self.cpu.registers - 1) // vectors - taps)
        return share_evenly(columns.count, most)

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
        """Room for the packed weights, after their head: [phases, panels, taps of rows, taps of columns, K, width]."""
        return HEAD + self.panels * sum(map(self._panel_bytes, range(len(self.phases))))

    def _panel_bytes(self, phase: int) -> int:
        rows, columns = self.phases[phase]
        return len(rows.taps) * len(columns.taps) * self.p.source[2] * self.width * self.size

    def emit(self) -> None:
        """Emits the kernel and its tiles."""
        e = Emitter(self.module, self.name, [POINTER] * (3 + self.others) + [I64, I64])
        source, weight, *others, scratch, begin, end = e.arguments
        packed = e.at(scratch, HEAD)
        with when_not_packed(e, scratch, i64(0)):
            self._pack_all(e, weight, packed)
        if self.scratch_bytes - HEAD <= RESIDENT:
            with e.loop(begin, end) as share, e.loop(0, self.panels) as panel:
                self._share(e, source, others, packed, share, panel)
        else:
            with e.loop(0, self.panels) as panel, e.loop(begin, end) as share:
                self._share(e, source, others, packed, share, panel)
        e.finish()

    # -- weights -----------------------------------------------------------------------------------------------------------------

    def _pack_all(self, e: Emitter, weight: Value, scratch: Value) -> None:
        k, o = self.p.source[2], self.p.out[2]
        offset = 0
        for rows, columns in self.phases:
            for start in range(0, self.panels * self.width, self.width):
                for i, _ in rows.taps:
                    for group in _groups(columns):
                        for place, (j, _) in enumerate(columns.taps[number] for number in group):
                            block = (i * self.p.window[1] + j) * k * o + (start * k if self.p.back else start)
                            target = e.at(scratch, offset + place * self.width * self.size)
                            self._pack_call(e, e.at(weight, block * self.size), target, min(self.width, o - start), len(group))
                        offset += len(group) * k * self.width * self.size

    def _pack_call(self, e: Emitter, source: Value, target: Value, columns: int, taps: int) -> None:
        """Copies a block of the weight, [K, O] or for the data gradient [O, K], together; the taps of a group lie side by side."""
        k, o = self.p.source[2], self.p.out[2]
        packing = Packing(
            depth=k, columns=columns, source_pitch=k if self.p.back else o, pitch=taps * self.width, transposed=self.p.back,
            precision=self.p.precision, lanes=self.lanes,
        )  # fmt: skip
        e.b.call(packing.emit(self.module, f"{self.name}_pack_{columns}_{taps}"), [source, target])

    # -- the walk over the output --------------------------------------------------------------------------------------------------

    def _share(self, e: Emitter, source: Value, others: list[Value], packed: Value, share: Value, panel: Value) -> None:
        """One panel of the rows of one share."""
        p = self.p
        image, band = e.b.sdiv(share, i64(self.shares_per_image)), e.b.srem(share, i64(self.shares_per_image))
        source = e.at(source, e.b.mul(image, i64(p.source[0] * p.source[1] * p.source[2] * self.size)))
        offset = 0
        for phase, (rows, columns) in enumerate(self.phases):
            weights = e.at(packed, e.b.add(i64(offset), e.b.mul(panel, i64(self._panel_bytes(phase)))))
            offset += self.panels * self._panel_bytes(phase)
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
        width = self._positions(columns, self.width // self.lanes)
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

        when_last(e, panel, self.panels, self.width, rest, call)

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
            for group in _groups(columns):
                pitch = len(group) * self.width
                w_group = e.at(w_row, group[0] * depth * self.width * self.size)
                users = _users(columns, run, group)
                with e.loop(0, depth if users else 0) as k:
                    w_k = e.at(w_group, e.b.mul(k, i64(pitch * self.size)))
                    weights = {
                        (tap, v): e.b.load(e.at(w_k, (place * self.width + v * self.lanes) * self.size), align=self.size, typ=self.kind)
                        for place, tap in enumerate(group)
                        for v in range(vectors)
                    }
                    for column, readers in users:
                        factor = e.splat(e.load(e.at(x_row, e.b.add(i64(column * depth), k), p.precision), p.precision), self.lanes)
                        for tap, position in readers:
                            for v, cell in enumerate(cells[position]):
                                e.b.store(e.fma(factor, weights[tap, v], e.b.load(cell, typ=self.kind)), cell)
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


def _groups(columns: Lattice) -> list[tuple[int, ...]]:
    """The taps of the columns by their numbers, in groups whose weights the registers hold at once."""
    count = len(columns.taps)
    parts = -(-count // MOST_TAPS)
    limits = [count * n // parts for n in range(parts + 1)] if parts else []
    return [tuple(range(a, b)) for a, b in pairwise(limits)]


def _users(columns: Lattice, run: Run, group: tuple[int, ...]) -> list[tuple[int, list[tuple[int, int]]]]:
    """(column of the source, counted from the tile's first, [(tap, position of the tile that reads it there)]), in order of the columns.

    A number of the source is read once for all the positions whose windows it lies in.
    """
    found: dict[int, list[tuple[int, int]]] = {}
    for tap in group:
        low, high = run.valid[tap]
        for position in range(low, high):
            found.setdefault(position * columns.pace + columns.taps[tap][1], []).append((tap, position))
    return sorted(found.items())
