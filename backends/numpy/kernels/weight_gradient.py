"""The weight gradient of a convolution without unfolding: sums over the positions of image and gradient where they lie."""

# N images, H W rows and columns, C O channels in and out, kh kw window
from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from llvmlite import ir

from backends.contract import Call
from backends.numpy.emit.emitter import ELEMENT, I64, POINTER, SIZE, Emitter, Module, Value, i64, vector
from backends.numpy.kernels.convolution import MOST_TAPS
from backends.numpy.kernels.kernel import Sizes
from backends.numpy.kernels.tiling import CHAINS, share_evenly, when_last
from backends.numpy.machine.processor import Processor

BAND = 36 * 1024  # bytes of image and gradient rows that a band of output rows may take: they stay in the first-level cache


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightGradient(Sizes):
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
    cpu: Processor

    @classmethod
    def of(cls, call: Call, precision: str, cpu: Processor) -> WeightGradient:
        """The sizes of `call`."""
        a, x, g, d = call.attributes, call.inputs[0].shape, call.inputs[1].shape, call.outputs[0].shape
        return cls(
            images=x[0], image=(x[1], x[2], x[3]), out=(g[1], g[2], g[3]), parts=d[0], window=(d[1], d[2]), stride=a["stride"],
            padding=a["padding"], dilation=a["dilation"], precision=precision, cpu=cpu,
        )  # fmt: skip

    @property
    def tiles(self) -> int:
        """Shares: one panel of one part's sums each."""
        return WeightGradientKernel(Module("planned", self.cpu), "planned", self).tiles

    @property
    def work(self) -> float:
        """Operations of the whole call, places outside the image counted too."""
        return 2.0 * self.images * self.out[0] * self.out[1] * self.window[0] * self.window[1] * self.image[2] * self.out[2]


@dataclass(frozen=True, slots=True)
class Block:
    """A tile of the weight gradient: neighbouring taps of a row of the window x `height` input channels x a panel of output channels.

    At step t it reads the image at column t * pace + base and the gradient at column t - shift for each of its taps' shifts.
    segments: (first step, last step + 1, taps that take part), for the steps in order.
    """

    pace: int
    base: int
    shifts: tuple[int, ...]
    segments: tuple[tuple[int, int, tuple[int, ...]], ...]


class WeightGradientKernel:
    """Emits `name(image, gradient, result, scratch, begin, end)`: a share is one panel of one part's sums over the part's images.

    The sums of a tile run over the positions of a band of rows and are taken up again at the next band; every element is one chain in
    the order of images, rows and columns.  Taps that move by one column share what they read of the image.
    """

    def __init__(self, module: Module, name: str, sizes: WeightGradient) -> None:
        self.module, self.name, self.p, self.cpu = module, name, sizes, sizes.cpu
        cpu = sizes.cpu
        self.size = SIZE[sizes.precision]
        self.lanes = cpu.vector_bytes // self.size
        self.kind = vector(ELEMENT[sizes.precision], self.lanes)
        self.made: dict[tuple[object, ...], ir.Function] = {}
        vectors = -(-sizes.out[2] // self.lanes)
        widths = {share_evenly(vectors, most) for most in range(1, min(vectors, cpu.tile_vectors) + 1)}
        together = range(1, min(sizes.window[1], MOST_TAPS) + 1) if sizes.stride[1] == 1 else (1,)
        self.taps, vectors = min(((taps, v) for taps in together for v in sorted(widths)), key=self._loads)
        self.width = self.lanes * vectors
        self.panels = -(-sizes.out[2] // self.width)
        self.tiles = sizes.parts * self.panels
        self.height = self._height(self.taps, vectors)

    def _loads(self, shape: tuple[int, int]) -> float:
        """Loads for one multiply-add of tiles of (taps, vectors); few sums at once wait for each other and count as more."""
        taps, vectors = shape
        height = self._height(taps, vectors)
        sums = taps * height * vectors
        return (height + taps * vectors) / sums * max(1.0, CHAINS / sums)

    def _height(self, taps: int, vectors: int) -> int:
        """Input channels of a tile, shared out evenly: their sums, the gradient's vectors and one number fill the registers."""
        most = max(1, (self.cpu.registers - 1) // (taps * vectors) - 1)
        return share_evenly(self.p.image[2], most)

    def _blocks(self) -> list[tuple[int, Block]]:
        """(first tap, tile) for the groups of taps of a row of the window."""
        p = self.p
        count = p.window[1]
        parts = -(-count // self.taps)
        limits = [count * n // parts for n in range(parts + 1)]
        return [(a, self._block(range(a, b))) for a, b in pairwise(limits)]

    def _block(self, taps: range) -> Block:
        p = self.p
        offsets = [j * p.dilation[1] - p.padding[2] for j in taps]
        inside = [[q for q in range(p.out[1]) if 0 <= q * p.stride[1] + offset < p.image[1]] for offset in offsets]
        if p.stride[1] == 1:
            pace, base, shifts = 1, 0, tuple(offsets)
        else:
            assert len(offsets) == 1
            pace, base, shifts = p.stride[1], offsets[0], (0,)
        at: dict[int, list[int]] = {}
        for tap, positions in enumerate(inside):
            for q in positions:
                at.setdefault(q + shifts[tap], []).append(tap)
        segments: list[tuple[int, int, tuple[int, ...]]] = []
        for step in sorted(at):
            last = segments[-1] if segments else None
            if last and last[1] == step and last[2] == tuple(at[step]):
                segments[-1] = (last[0], step + 1, last[2])
            else:
                segments.append((step, step + 1, tuple(at[step])))
        return Block(pace, base, shifts, tuple(segments))

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

            when_last(e, panel, self.panels, self.width, p.out[2] - (self.panels - 1) * self.width, walk)
        e.finish()

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
                for tap, block in self._blocks():
                    if block.segments:
                        self._channels(e, block, x_row, g_row, e.at(d_row, tap * p.image[2] * p.out[2] * self.size), count, channels)

    def _above(self, e: Emitter, rows: Value) -> Value:
        """ceil(rows / stride)."""
        stride = self.p.stride[0]
        if stride == 1:
            return rows
        high = self._at_least(e, rows, i64(0))  # a negative bound is below every row anyway
        return e.b.udiv(e.b.add(high, i64(stride - 1)), i64(stride))

    def _at_least(self, e: Emitter, x: Value, y: Value) -> Value:
        return e.b.select(e.b.icmp_signed("<", x, y), y, x)

    def _channels(self, e: Emitter, block: Block, x: Value, g: Value, d: Value, rows: Value, channels: int) -> None:
        """Every run of input channels at a group of taps."""
        p = self.p
        whole, rest = divmod(p.image[2], self.height)
        with e.loop(0, whole) as number:
            start = e.b.mul(number, i64(self.height * self.size))
            e.b.call(self._tile(block, self.height, channels), [e.at(x, start), g, e.at(d, e.b.mul(start, i64(p.out[2]))), rows])
        if rest:
            start = whole * self.height * self.size
            e.b.call(self._tile(block, rest, channels), [e.at(x, start), g, e.at(d, start * p.out[2]), rows])

    def _tile(self, block: Block, height: int, channels: int) -> ir.Function:
        """tile(image, gradient, result, rows): adds the sums over the steps of `rows` rows."""
        key = (block, height, channels)
        if key in self.made:
            return self.made[key]
        p = self.p
        e = Emitter(self.module, f"{self.name}_tile_{len(self.made)}", [POINTER] * 3 + [I64], internal=True)
        self.made[key] = e.function
        x, g, d, rows = e.arguments
        valid = [min(self.lanes, channels - start) for start in range(0, channels, self.lanes)]
        sums = [(tap, m, v) for tap in range(len(block.shifts)) for m in range(height) for v in range(len(valid))]
        places = {(tap, m, v): e.at(d, ((tap * p.image[2] + m) * p.out[2] + v * self.lanes) * self.size) for tap, m, v in sums}
        cells = {place: e.b.alloca(self.kind) for place in sums}
        for place, cell in cells.items():
            e.b.store(e.load_vector(places[place], p.precision, lanes=self.lanes, valid=valid[place[2]]), cell)
        with e.loop(0, rows) as row:
            x_row = e.at(x, e.b.mul(row, i64(p.stride[0] * p.image[1] * p.image[2] * self.size)))
            g_row = e.at(g, e.b.mul(row, i64(p.out[1] * p.out[2] * self.size)))
            for first, last, taps in block.segments:
                with e.loop(first, last) as step:
                    x_step = e.at(x_row, e.b.mul(e.b.add(e.b.mul(step, i64(block.pace)), i64(block.base)), i64(p.image[2] * self.size)))
                    g_step = e.at(g_row, e.b.mul(step, i64(p.out[2] * self.size)))
                    right = {
                        (tap, v): e.load_vector(
                            e.at(g_step, (v * self.lanes - block.shifts[tap] * p.out[2]) * self.size),
                            p.precision, lanes=self.lanes, valid=valid[v],
                        )
                        for tap in taps
                        for v in range(len(valid))
                    }  # fmt: skip
                    for m in range(height):
                        factor = e.splat(e.load(e.at(x_step, m * self.size), p.precision), self.lanes)
                        for tap, v in right:
                            cell = cells[tap, m, v]
                            e.b.store(e.fma(factor, right[tap, v], e.b.load(cell, typ=self.kind)), cell)
        for place, cell in cells.items():
            e.store_vector(e.b.load(cell, typ=self.kind), places[place], p.precision, lanes=self.lanes, valid=valid[place[2]])
        e.finish()
        return e.function
