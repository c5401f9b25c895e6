"""Convolution and its data gradient without im2col: the kernel walks over the image itself.

im2col would write every number of the image kh * kw times, only for a product of matrices to read it back.  Here a tile is some
neighbouring positions of one output row times a panel of channels.  Its sums stay in registers while window rows and input channels run;
a number of the source is read once for all the windows of the tile that it lies in.  Places outside the image are left out, so no image is
ever padded.  Every element is one chain of fused multiply-adds in a fixed order: bits depend neither on the tiles nor on the number of
threads.
"""

# N images, H W rows and columns, K channels that are summed, O channels that are made, kh kw window; P positions of a tile; a panel is
# `width` of the O channels, a tap a place of the window, a phase what reads the source alike (see lattice.py)
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from llvmlite import ir

from backends.contract import Call
from backends.lattice import Lattice, Run, lattices, readers, runs
from backends.numpy.emit.emitter import I64, POINTER, SIZE, Emitter, Module, Value
from backends.numpy.emit.number import Number
from backends.numpy.emit.strips import Strips, lanes_in_use
from backends.numpy.emit.vectors import Cells
from backends.numpy.kernels.epilogue import Epilogue, apply_epilogue
from backends.numpy.kernels.kernel import Sizes
from backends.numpy.kernels.tiling import HEAD, RESIDENT, Packing, share_evenly, when_last, when_not_packed
from backends.numpy.machine.processor import Processor

SHARES = 64  # parts that the work is cut into at least, where there are so many rows: threads take them


@dataclass(frozen=True, kw_only=True)
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

    @cached_property
    def phases(self) -> list[tuple[Lattice, Lattice]]:
        """(rows, columns): the output in parts that read the source alike, see `lattice`; a convolution has one."""
        return [(rows, columns) for rows in self.axis(0) for columns in self.axis(1)]

    @property
    def lanes(self) -> int:
        """Numbers of a vector of the machine."""
        return self.cpu.vector_bytes // SIZE[self.precision]

    @cached_property
    def width(self) -> int:
        """Channels of a panel: of the vectors that a tile may be wide, shared out evenly, the number that loads least."""
        vectors = -(-self.out[2] // self.lanes)
        choices = [share_evenly(vectors, most) for most in range(1, min(vectors, self.cpu.tile_vectors) + 1)]
        return self.lanes * min(choices, key=self._loads)

    def _loads(self, vectors: int) -> float:
        """Loads for one multiply-add where a tile is `vectors` wide."""
        columns = self.phases[0][1]
        count, taps = self.positions(columns, vectors), columns.together
        return (count + taps - 1 + taps * vectors) / (taps * count * vectors)

    def positions(self, columns: Lattice, vectors: int) -> int:
        """Positions of a tile, shared out evenly: their sums, a group's weights and one number of the source fill the registers."""
        most = max(1, (self.cpu.registers - 1) // vectors - columns.together)
        return share_evenly(columns.count, most)

    @property
    def panels(self) -> int:
        """Of the output's channels."""
        return -(-self.out[2] // self.width)

    @property
    def shares_per_image(self) -> int:
        """Into how many bands of rows an image is cut."""
        return min(max(rows.count for rows in self.axis(0)), -(-SHARES // self.images))

    @property
    def tiles(self) -> int:
        """Shares: some rows of one image each."""
        return self.images * self.shares_per_image

    def panel_bytes(self, phase: int) -> int:
        """Of one panel of a phase's packed weights [taps of rows, taps of columns, K, width]."""
        rows, columns = self.phases[phase]
        return len(rows.taps) * len(columns.taps) * self.source[2] * self.width * SIZE[self.precision]

    @property
    def scratch(self) -> int:
        """Room for the packed weights, after their head: [phases, panels, taps of rows, taps of columns, K, width]."""
        return HEAD + self.panels * sum(map(self.panel_bytes, range(len(self.phases))))

    @property
    def work(self) -> float:
        """Operations of the whole call, places outside the image counted too."""
        places = (self.source if self.back else self.out)[:2]
        return 2.0 * self.images * places[0] * places[1] * self.window[0] * self.window[1] * self.source[2] * self.out[2]


@dataclass(frozen=True, slots=True)
class _Tile:
    """A tile to be called: what decides its code, its pointers, and its position with the taps of the rows that it takes."""

    rows: Lattice
    columns: Lattice
    run: Run
    pointers: list[Value]
    numbers: list[Value]


class ConvolutionKernel:
    """Emits `name(source, weight, other inputs, outputs, scratch, begin, end)` for shares begin <= t < end: some rows of one image.

        for share in begin .. end, panel of channels:              # the panel outside where the packed weights outgrow the cache
            for phase, row of the share, tile of that row:
                y[P, width] = 0                                    # in registers
                for i in the taps of the rows inside the image:
                    for group in the taps of the columns:          # up to 5: their weights stay in registers too
                        for k in K:
                            w[group, width] = packed[phase, panel, i, group, k]
                            for column in the source's columns that the tile's windows meet:
                                x = source[row * pace + offset(i), column, k]
                                for (j, position) that read it:    # position * pace + offset(j) = column
                                    y[position, :] += x * w[j, :]
                out[row, tile, panel] = y                          # or what the epilogue makes of it

    A convolution reads the weights [kh, kw, K, O]; its data gradient, a walk with the same loops, reads them as [kh, kw, O, K].
    """

    def __init__(self, module: Module, name: str, sizes: Convolution) -> None:
        self.module, self.name, self.p, self.epilogue = module, name, sizes, sizes.epilogue
        self.others = 1 if self.epilogue is None else len(self.epilogue.dtypes) + len(self.epilogue.body.outputs)
        self.size, self.lanes = SIZE[sizes.precision], sizes.lanes
        self.phases, self.width, self.panels, self.bands = sizes.phases, sizes.width, sizes.panels, sizes.shares_per_image
        self.made: dict[tuple[object, ...], ir.Function] = {}

    def emit(self) -> None:
        """Emits the kernel and its tiles."""
        e = Emitter(self.module, self.name, [POINTER] * (3 + self.others) + [I64, I64])
        source, weight, *others, scratch, begin, end = e.arguments
        packed = e.at(scratch, HEAD)
        with when_not_packed(e, scratch, e.number(0)):
            self._pack_all(e, weight, packed)
        # weights that stay in the cache serve share after share; of larger ones each panel is read once for all shares
        if self.p.scratch - HEAD <= RESIDENT:
            with e.loop(begin, end) as share, e.loop(0, self.panels) as panel:
                self._share(e, source, others, packed, share, panel)
        else:
            with e.loop(0, self.panels) as panel, e.loop(begin, end) as share:
                self._share(e, source, others, packed, share, panel)
        e.finish()

    # -- weights -----------------------------------------------------------------------------------------------------------------

    def _pack_all(self, e: Emitter, weight: Value, scratch: Value) -> None:
        """Copies the weights into the order in which tiles read them: what follows in a loop lies next in memory."""
        k, o = self.p.source[2], self.p.out[2]
        offset = 0
        for rows, columns in self.phases:
            for start in range(0, self.panels * self.width, self.width):
                for i, _ in rows.taps:
                    for group in columns.groups:
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

    def _share(self, e: Emitter, source: Value, others: list[Value], packed: Value, share: Number, panel: Number) -> None:
        """One panel of the rows of one share."""
        p = self.p
        height, width, depth = p.source
        image, band = share // self.bands, share % self.bands
        source = e.at(source, image * (height * width * depth * self.size))
        offset = 0
        for phase, (rows, columns) in enumerate(self.phases):
            weights = e.at(packed, offset + panel * p.panel_bytes(phase))
            offset += self.panels * p.panel_bytes(phase)
            tiles = runs(columns, p.positions(columns, self.width // self.lanes), width)
            low, high = band * rows.count // self.bands, (band + 1) * rows.count // self.bands
            with e.loop(low, high) as row:
                first, last = self._tap_range(e, rows, row)
                line = row * rows.pace + (rows.taps[0][1] if rows.taps else 0)
                x = e.at(source, line * (width * depth * self.size))
                place = row * rows.step + rows.first
                top = (image * p.out[0] + place) * p.out[1]  # the row's first position in the batch
                for run in tiles:
                    with e.loop(0, run.tiles) as number:
                        start = run.start + number * run.width
                        x_tile = e.at(x, start * (columns.pace * depth * self.size))
                        position = top + (columns.first + start * columns.step)
                        tile = _Tile(rows, columns, run, [x_tile, weights, *others], [position, first, last])
                        self._call_tile(e, tile, panel)

    def _tap_range(self, e: Emitter, rows: Lattice, row: Number) -> tuple[Number, Number]:
        """First and last + 1 of the taps of the rows that read inside the source: so many lie before it, so many before its end."""
        first, last = e.number(0), e.number(0)
        if not rows.taps:
            return first, last
        line = row * rows.pace + rows.taps[0][1]  # of the first tap; they rise from there
        for number in range(len(rows.taps)):
            here = line + number * rows.rise
            before, within = here < 0, here < self.p.source[0]
            first = first + e.b.zext(before, I64)
            last = last + e.b.zext(within, I64)
        return first, last

    def _call_tile(self, e: Emitter, tile: _Tile, panel: Number) -> None:
        left = panel * self.width
        rest = self.p.out[2] - (self.panels - 1) * self.width

        def call(channels: int) -> None:
            e.b.call(self._tile(tile, channels), [*tile.pointers, *tile.numbers, left])

        when_last(e, panel, self.panels, self.width, rest, call)

    # -- the tile ------------------------------------------------------------------------------------------------------------------

    def _tile(self, tile: _Tile, channels: int) -> ir.Function:
        """tile(source, weights, others, position, first, last, left): the sums over the taps first <= i < last of the rows.

        One function for each kind of tile: which taps reach outside the image is settled here, not in its loops.
        """
        rows, columns, run = tile.rows, tile.columns, tile.run
        offsets = tuple(offset for _, offset in columns.taps)
        key = (rows.rise, offsets, columns.pace, columns.step, run.width, run.valid, channels)
        if key in self.made:
            return self.made[key]
        e = Emitter(self.module, f"{self.name}_tile_{len(self.made)}", [POINTER] * (2 + self.others) + [I64] * 4, internal=True)
        self.made[key] = e.function
        x, w, *others, position, first, last, left = e.arguments
        p, valid, s = self.p, lanes_in_use(channels, self.lanes), Strips(e, self.p.precision, self.lanes)
        cells = [s.cells(valid) for _ in range(run.width)]
        for line in cells:
            line.fill(s.zero)
        with e.loop(first, last) as i:
            x_row = e.at(x, i * (rows.rise * p.source[1] * p.source[2] * self.size))
            w_row = e.at(w, i * (len(columns.taps) * p.source[2] * self.width * self.size))
            self._row_of_window(s, tile, x_row, w_row, cells)
        sums = [line.read() for line in cells]
        if self.epilogue is not None:
            results = [line.parts for line in sums]
            apply_epilogue(e, self.epilogue, results, others, p.precision, self.lanes, p.out[2], position, left, valid, columns.step)
        else:
            y = e.at(others[0], position * p.out[2] + left, p.precision)
            for number, line_sums in enumerate(sums):
                start = number * columns.step * p.out[2]
                s.stores(line_sums, (e.at(y, start + v * self.lanes, p.precision) for v in range(len(valid))), valid)
        e.finish()
        return e.function

    def _row_of_window(self, s: Strips, tile: _Tile, x: Value, w: Value, cells: list[Cells]) -> None:
        """Adds what one row of the window gives: cells[position] += x[column, k] * w[tap, k] for every tap, and k after k."""
        e, depth, vectors = s.e, self.p.source[2], len(cells[0].cells)
        for group in tile.columns.groups:
            columns = readers(tile.columns, tile.run, group)
            w_group = e.at(w, group[0] * depth * self.width * self.size)
            with e.loop(0, depth if columns else 0) as k:
                w_k = e.at(w_group, k * (len(group) * self.width * self.size))
                weights = {}
                for place, tap in enumerate(group):
                    places = [(place * self.width + v * self.lanes) * self.size for v in range(vectors)]
                    weights[tap] = list(s.loads((e.at(w_k, offset) for offset in places), [self.lanes] * vectors))
                for column, taps in columns:
                    factor = e.splat(e.load(e.at(x, column * depth + k, self.p.precision), self.p.precision), self.lanes)
                    for tap, position in taps:
                        cells[position].add_product(factor, weights[tap])
