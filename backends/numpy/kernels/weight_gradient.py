"""The weight gradient of a convolution without im2col: sums over the positions of image and gradient where they lie.

    d[i, j, c, o] = sum over n, row, column of image[n, row * stride + i - padding, column * stride + j - padding, c] * g[n, row, column, o]

(dilation 1).  It is long, all positions of all images, and its result is small: so the images are cut into parts whose sums are added
afterwards (a split reduction), as many as the shape says, whatever the number of threads.
"""

# N images, H W rows and columns, Ho Wo positions, C O channels in and out, kh kw window; parts: blocks of images of a split reduction
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from llvmlite import ir

from backends.contract import Call
from backends.lattice import MOST_TAPS
from backends.numpy.emit.emitter import I64, POINTER, SIZE, Emitter, Module, Value, i64
from backends.numpy.emit.number import Number
from backends.numpy.emit.strips import Strips, lanes_in_use
from backends.numpy.emit.vectors import Cells
from backends.numpy.kernels.kernel import Sizes
from backends.numpy.kernels.tiling import CHAINS, share_evenly, when_last
from backends.numpy.machine.processor import Processor

BAND = 36 * 1024  # bytes of image and gradient rows that a band of output rows may take: they stay in the first-level cache


@dataclass(frozen=True, kw_only=True)
class WeightGradient(Sizes):
    """The sizes of one call: image [N, H, W, C], gradient [N, Ho, Wo, O], result [parts, kh, kw, C, O]."""

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
    def lanes(self) -> int:
        """Numbers of a vector of the machine."""
        return self.cpu.vector_bytes // SIZE[self.precision]

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Taps and vectors of a tile: of all that the registers hold, the pair with the fewest loads."""
        vectors = -(-self.out[2] // self.lanes)
        widths = {share_evenly(vectors, most) for most in range(1, min(vectors, self.cpu.tile_vectors) + 1)}
        together = range(1, min(self.window[1], MOST_TAPS) + 1) if self.stride[1] == 1 else (1,)
        return min(((taps, v) for taps in together for v in sorted(widths)), key=self._loads)

    def _loads(self, shape: tuple[int, int]) -> float:
        """Loads for one multiply-add of tiles of (taps, vectors); few sums at once wait for each other and count as more."""
        taps, vectors = shape
        height = self.height(taps, vectors)
        sums = taps * height * vectors
        return (height + taps * vectors) / sums * max(1.0, CHAINS / sums)

    def height(self, taps: int, vectors: int) -> int:
        """Input channels of a tile, shared out evenly: their sums, the gradient's vectors and one number fill the registers."""
        most = max(1, (self.cpu.registers - 1) // (taps * vectors) - 1)
        return share_evenly(self.image[2], most)

    @property
    def width(self) -> int:
        """Output channels of a panel."""
        return self.lanes * self.shape[1]

    @property
    def panels(self) -> int:
        """Of the output channels."""
        return -(-self.out[2] // self.width)

    @property
    def tiles(self) -> int:
        """Shares: one panel of one part's sums each."""
        return self.parts * self.panels

    @property
    def work(self) -> float:
        """Operations of the whole call, places outside the image counted too."""
        return 2.0 * self.images * self.out[0] * self.out[1] * self.window[0] * self.window[1] * self.image[2] * self.out[2]

    @property
    def band(self) -> int:
        """Output rows of a band: what they read of image and gradient fits into BAND."""
        line, size = self.image[1] * self.image[2], SIZE[self.precision]
        row = (line * self.stride[0] + self.out[1] * self.width) * size
        return max(1, min(self.out[0], (BAND - (self.window[0] - 1) * line * size) // row))


@dataclass(frozen=True, slots=True)
class Block:
    """A tile of the weight gradient: neighbouring taps of a row of the window x `height` input channels x a panel of output channels.

    At step t it reads the image at column t * pace + base and the gradient at column t - shift for each of its taps' shifts.
    segments: (first step, last step + 1, taps that take part), for the steps in order: near the edges some taps lie outside the image.
    """

    pace: int
    base: int
    shifts: tuple[int, ...]
    segments: tuple[tuple[int, int, tuple[int, ...]], ...]


def blocks(p: WeightGradient) -> list[tuple[int, Block]]:
    """(first tap, tile) for the groups of taps of a row of the window."""
    count = p.window[1]
    parts = -(-count // p.shape[0])
    limits = [count * n // parts for n in range(parts + 1)]
    return [(a, _block(p, range(a, b))) for a, b in pairwise(limits)]


def _block(p: WeightGradient, taps: range) -> Block:
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


class WeightGradientKernel:
    """Emits `name(image, gradient, result, scratch, begin, end)`: a share is one panel of one part's sums over the part's images.

        for part, panel in begin .. end:
            result[part, :, :, :, panel] = 0
            for n in the part's images, band of output rows:       # a band of image and gradient stays in the first-level cache
                for i in kh, taps of a row of the window, some of the channels C:
                    d[taps, c, panel] = result[part, i, taps, c, panel]            # in registers from here
                    for row of the band that reads the image at i, step along it:
                        for tap that reads inside the image:
                            d[tap, c, :] += image[n, row * stride + i, step, c] * gradient[n, row, step - shift(tap), panel]
                    result[part, i, taps, c, panel] = d

    The sums of a tile run over the positions of a band of rows and are taken up again at the next band; every element is one chain in
    the order of images, rows and columns.  Taps that move by one column share what they read of the image.
    """

    def __init__(self, module: Module, name: str, sizes: WeightGradient) -> None:
        self.module, self.name, self.p = module, name, sizes
        self.size, self.lanes = SIZE[sizes.precision], sizes.lanes
        self.width, self.panels, self.height = sizes.width, sizes.panels, sizes.height(*sizes.shape)
        self.blocks = blocks(sizes)
        self.made: dict[tuple[object, ...], ir.Function] = {}

    def emit(self) -> None:
        """Emits the kernel and its tiles."""
        p = self.p
        (height, width, c), (rows, columns, o) = p.image, p.out
        e = Emitter(self.module, self.name, [POINTER] * 4 + [I64, I64])
        image, gradient, result, _, begin, end = e.arguments
        with e.loop(begin, end) as share:
            part, panel = share // self.panels, share % self.panels
            column = panel * (self.width * self.size)
            d = e.at(result, part * (p.window[0] * p.window[1] * c * o * self.size) + column)
            low, high = part * p.images // p.parts, (part + 1) * p.images // p.parts

            def walk(channels: int) -> None:
                self._clear(e, d, channels)
                with e.loop(low, high) as n, e.loop(0, -(-rows // p.band)) as number:
                    x = e.at(image, n * (height * width * c * self.size))
                    g = e.at(gradient, n * (rows * columns * o * self.size) + column)
                    top = number * p.band
                    bottom = e.smaller(top + p.band, rows)
                    self._band(e, x, g, d, top, bottom, channels)

            when_last(e, panel, self.panels, self.width, o - (self.panels - 1) * self.width, walk)
        e.finish()

    def _clear(self, e: Emitter, d: Value, channels: int) -> None:
        p, s = self.p, Strips(e, self.p.precision, self.lanes)
        valid = lanes_in_use(channels, self.lanes)
        with e.loop(0, p.window[0] * p.window[1] * p.image[2]) as row:
            places = (e.at(d, (row * p.out[2] + v * self.lanes) * self.size) for v in range(len(valid)))
            s.stores([s.zero] * len(valid), places, valid)

    def _band(self, e: Emitter, x: Value, g: Value, d: Value, top: Number, bottom: Number, channels: int) -> None:
        """Adds what the output rows top <= p < bottom give to every place of the window."""
        p = self.p
        (height, width, c), (_, columns, o) = p.image, p.out
        with e.loop(0, p.window[0]) as i:
            shift = i * p.dilation[0] - p.padding[0]  # image row = output row * stride + shift
            first = self._at_least(e, self._above(e, -shift), top)
            last = e.smaller(self._above(e, height - shift), bottom)
            count = last - first
            x_row = e.at(x, (first * p.stride[0] + shift) * (width * c * self.size))
            g_row = e.at(g, first * (columns * o * self.size))
            d_row = e.at(d, i * (p.window[1] * c * o * self.size))
            with e.b.if_then(count > 0):
                for tap, block in self.blocks:
                    if block.segments:
                        self._channels(e, block, x_row, g_row, e.at(d_row, tap * c * o * self.size), count, channels)

    def _above(self, e: Emitter, rows: Number) -> Number:
        """ceil(rows / stride)."""
        stride = self.p.stride[0]
        if stride == 1:
            return rows
        high = self._at_least(e, rows, 0)  # a negative bound is below every row anyway
        return e.number(e.b.udiv(high + (stride - 1), i64(stride)))

    def _at_least(self, e: Emitter, x: Number, y: Value) -> Number:
        return e.where(x < y, y, x)

    def _channels(self, e: Emitter, block: Block, x: Value, g: Value, d: Value, rows: Number, channels: int) -> None:
        """Every run of input channels at a group of taps."""
        c, o = self.p.image[2], self.p.out[2]
        whole, rest = divmod(c, self.height)
        with e.loop(0, whole) as number:
            start = number * (self.height * self.size)
            e.b.call(self._tile(block, self.height, channels), [e.at(x, start), g, e.at(d, start * o), rows])
        if rest:
            last = whole * self.height * self.size
            e.b.call(self._tile(block, rest, channels), [e.at(x, last), g, e.at(d, last * o), rows])

    # -- the tile ------------------------------------------------------------------------------------------------------------------

    def _tile(self, block: Block, height: int, channels: int) -> ir.Function:
        """tile(image, gradient, result, rows): adds the sums over the steps of `rows` rows."""
        key = (block, height, channels)
        if key in self.made:
            return self.made[key]
        p, (_, width, c), (_, columns, o) = self.p, self.p.image, self.p.out
        e = Emitter(self.module, f"{self.name}_tile_{len(self.made)}", [POINTER] * 3 + [I64], internal=True)
        self.made[key] = e.function
        s, valid = Strips(e, p.precision, self.lanes), lanes_in_use(channels, self.lanes)
        x, g, d, rows = e.arguments
        sums = [(tap, m) for tap in range(len(block.shifts)) for m in range(height)]
        places = {(tap, m): [e.at(d, ((tap * c + m) * o + v * self.lanes) * self.size) for v in range(len(valid))] for tap, m in sums}
        cells = {place: s.cells(valid) for place in sums}
        for place in sums:
            cells[place].write(s.loads(places[place], valid))
        with e.loop(0, rows) as row:
            x_row = e.at(x, row * (p.stride[0] * width * c * self.size))
            g_row = e.at(g, row * (columns * o * self.size))
            for first, last, taps in block.segments:
                with e.loop(first, last) as step:
                    x_step = e.at(x_row, (step * block.pace + block.base) * (c * self.size))
                    g_step = e.at(g_row, step * (o * self.size))
                    self._step(s, x_step, {tap: self._gradients(s, g_step, block.shifts[tap], valid) for tap in taps}, height, cells)
        for place in sums:
            s.stores(cells[place], places[place], valid)
        e.finish()
        return e.function

    def _gradients(self, s: Strips, g: Value, shift: int, valid: list[int]) -> list[Value]:
        """The panel of the gradient `shift` columns before g."""
        places = [(v * self.lanes - shift * self.p.out[2]) * self.size for v in range(len(valid))]
        return list(s.loads((s.e.at(g, place) for place in places), valid))

    def _step(self, s: Strips, x: Value, gradients: dict[int, list[Value]], height: int, cells: dict[tuple[int, int], Cells]) -> None:
        """cells[tap, m] += x[m] * gradients[tap] for every channel m and tap."""
        for m in range(height):
            factor = s.e.splat(s.e.load(s.e.at(x, m * self.size), self.p.precision), self.lanes)
            for tap, gradient in gradients.items():
                cells[tap, m].add_product(factor, gradient)
