"""Kernels of fused bodies: element-wise chains with their reductions, one pass over memory for each stage.

A full-size value is ready in the stage after the last reduction that it waits for.  Each stage is one sweep over the rows (or columns)
that keeps its values in registers; what an earlier stage made is made again unless it was stored and is dear.
The work is cut into tiles whose number depends on the shape alone, so results do not depend on the number of threads.
"""

# R rows, C columns; a strip is up to 4 vectors of 16 lanes
from __future__ import annotations

from dataclasses import dataclass

from backends.contract import RUN, Body, Call
from backends.numpy.emit.emitter import I32, I64, POINTER, Emitter, Module, Number, Value
from backends.numpy.emit.strips import lanes_in_use
from backends.numpy.kernels.body import BodyValues, Reduction, Strip
from backends.numpy.kernels.kernel import Sizes, anonymous
from backends.numpy.machine.processor import LANES, Processor

STRIP = 4 * LANES
FLAT_TILE = RUN  # elements of one tile of a flat body: whole strips
ROW_TILE = 8  # rows of one tile


def paths(body: Body) -> tuple[int, ...]:
    """The layer paths of the body's random numbers: arguments of the kernel, so that layers of equal shape share it."""
    return tuple(i.attributes["path"] for i in body.instructions if i.draws)


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
        passes = body.kind != "flat" and bool(body.reductions)
        return cls(body=body, dtypes=tuple(b.dtype for b in call.inputs), replacing=tuple(places) if passes else ())

    @property
    def tiles(self) -> int:
        """Into how many independent parts the work is cut."""
        body = self.body
        if body.kind == "flat":
            return 1 if body.reductions and body.blocks == 1 else -(-body.columns // FLAT_TILE)
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
    """Emits `name(input pointers, output pointers, paths, scratch, begin, end)` for tiles begin <= t < end.

        flat:    for strip in C:                               row:    for r in R:
                     v[strip] = f(inputs[strip])                           for stage in stages:
                     sums += v[strip]                                          for strip in C:
                     outputs[strip] = v[strip]                                     v[r, strip] = f(inputs[r, strip], rows)
                                                                                   sums += v[r, strip]
        column:  for block of columns in C:                                        outputs[r, strip] = v[r, strip]
                     for stage in stages:                                      rows = fold(sums)
                         for r in R:
                             v[r, block] = f(inputs[r, block], columns)
                             sums[block] += v[r, block]
                             outputs[r, block] = v[r, block]
                         columns = sums[block]

    A reduction of a row needs all of the row, so a row body keeps a row of at most one strip in registers from stage to stage, and
    sweeps a longer one again in each.  A reduction down the columns keeps a block of sums in registers while all rows go by.
    """

    def __init__(self, module: Module, name: str, sizes: Fused) -> None:
        body = self.body = sizes.body
        self.sizes = sizes
        # outputs that replace an input in place: stored in the last stage, for until then that input may be read again
        self.replacing = frozenset(body.outputs[n] for n in sizes.replacing)
        kinds = [POINTER] * (len(body.inputs) + len(body.outputs)) + [I32] * len(paths(body)) + [POINTER, I64, I64]
        self.e = Emitter(module, name, kinds)
        *arguments, _, self.begin, self.end = self.e.arguments
        self.values = BodyValues(self.e, body, sizes.dtypes, arguments, self.replacing)
        self.last = max(body.stages.values(), default=0)

    def emit(self) -> None:
        """Emits the whole kernel."""
        self.values.scalar_instructions(0)
        if self.body.kind == "flat":
            self._runs() if self.body.blocks > 1 else self._flat()
        elif not self.sizes.by_columns:
            self._rows()
        elif self.body.blocks > 1:
            self._row_blocks()
        else:
            self._columns()
        with self.e.b.if_then(self.begin == 0):
            self._thin_outputs()
        self.e.finish()

    # -- the kinds ---------------------------------------------------------------------------------------------------------------

    def _flat(self) -> None:
        """Tiles are runs of strips; a sum over all of them is a single tile."""
        e = self.e
        whole, rest = divmod(self.body.columns, STRIP)
        sums = self._reductions(0)
        per_tile = FLAT_TILE // STRIP
        start, stop = (e.number(0), e.number(whole)) if sums else (self.begin * per_tile, self.end * per_tile)
        with e.loop(start, e.smaller(stop, whole)) as index:
            self._sweep(Strip(lanes_in_use(STRIP), full=index * STRIP), 0, sums)
        if rest:
            with e.b.if_then(self.end == self.sizes.tiles):
                self._sweep(Strip(lanes_in_use(rest), full=e.number(whole * STRIP)), 0, sums)
        for name, reduction in sums.items():
            self.values.scalars[name] = reduction.folded()
        self.values.scalar_instructions(1)

    def _runs(self) -> None:
        """A tile is a run of RUN numbers: what is made of each, and their sums."""
        e, values = self.e, self.values
        whole, rest = divmod(self.body.columns, STRIP)
        per_tile = FLAT_TILE // STRIP
        with e.loop(self.begin, self.end) as tile:
            sums = self._reductions(0)
            with e.loop(tile * per_tile, e.smaller((tile + 1) * per_tile, whole)) as index:
                self._sweep(Strip(lanes_in_use(STRIP), full=index * STRIP), 0, sums)
            if rest:
                with e.b.if_then(tile == self.sizes.tiles - 1):
                    self._sweep(Strip(lanes_in_use(rest), full=e.number(whole * STRIP)), 0, sums)
            for name, reduction in sums.items():
                values.store_one(name, reduction.folded(), tile)

    def _rows(self) -> None:
        """Tiles are runs of rows, and each row goes through all stages before the next begins."""
        body, e = self.body, self.e
        stop = e.smaller(self.end * ROW_TILE, body.rows)
        with e.loop(self.begin * ROW_TILE, stop) as row:
            origin = row * body.columns
            rows: dict[str, Value] = {}
            # a row of one strip keeps its values from stage to stage
            kept = Strip(lanes_in_use(body.columns), full=origin, column=e.number(0), row=row, rows=rows) if body.columns <= STRIP else None
            self.values.row_instructions(rows, row, 0)
            for stage in range(self.last + 1):
                sums = self._reductions(stage)
                if kept:
                    self._sweep(kept, stage, sums)
                elif sums or self._stores(stage):
                    self._sweep_row(origin, row, rows, stage, sums)
                rows.update({name: reduction.folded() for name, reduction in sums.items()})
                self.values.row_instructions(rows, row, stage + 1)
            for name in self._outputs("row"):
                self.values.store_one(name, rows[name], row)

    def _sweep_row(self, origin: Number, row: Number, rows: dict[str, Value], stage: int, sums: dict[str, Reduction]) -> None:
        e = self.e
        whole, rest = divmod(self.body.columns, STRIP)
        with e.loop(0, whole) as index:
            start = index * STRIP
            self._sweep(Strip(lanes_in_use(STRIP), full=origin + start, column=start, row=row, rows=rows), stage, sums)
        if rest:
            start = e.number(whole * STRIP)
            self._sweep(Strip(lanes_in_use(rest), full=origin + start, column=start, row=row, rows=rows), stage, sums)

    def _columns(self) -> None:
        """A tile is a block of columns, over all rows."""
        body, e, block = self.body, self.e, self.sizes.block
        whole, rest = divmod(body.columns, block)
        with e.loop(self.begin, e.smaller(self.end, whole)) as index:
            self._column_block(index * block, lanes_in_use(block), (0, body.rows), 0)
        if rest:
            with e.b.if_then(self.end == whole + 1):
                self._column_block(e.number(whole * block), lanes_in_use(rest), (0, body.rows), 0)

    def _row_blocks(self) -> None:
        """A tile is a block of rows: every column's sum over it."""
        body, e = self.body, self.e
        whole, rest = divmod(body.columns, STRIP)
        with e.loop(self.begin, self.end) as block:
            first, last = (number * body.rows // body.blocks for number in (block, block + 1))
            shift = block * body.columns
            with e.loop(0, whole) as index:
                self._column_block(index * STRIP, lanes_in_use(STRIP), (first, last), shift)
            if rest:
                self._column_block(e.number(whole * STRIP), lanes_in_use(rest), (first, last), shift)

    def _column_block(self, start: Number, valid: list[int], rows: tuple[Value, Value], shift: Value) -> None:
        """The columns from `start`, summed over `rows` (first, last + 1); their results lie `shift` elements further on."""
        body, values = self.body, self.values
        fixed = Strip(valid, column=start)
        for name, level in body.inputs:
            if level == "column":
                fixed.columns[name] = values.load(name, start, fixed)
        values.column_instructions(fixed, 0)
        for stage in range(self.last + 1):
            sums = self._reductions(stage, len(valid))
            for reduction in sums.values():
                reduction.begin(values, fixed)
            if sums or self._stores(stage):
                with self.e.loop(*rows) as row:
                    offset = row * body.columns + start
                    self._sweep(Strip(valid, full=offset, column=start, row=row, columns=dict(fixed.columns)), stage, sums)
                for name, reduction in sums.items():
                    fixed.columns[name] = list(reduction.cells)
            values.column_instructions(fixed, stage + 1)
        for name in self._outputs("column"):
            values.store(name, fixed.columns[name], start + shift, fixed)

    def _thin_outputs(self) -> None:
        """Stores what does not follow the tiles: scalars, columns of a row body, rows of a column body.  The first tile's task."""
        e, body, values = self.e, self.body, self.values
        for name in () if body.kind == "flat" and body.blocks > 1 else self._outputs("scalar"):
            values.store_one(name, values.scalars[name])
        columns, rows = self._outputs("column"), self._outputs("row")
        if columns and not self.sizes.by_columns:
            whole, rest = divmod(body.columns, STRIP)
            with e.loop(0, whole) as index:
                self._store_columns(columns, index * STRIP, lanes_in_use(STRIP))
            if rest:
                self._store_columns(columns, e.number(whole * STRIP), lanes_in_use(rest))
        if rows and self.sizes.by_columns:
            with e.loop(0, body.rows) as row:
                strip = Strip([], row=row)
                for name in rows:
                    values.store_one(name, values.of_row(name, strip), row)

    def _store_columns(self, names: list[str], start: Number, valid: list[int]) -> None:
        strip = Strip(valid, column=start)
        for name in names:
            self.values.store(name, self.values.vectors(name, strip, 0), start, strip)

    # -- one strip ---------------------------------------------------------------------------------------------------------------

    def _sweep(self, strip: Strip, stage: int, sums: dict[str, Reduction]) -> None:
        """Adds the strip to the reductions of `stage` and stores what is ready in it."""
        values, stores = self.values, self._stores(stage)
        for reduction in sums.values():
            reduction.add(values.vectors(reduction.operand, strip, stage), strip.valid)
        if self.replacing.intersection(stores):
            for name in stores:  # all that is read is read before anything is replaced
                values.vectors(name, strip, stage)
        for name in stores:
            values.store(name, values.vectors(name, strip, stage), strip.full, strip)

    def _reductions(self, stage: int, vectors: int = 1) -> dict[str, Reduction]:
        """Those that end with `stage`, at their neutral numbers, for strips of so many vectors."""
        ready = [i for i in self.body.reductions if self.body.stages[i.name] == stage + 1]
        return {i.name: Reduction(self.e, i, vectors) for i in ready}

    def _outputs(self, level: str) -> list[str]:
        return [name for name in self.body.outputs if self.body.levels[name] == level]

    def _stores(self, stage: int) -> list[str]:
        """The full-size outputs that are stored in `stage`."""
        ready = {name: self.last if name in self.replacing else self.body.stages[name] for name in self._outputs("full")}
        return [name for name in ready if ready[name] == stage]
