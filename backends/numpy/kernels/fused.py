"""Kernels of fused bodies: element-wise chains with their reductions, one pass over memory for each stage.

A full-size value is ready in the stage after the last reduction that it waits for.  Each stage is one sweep over the rows (or columns)
that keeps its values in registers; what an earlier stage made is made again unless it was stored and is dear.
The work is cut into tiles whose number depends on the shape alone, so results do not depend on the number of threads.
"""

# R rows, C columns; a strip is up to 4 vectors of 16 lanes
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from llvmlite import ir

from backends.contract import Body, Call, Instruction
from backends.numpy.emit import philox
from backends.numpy.emit.elementwise import RULES, cast
from backends.numpy.emit.emitter import ELEMENT, I32, I64, POINTER, Emitter, Module, Value, i64, vector
from backends.numpy.kernels.kernel import Sizes, anonymous
from backends.numpy.machine.processor import LANES, Processor

STRIP = 4 * LANES
FLAT_TILE = 64 * STRIP  # elements of one tile of a flat body
ROW_TILE = 8  # rows of one tile
DEAR = frozenset({"exp", "expm1", "log", "log1p", "tanh", "sigmoid", "erf", "uniform", "sqrt", "div"})


@dataclass
class Strip:
    """Where a run of vectors lies: element offset `full` of its first lane in a full-size array, `column` in a column array."""

    valid: list[int]  # lanes in use, for each vector
    full: Value = None
    column: Value = None
    row: Value = None
    columns: dict[str, list[Value]] = field(default_factory=dict)
    values: dict[str, list[Value]] = field(default_factory=dict)
    rows: dict[str, Value] = field(default_factory=dict)


def strip_of(count: int) -> list[int]:
    """Lanes in use of the vectors that cover `count` elements (at most a strip)."""
    return [min(LANES, count - start) for start in range(0, count, LANES)]


def paths(body: Body) -> tuple[int, ...]:
    """The layer paths of the body's random numbers: arguments of the kernel, so that layers of equal shape share it."""
    return tuple(i.attributes["path"] for i in body.instructions if i.op == "uniform")


@dataclass(frozen=True, kw_only=True)
class Fused(Sizes):
    """A body with the types of its inputs.

    replacing: the outputs that lie where an input lies, of a body of several passes; in one pass each number is read before it is replaced
    """

    body: Body
    dtypes: tuple[str, ...]
    replacing: tuple[int, ...]

    @classmethod
    def of(cls, call: Call, precision: str, cpu: Processor) -> Fused:
        """The body of `call`."""
        assert call.body is not None
        body, read = anonymous(call.body), {(b.region, b.offset) for b in call.inputs if b.region in ("state", "work")}
        places = [n for n, b in enumerate(call.outputs) if (b.region, b.offset) in read and b.count == body.rows * body.columns]
        passes = body.kind != "flat" and any("axes" in i.attributes for i in body.instructions)
        return cls(body=body, dtypes=tuple(b.dtype for b in call.inputs), replacing=tuple(places) if passes else ())

    @property
    def tiles(self) -> int:
        """Into how many independent parts the work is cut."""
        body = self.body
        if body.kind == "flat":
            return 1 if any("axes" in i.attributes for i in body.instructions) else -(-body.columns // FLAT_TILE)
        if not self.by_columns:
            return -(-body.rows // ROW_TILE)
        return body.blocks if body.blocks > 1 else -(-body.columns // self.block)

    @property
    def work(self) -> float:
        """Every instruction counts as one operation a number."""
        return float(self.body.rows * self.body.columns * len(self.body.instructions))

    @property
    def by_columns(self) -> bool:
        """Whether tiles are blocks of columns: needed where a column result is made."""
        made = any(i.level == "column" and i.op not in ("column_index", "spread") for i in self.body.instructions)
        return self.body.kind == "column" and made

    @property
    def block(self) -> int:
        """Columns of a tile: whole strips, narrower where there are too few strips to share out."""
        if self.body.columns >= 4 * STRIP or paths(self.body) or self.body.rows < 16:
            return STRIP
        return LANES


class FusedKernel:
    """Emits `name(input pointers, output pointers, paths, scratch, begin, end)` for tiles begin <= t < end."""

    def __init__(self, module: Module, name: str, sizes: Fused) -> None:
        self.sizes, self.body = sizes, sizes.body
        body = sizes.body
        # outputs that replace an input in place: stored in the last stage, for until then that input may be read again
        self.replacing = frozenset(body.outputs[n] for n in sizes.replacing)
        count = len(body.inputs) + len(body.outputs)
        self.e = Emitter(module, name, [POINTER] * count + [I32] * len(paths(body)) + [POINTER, I64, I64])
        arguments = list(self.e.arguments)
        self.pointer = dict(zip([n for n, _ in body.inputs], arguments, strict=False))
        self.output = dict(zip(body.outputs, arguments[len(body.inputs) :], strict=False))
        self.dtype = dict(zip([n for n, _ in body.inputs], sizes.dtypes, strict=False))
        self.path = dict(zip([i.name for i in body.instructions if i.op == "uniform"], arguments[count:], strict=False))
        self.begin, self.end = arguments[-2:]
        self.level = dict(body.inputs) | {i.name: i.level for i in body.instructions}
        self.instruction = {i.name: i for i in body.instructions}
        self.dtype |= {i.name: i.dtype for i in body.instructions}
        self.ready = self._ready()
        self.stages = max([*self.ready.values(), 0]) + 1
        self.scalars: dict[str, Value] = {}

    # -- the three kinds -------------------------------------------------------------------------------------------------------

    def emit(self) -> None:
        """Emits the whole kernel."""
        self._scalar_instructions(0)
        if self.body.kind == "flat":
            self._flat()
        elif not self.sizes.by_columns:
            self._rows()
        else:
            self._columns()
        with self.e.b.if_then(self.e.b.icmp_signed("==", self.begin, i64(0))):
            self._thin_outputs()
        self.e.finish()

    def _thin_outputs(self) -> None:
        """Stores what does not follow the tiles: scalars, columns of a row body, rows of a column body.  The first tile's task."""
        e, body = self.e, self.body
        by_level = {level: [n for n in body.outputs if self.level[n] == level] for level in ("scalar", "column", "row")}
        for name in by_level["scalar"]:
            e.store(self.scalars[name], self.output[name], self.dtype[name])
        by_columns = self.sizes.by_columns
        if by_level["column"] and not by_columns:
            whole, rest = divmod(body.columns, STRIP)
            with e.loop(0, whole) as index:
                self._store_columns(by_level["column"], e.b.mul(index, i64(STRIP)), strip_of(STRIP))
            if rest:
                self._store_columns(by_level["column"], i64(whole * STRIP), strip_of(rest))
        if by_level["row"] and by_columns:
            with e.loop(0, body.rows) as row:
                strip = Strip([], row=row)
                for name in by_level["row"]:
                    e.store(self._row_value(name, strip), e.at(self.output[name], row, self.dtype[name]), self.dtype[name])

    def _store_columns(self, names: list[str], start: Value, valid: list[int]) -> None:
        strip = Strip(valid, column=start)
        for name in names:
            self._store(name, self._vectors(name, strip, 0), start, strip)

    def _flat(self) -> None:
        body, e = self.body, self.e
        whole, rest = divmod(body.columns, STRIP)
        sums = self._reductions(0)
        accumulators = {i.name: self._accumulator(i, 1) for i in sums}
        per_tile = FLAT_TILE // STRIP
        start, stop = (i64(0), i64(whole)) if sums else (e.b.mul(self.begin, i64(per_tile)), e.b.mul(self.end, i64(per_tile)))
        with e.loop(start, e.smaller(stop, i64(whole))) as index:
            strip = Strip(strip_of(STRIP), full=e.b.mul(index, i64(STRIP)))
            self._sweep(strip, 0, accumulators)
        if rest:
            last = e.b.icmp_signed("==", self.end, i64(self.sizes.tiles))
            with e.b.if_then(last):
                self._sweep(Strip(strip_of(rest), full=i64(whole * STRIP)), 0, accumulators)
        for i in sums:
            self.scalars[i.name] = self._folded(i, accumulators[i.name])
        self._scalar_instructions(1)

    def _rows(self) -> None:
        body, e = self.body, self.e
        stop = e.smaller(e.b.mul(self.end, i64(ROW_TILE)), i64(body.rows))
        with e.loop(e.b.mul(self.begin, i64(ROW_TILE)), stop) as row:
            origin = e.b.mul(row, i64(body.columns))
            rows: dict[str, Value] = {}
            kept = Strip(strip_of(body.columns), full=origin, column=i64(0), row=row, rows=rows) if body.columns <= STRIP else None
            self._row_instructions(rows, row, 0)
            for stage in range(self.stages):
                sums = self._reductions(stage)
                accumulators = {i.name: self._accumulator(i, 1) for i in sums}
                if kept:
                    self._sweep(kept, stage, accumulators)
                else:
                    self._sweep_strips(origin, row, rows, stage, accumulators)
                rows.update({i.name: self._folded(i, accumulators[i.name]) for i in sums})
                self._row_instructions(rows, row, stage + 1)
            for name in body.outputs:
                if self.level[name] == "row":
                    e.store(rows[name], e.at(self.output[name], row, self.dtype[name]), self.dtype[name])

    def _sweep_strips(self, origin: Value, row: Value, rows: dict[str, Value], stage: int, accumulators: dict[str, list[Value]]) -> None:
        e, columns = self.e, self.body.columns
        if not accumulators and not self._stores(stage):
            return
        whole, rest = divmod(columns, STRIP)
        with e.loop(0, whole) as index:
            start = e.b.mul(index, i64(STRIP))
            self._sweep(Strip(strip_of(STRIP), full=e.b.add(origin, start), column=start, row=row, rows=rows), stage, accumulators)
        if rest:
            start = i64(whole * STRIP)
            self._sweep(Strip(strip_of(rest), full=e.b.add(origin, start), column=start, row=row, rows=rows), stage, accumulators)

    def _columns(self) -> None:
        body, e = self.body, self.e
        if body.blocks > 1:
            return self._row_blocks()
        block = self.sizes.block
        whole, rest = divmod(body.columns, block)
        rows = i64(0), i64(body.rows)
        with e.loop(self.begin, e.smaller(self.end, i64(whole))) as index:
            self._column_block(e.b.mul(index, i64(block)), strip_of(block), rows, i64(0))
        if rest:
            with e.b.if_then(e.b.icmp_signed("==", self.end, i64(whole + 1))):
                self._column_block(i64(whole * block), strip_of(rest), rows, i64(0))
        return None

    def _row_blocks(self) -> None:
        """A tile is a block of rows: every column's sum over it."""
        body, e = self.body, self.e
        whole, rest = divmod(body.columns, STRIP)
        with e.loop(self.begin, self.end) as block:
            rows = tuple(e.b.sdiv(e.b.mul(number, i64(body.rows)), i64(body.blocks)) for number in (block, e.b.add(block, i64(1))))
            shift = e.b.mul(block, i64(body.columns))
            with e.loop(0, whole) as index:
                self._column_block(e.b.mul(index, i64(STRIP)), strip_of(STRIP), rows, shift)
            if rest:
                self._column_block(i64(whole * STRIP), strip_of(rest), rows, shift)

    def _column_block(self, start: Value, valid: list[int], rows: tuple[Value, ...], shift: Value) -> None:
        """The columns from `start`, summed over `rows` (first, last + 1); their results lie `shift` elements further on."""
        e, body = self.e, self.body
        fixed = Strip(valid, column=start)
        for name, level in body.inputs:
            if level == "column":
                fixed.columns[name] = self._load(name, start, fixed)
        self._column_instructions(fixed, 0)
        for stage in range(self.stages):
            sums = self._reductions(stage)
            if sums or self._stores(stage):
                accumulators = {i.name: self._accumulator(i, len(valid)) for i in sums}
                with e.loop(*rows) as row:
                    offset = e.b.add(e.b.mul(row, i64(body.columns)), start)
                    strip = Strip(valid, full=offset, column=start, row=row, columns=dict(fixed.columns))
                    self._sweep(strip, stage, accumulators)
                for i in sums:
                    fixed.columns[i.name] = [e.b.load(a, typ=vector(ELEMENT[i.dtype])) for a in accumulators[i.name]]
            self._column_instructions(fixed, stage + 1)
        for name in body.outputs:
            if self.level[name] == "column":
                self._store(name, fixed.columns[name], e.b.add(start, shift), fixed)

    # -- one strip ---------------------------------------------------------------------------------------------------------------

    def _sweep(self, strip: Strip, stage: int, accumulators: dict[str, list[Value]]) -> None:
        """Adds the strip to the reductions of `stage` and stores what is ready in it."""
        e = self.e
        for name, cells in accumulators.items():
            i = self.instruction[name]
            parts = self._vectors(i.operands[0], strip, stage)
            across = len(cells) == 1 and i.level != "column"
            for number, part in enumerate(parts):
                if across and strip.valid[number] < LANES:
                    part = e.b.select(e.mask(strip.valid[number]), part, e.literal(self._neutral(i), part.type))
                cell = cells[0 if across else number]
                e.b.store(self._combine(i)(e.b.load(cell, typ=part.type), part), cell)
        stores = self._stores(stage)
        if self.replacing.intersection(stores):
            for name in stores:  # all that is read is read before anything is replaced
                self._vectors(name, strip, stage)
        for name in stores:
            self._store(name, self._vectors(name, strip, stage), strip.full, strip)

    def _vectors(self, name: str, strip: Strip, stage: int) -> list[Value]:
        """The vectors of `name` on the strip."""
        level = self.level[name]
        if level == "scalar":
            return [self.e.splat(self.scalars[name])] * len(strip.valid)
        if level == "row":
            return [self.e.splat(self._row_value(name, strip))] * len(strip.valid)
        cache = strip.columns if level == "column" else strip.values
        if name not in cache:
            cache[name] = self._made(name, strip, stage)
        return cache[name]

    def _made(self, name: str, strip: Strip, stage: int) -> list[Value]:
        level = self.level[name]
        offset = strip.column if level == "column" else strip.full
        if name in self.pointer:
            return self._load(name, offset, strip)
        i = self.instruction[name]
        if level == "full" and i.op in DEAR and name in self.output and name not in self.replacing and self.ready[name] < stage:
            return self._load(name, offset, strip)
        if i.op == "uniform":
            return self._uniform(i, strip)
        if i.op == "column_index":
            lanes = ir.Constant(vector(I32), list(range(LANES)))
            first = self.e.b.trunc(strip.column if strip.column is not None else strip.full, I32)
            return [self.e.b.add(self.e.splat(self.e.b.add(first, ir.Constant(I32, LANES * n))), lanes) for n in range(len(strip.valid))]
        operands = [self._vectors(o, strip, stage) for o in i.operands]
        return [self._apply(i, [o[n] for o in operands]) for n in range(len(strip.valid))]

    def _uniform(self, i: Instruction, strip: Strip) -> list[Value]:
        e = self.e
        block = e.b.lshr(strip.full, i64(6))
        seed, low, high = (self.scalars[o] for o in i.operands)
        words = philox.words(e, block, self.path[i.name], low, high, seed, i.attributes["stream"])
        return [philox.uniform(e, word, vector(ELEMENT[i.dtype])) for word in words[: len(strip.valid)]]

    def _apply(self, i: Instruction, operands: list[Value]) -> Value:
        if i.op == "cast":
            return cast(self.e, operands[0], i.dtype)
        return RULES[i.op](self.e, *operands)

    def _load(self, name: str, offset: Value, strip: Strip) -> list[Value]:
        pointer = self.pointer.get(name) or self.output[name]
        dtype = self.dtype[name]
        return [
            self.e.load_vector(self.e.at(pointer, self.e.b.add(offset, i64(LANES * n)), dtype), dtype, valid=valid)
            for n, valid in enumerate(strip.valid)
        ]

    def _store(self, name: str, vectors: list[Value], offset: Value, strip: Strip) -> None:
        dtype = self.dtype[name]
        for n, (value, valid) in enumerate(zip(vectors, strip.valid, strict=True)):
            address = self.e.at(self.output[name], self.e.b.add(offset, i64(LANES * n)), dtype)
            self.e.store_vector(value, address, dtype, valid=valid)

    # -- values of other levels --------------------------------------------------------------------------------------------------

    def _scalar_instructions(self, ready: int) -> None:
        for name, level in self.body.inputs:
            if level == "scalar" and name not in self.scalars:
                self.scalars[name] = self.e.load(self.pointer[name], self.dtype[name])
        for i in self.body.instructions:
            if i.level == "scalar" and i.name not in self.scalars and self.ready[i.name] <= ready:
                self.scalars[i.name] = self._scalar(i, self.scalars)

    def _scalar(self, i: Instruction, known: dict[str, Value]) -> Value:
        if i.op == "constant":
            return ir.Constant(ELEMENT[i.dtype], i.attributes["value"])
        if i.op == "column_index":
            return ir.Constant(I32, 0)
        return self._apply(i, [known[o] if o in known else self.scalars[o] for o in i.operands])

    def _row_value(self, name: str, strip: Strip) -> Value:
        if name not in strip.rows and name in self.pointer:
            dtype = self.dtype[name]
            strip.rows[name] = self.e.load(self.e.at(self.pointer[name], strip.row, dtype), dtype)
        elif name not in strip.rows:
            i = self.instruction[name]
            strip.rows[name] = self._apply(i, [self.scalars[o] if o in self.scalars else self._row_value(o, strip) for o in i.operands])
        return strip.rows[name]

    def _row_instructions(self, rows: dict[str, Value], row: Value, ready: int) -> None:
        if ready == 0:
            for name, level in self.body.inputs:
                if level == "row":
                    rows[name] = self.e.load(self.e.at(self.pointer[name], row, self.dtype[name]), self.dtype[name])
        for i in self.body.instructions:
            if i.level == "row" and "axes" not in i.attributes and i.name not in rows and self.ready[i.name] <= ready:
                rows[i.name] = self._scalar(i, rows)

    def _column_instructions(self, strip: Strip, ready: int) -> None:
        for i in self.body.instructions:
            if i.level == "column" and "axes" not in i.attributes and i.name not in strip.columns and self.ready[i.name] <= ready:
                self._vectors(i.name, strip, ready)

    # -- reductions and stages ---------------------------------------------------------------------------------------------------

    def _ready(self) -> dict[str, int]:
        ready = {name: 0 for name, _ in self.body.inputs}
        for i in self.body.instructions:
            latest = max([ready[o] for o in i.operands], default=0)
            ready[i.name] = latest + ("axes" in i.attributes)
        return ready

    def _reductions(self, stage: int) -> list[Instruction]:
        return [i for i in self.body.instructions if "axes" in i.attributes and self.ready[i.name] == stage + 1]

    def _stores(self, stage: int) -> list[str]:
        full = [n for n in self.body.outputs if self.level[n] == "full"]
        return [n for n in full if (self.stages - 1 if n in self.replacing else self.ready[n]) == stage]

    def _neutral(self, i: Instruction) -> float:
        return 0.0 if i.op == "sum" else float("-inf")

    def _combine(self, i: Instruction) -> Callable[[Value, Value], Value]:
        return self.e.b.fadd if i.op == "sum" else lambda x, y: RULES["maximum"](self.e, x, y)

    def _accumulator(self, i: Instruction, count: int) -> list[Value]:
        kind = vector(ELEMENT[i.dtype])
        with self.e.b.goto_entry_block():
            cells = [self.e.b.alloca(kind) for _ in range(count)]
        for cell in cells:
            self.e.b.store(self.e.literal(self._neutral(i), kind), cell)
        return cells

    def _folded(self, i: Instruction, cells: list[Value]) -> Value:
        value = self.e.b.load(cells[0], typ=vector(ELEMENT[i.dtype]))
        return self.e.fold_lanes(value, self._combine(i))
