"""The tile kernel: register-blocked outer products with every size and stride a literal.

C[m, n] = sum over k of A[m, k] B[k, n].  A tile of accumulators stays in registers while k runs; each
element of C is one chain of fused multiply-adds in the order of k, so its bits depend neither on the tiling nor on the number of threads.
"""

# M rows, K summed, N columns; P rows of a tile; lanes of the machine's own vectors
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from llvmlite import ir

from backends.contract import Call
from backends.numpy.emit.emitter import ELEMENT, I64, LINE, POINTER, SIZE, Emitter, Module, Number, Value, vector
from backends.numpy.emit.strips import lanes_in_use
from backends.numpy.kernels.epilogue import Epilogue, apply_epilogue, prefetch
from backends.numpy.kernels.kernel import Sizes
from backends.numpy.kernels.tiling import CHAINS, HEAD, NOTHING, RESIDENT, Packing, share_evenly, when_last, when_not_packed
from backends.numpy.machine.processor import Processor

AHEAD = 4  # rows of B that are asked for before their turn where each is read once, straight from memory
DEPTH = 512  # terms of a sum taken at once: a panel and a tile's rows of that depth lie in the second-level cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Product(Sizes):
    """A product's sizes; a transposed operand lies in memory with its axes exchanged."""

    m: int
    n: int
    k: int
    transpose_a: bool
    transpose_b: bool
    precision: str
    cpu: Processor
    epilogue: Epilogue | None
    goes_on: bool  # its sums begin with what lies where they are stored

    @classmethod
    def of(cls, call: Call, precision: str, cpu: Processor) -> Product:
        """The sizes of `call`."""
        a, b = (buffer.shape for buffer in call.inputs[:2])
        transpose_a, transpose_b = bool(call.attributes.get("transpose_a")), bool(call.attributes.get("transpose_b"))
        k, m = a if transpose_a else reversed(a)
        n, goes_on = b[0] if transpose_b else b[1], call.product is None and len(call.inputs) == 3
        assert not goes_on or call.inputs[2] == replace(call.outputs[0], name=call.inputs[2].name), "sums go on where they are stored"
        return cls(
            m=m, n=n, k=k, transpose_a=transpose_a, transpose_b=transpose_b, precision=precision, cpu=cpu, epilogue=Epilogue.of(call),
            goes_on=goes_on,
        )  # fmt: skip

    @property
    def lanes(self) -> int:
        """Numbers of a vector."""
        return self.cpu.vector_bytes // SIZE[self.precision]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and vectors of a tile, shared out evenly: of the tiles that the registers hold, the one with the fewest loads in all."""
        vectors, cpu = -(-self.n // self.lanes), self.cpu
        shapes = []
        # the sums of a single row may fill the registers: each number of B is used once, straight from memory
        for most in range(1, min(vectors, cpu.registers - 3 if self.m == 1 else cpu.registers // 2 - 1) + 1):
            width = share_evenly(vectors, most)
            rows = 1 if self.m == 1 else share_evenly(self.m, cpu.tile_rows(width))
            loads = -(-self.m // rows) * -(-vectors // width) * (rows + width)
            shapes.append((loads * max(1.0, CHAINS / (rows * width)), rows, width))
        return min(shapes)[1:]

    @property
    def panels(self) -> tuple[int, int]:
        """Columns of a panel, and the number of panels."""
        width = self.shape[1] * self.lanes
        return width, -(-self.n // width)

    @property
    def rows(self) -> tuple[int, int]:
        """Rows of a tile, and the number of tiles down a panel."""
        rows = self.shape[0]
        return rows, -(-self.m // rows)

    @property
    def tiles(self) -> int:
        """Into how many independent parts the work is cut."""
        return self.panels[1] * self.rows[1]

    @property
    def work(self) -> float:
        """A multiplication and an addition for each term of a sum."""
        return 2.0 * self.m * self.n * self.k

    @property
    def packs(self) -> bool:
        """Whether a panel of B is copied together first: needed when it is transposed, and worth it when several tiles share it, because
        rows a power of two apart fall into the same few sets of the cache."""
        return self.transpose_b or (self.panels[1] > 1 and self.rows[1] > 1)

    @property
    def packs_whole(self) -> bool:
        """Whether all of B is copied first, and then each tile's rows of a transposed A, which lie far apart.  Tiles go along a row of
        panels then."""
        whole = self.panels[1] * self.panels[0] * self.k * SIZE[self.precision]
        return self.transpose_a and not self.transpose_b and self.packs and self.k < 2 * DEPTH and whole <= RESIDENT

    @property
    def pitch(self) -> int:
        """Numbers from one packed column of A to the next."""
        return -(-self.rows[0] // self.lanes) * self.lanes

    @property
    def scratch(self) -> int:
        """Room for what is packed, after its head: one panel of B, or all of it and a tile's rows of A."""
        width, count = self.panels
        if self.packs_whole:
            return HEAD + (width * count + self.pitch) * self.k * SIZE[self.precision]
        return HEAD + width * min(self.k, 2 * DEPTH) * SIZE[self.precision] if self.packs else 0

    @property
    def grain(self) -> int:
        """Tiles that a thread takes together: a panel's where it is packed once for each block of a long sum."""
        return self.rows[1] if self.packs and self.k >= 2 * DEPTH else 1


class MatmulKernel:
    """Emits `name(a, b, other inputs, outputs, scratch, begin, end)` for tiles begin <= t < end, counted down each panel.

        for block in blocks of at most DEPTH terms:                        # one, but for a long sum
            for t in range(begin, end):
                panel, row = t // row_count, t % row_count
                left, top = panel * width, row * height
                b[depth, width] = B[block, left:left + width]              # copied together (`packs`), or B where it lies
                c[height, width] = C[top:top + height, left:left + width]  # 0 in the first block, unless it goes on; in registers from here
                for k in block:
                    for r in range(height):
                        c[r, :] += A[top + r, k] * b[k, :]
                C[top:top + height, left:left + width] = c                 # or what the epilogue makes of it

    A long sum is cut into blocks that stay in the cache; a tile takes its sums up again where the block before left them, so the
    order of the additions, and with it every bit, is that of one long chain.
    """

    def __init__(self, module: Module, name: str, product: Product) -> None:
        self.p, self.module, self.name, self.epilogue = product, module, name, product.epilogue
        self.lanes, self.size = product.lanes, SIZE[product.precision]
        self.kind = vector(ELEMENT[product.precision], self.lanes)
        self.width, self.panel_count = product.panels
        self.height, self.row_count = product.rows
        self.packs, self.whole = product.packs, product.packs_whole
        self.a_row, self.a_step = (1, product.m) if product.transpose_a else (product.k, 1)
        if self.whole:
            self.a_step = product.pitch
        # the product itself is stored, for others or to be taken up again
        epilogue = product.epilogue
        self.stores = epilogue is None or epilogue.product in epilogue.body.outputs
        self.others = 1 + product.goes_on if epilogue is None else len(epilogue.dtypes) + len(epilogue.body.outputs)

    def emit(self) -> None:
        """Emits the kernel and its tiles."""
        e = Emitter(self.module, self.name, [POINTER] * (3 + self.others) + [I64, I64])
        depth = DEPTH if self.p.k >= 2 * DEPTH else self.p.k
        whole, rest = divmod(self.p.k, depth)
        if self.whole:
            self._along_rows(e)
        else:
            final = whole if rest else whole - 1  # the last block, which an epilogue may follow
            self._block(e, e.number(0), depth, first=not self.p.goes_on, last=final == 0)
            if final > 1:
                with e.loop(1, final) as block:
                    self._block(e, block * depth, depth, first=False, last=False)
            if final:
                self._block(e, e.number(final * depth), rest or depth, first=False, last=True)
        e.finish()

    # -- the walk over the tiles ---------------------------------------------------------------------------------------------------

    def _block(self, e: Emitter, start: Number, depth: int, *, first: bool, last: bool) -> None:
        """All tiles, for `depth` terms of the sums from number `start`."""
        a, b, *others, scratch, begin, end = e.arguments
        a = e.at(a, start * (self.a_step * self.size))
        b = e.at(b, start * ((1 if self.p.transpose_b else self.p.n) * self.size))
        with e.loop(begin, end) as tile:
            panel, row = tile // self.row_count, tile % self.row_count
            left, top = panel * self.width, row * self.height
            a_tile = e.at(a, top * (self.a_row * self.size))
            b_tile = e.at(scratch, HEAD) if self.packs else e.at(b, left * self.size)
            if self.packs:
                with when_not_packed(e, scratch, start * self.panel_count + panel):
                    self._when_panel(e, panel, lambda columns: self._pack_panel(e, b, b_tile, left, columns, depth))
            self._call_tiles(e, a_tile, b_tile, others, row, panel, top, left, depth, first=first, last=last)

    def _along_rows(self, e: Emitter) -> None:
        """All tiles, row of tiles after row: B is packed at once, and the rows of A when a new row of tiles begins."""
        depth = self.p.k
        a, b, *others, scratch, begin, end = e.arguments
        panel_bytes = self.width * depth * self.size
        panels = e.at(scratch, HEAD)
        rows_of_a = e.at(panels, self.panel_count * panel_bytes)
        with e.b.if_then(e.load_number(scratch) == NOTHING), e.loop(0, self.panel_count) as panel:
            left = panel * self.width
            self._when_panel(e, panel, lambda columns: self._pack_panel(e, b, e.at(panels, panel * panel_bytes), left, columns, depth))
        with e.loop(begin, end) as tile:
            row, panel = tile // self.panel_count, tile % self.panel_count
            top, left = row * self.height, panel * self.width
            with when_not_packed(e, scratch, row):
                self._when_row(e, row, lambda rows: self._pack_rows(e, e.at(a, top * self.size), rows_of_a, rows))
            b_tile = e.at(panels, panel * panel_bytes)
            self._call_tiles(e, rows_of_a, b_tile, others, row, panel, top, left, depth, first=not self.p.goes_on, last=True)

    def _when_panel(self, e: Emitter, panel: Number, emit: Callable[[int], None]) -> None:
        """emit(columns) for the panels of the usual width, and for the last."""
        when_last(e, panel, self.panel_count, self.width, self.p.n - (self.panel_count - 1) * self.width, emit)

    def _when_row(self, e: Emitter, row: Number, emit: Callable[[int], None]) -> None:
        """emit(rows) for the tiles of the usual height, and for the lowest."""
        when_last(e, row, self.row_count, self.height, self.p.m - (self.row_count - 1) * self.height, emit)

    # -- copies --------------------------------------------------------------------------------------------------------------------

    def _pack_panel(self, e: Emitter, b: Value, target: Value, left: Number, columns: int, depth: int) -> None:
        """Copies a panel of B together -> [depth, width]."""
        p = self.p
        pitch, step = (p.k, p.k) if p.transpose_b else (p.n, 1)
        packing = Packing(
            depth=depth, columns=columns, source_pitch=pitch, pitch=self.width, transposed=p.transpose_b, precision=p.precision,
            lanes=self.lanes,
        )  # fmt: skip
        function = packing.emit(self.module, f"{self.name}_pack_{columns}_{depth}")
        e.b.call(function, [e.at(b, left * (step * self.size)), target])

    def _pack_rows(self, e: Emitter, source: Value, target: Value, rows: int) -> None:
        """Copies `rows` neighbouring columns of the transposed A [K, M] together -> [K, pitch]."""
        p = self.p
        packing = Packing(
            depth=p.k, columns=rows, source_pitch=p.m, pitch=self.a_step, transposed=False, precision=p.precision, lanes=self.lanes
        )
        e.b.call(packing.emit(self.module, f"{self.name}_pack_rows_{rows}"), [source, target])

    # -- the tile ------------------------------------------------------------------------------------------------------------------

    def _call_tiles(
        self, e: Emitter, a: Value, b: Value, others: list[Value], row: Number, panel: Number, top: Number, left: Number, depth: int, *,
        first: bool, last: bool,
    ) -> None:  # fmt: skip
        """Calls the form of the tile that its size and its block ask for; a form is emitted when it is first called."""
        ends = last and self.epilogue is not None  # without an epilogue the last block is like the ones before it

        def call(rows: int, columns: int) -> None:
            name = f"{self.name}_tile_{rows}_{columns}_{depth}_{'first' if first else 'next'}{'_last' if ends else ''}"
            if name not in self.module.globals:
                self._tile(name, rows, columns, depth, first, ends)
            e.b.call(self.module.globals[name], [a, b, *others, top, left])

        self._when_panel(e, panel, lambda columns: self._when_row(e, row, lambda rows: call(rows, columns)))

    def _tile(self, name: str, rows: int, columns: int, depth: int, first: bool, ends: bool) -> None:
        """tile(a, b, others, top, left): c[r, :] += a[r, k] * b[k, :] for k < depth, r < rows; vectors run along the columns."""
        p, size, lanes = self.p, self.size, self.lanes
        e = Emitter(self.module, name, [POINTER] * (2 + self.others) + [I64, I64], internal=True)
        a, b, *others, top, left = e.arguments
        valid = lanes_in_use(columns, lanes)
        b_step = self.width if self.packs else p.n
        if self.stores:
            product = others[-1 if self.epilogue is None else len(self.epilogue.dtypes)]
            corner = e.at(product, (top * p.n + left) * size)
            places = [[e.at(corner, (r * p.n + v * lanes) * size) for v in range(len(valid))] for r in range(rows)]
        if ends and self.epilogue is not None:
            prefetch(e, self.epilogue, others, p.n, top, left, rows, columns)
        if first:
            c = [[ir.Constant(self.kind, None) for _ in valid] for _ in range(rows)]
        else:
            c = [[e.load_vector(q, p.precision, lanes=lanes, valid=n) for q, n in zip(line, valid, strict=True)] for line in places]
        with e.repeat(depth, (a, self.a_step * size), (b, b_step * size)) as turn:
            a_k, b_k = turn.pointers
            c = [[turn.carry(c_rv) for c_rv in line] for line in c]
            # what is packed is whole vectors; of B where it lies only what is there may be read
            read = [lanes if self.packs else n for n in valid]
            b_kv = [e.load_vector(e.at(b_k, v * lanes * size), p.precision, lanes=lanes, valid=n) for v, n in enumerate(read)]
            if not self.packs and self.row_count == 1:
                for place in range(0, columns * size, LINE):
                    e.prefetch(e.at(b_k, AHEAD * b_step * size + place))
            for r in range(rows):
                a_rk = e.splat(e.load(e.at(a_k, r * self.a_row * size), p.precision), lanes)
                c[r] = [turn.next(c_rv, e.fma(a_rk, b_v, c_rv)) for c_rv, b_v in zip(c[r], b_kv, strict=True)]
        if ends and self.epilogue is not None:
            apply_epilogue(e, self.epilogue, c, others, p.precision, lanes, p.n, top, left, valid)
        else:
            for line, line_places in zip(c, places, strict=True):
                for c_rv, q, n in zip(line, line_places, valid, strict=True):
                    e.store_vector(c_rv, q, p.precision, lanes=lanes, valid=n)
        e.finish()
