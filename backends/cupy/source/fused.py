"""Kernels of fused bodies: element by element, or with sums over all, over rows, over columns.

A sum over neighbours, of all numbers or of a row, runs in LANES chains, number n in chain n % LANES, which are combined pairwise; one down
a column is one chain.  Each stage is one sweep: it ends with the sums that the next one reads.
"""

# R rows, C columns of the grid
from __future__ import annotations

from dataclasses import dataclass

from backends.contract import RUN, Body, Instruction
from backends.cupy.source.body import BodyText, Refused, missing, replacing
from backends.cupy.source.piece import LANES, SHARED, THREADS, Piece, Site, blocks_for
from backends.cupy.source.text import block

COLUMNS = 32  # of a block that sums down columns; its other threads take other rows
COMBINES = {"sum": "sum", "max": "largest"}


def fused(site: Site) -> Piece:
    """The piece of a fused call without a product."""
    body = site.call.body
    assert body is not None
    return _Fused(site, body, _text(site, body)).piece()


def _text(site: Site, body: Body) -> BodyText:
    unknown = missing(body)
    if unknown:
        raise Refused(f"no CUDA source for {', '.join(unknown)} of {site.call.name}")
    call, names = site.call, site.names
    inside = [name for name, _ in body.inputs]
    places = {name: f"at_{names(name)}" for name in (*inside, *body.outputs)}
    dtypes = dict(zip(inside, (b.dtype for b in call.inputs), strict=True))
    return BodyText(body, names, places, dtypes, replacing(body, call.inputs, call.outputs))


@dataclass(frozen=True)
class _Fused:
    site: Site
    body: Body
    text: BodyText

    def piece(self) -> Piece:
        """In the form that its sums ask for."""
        body = self.body
        if body.kind == "flat":
            return self._flat_sums() if body.reductions else self._elements()
        made = any(i.level == "column" and i.op not in ("column_index", "spread") for i in body.instructions)
        if body.kind == "column" and made:
            return self._down_columns()
        return self._along_rows() if body.reductions or self.text.outputs("row") else self._elements()

    def _piece(self, blocks: int, lines: list[str], shared: int = 0) -> Piece:
        call, places = self.site.call, self.text.places
        buffers = {places[name]: b for (name, _), b in zip(self.body.inputs, call.inputs, strict=True)}
        made = {places[name]: b for name, b in zip(self.body.outputs, call.outputs, strict=True)}
        declared = self.site.pointers(buffers | made, tuple(made))
        return Piece(blocks=blocks, lines=[*declared, *lines], shared=shared)

    def _elements(self) -> Piece:
        """for e: outputs[e] = f(inputs[e])"""
        body, text, count = self.body, self.text, self.body.rows * self.body.columns
        known: set[str] = set()
        inside = self._place(body.rows > 1)
        inside += text.lines(text.stores(0), known)
        inside += [text.store(name) for name in text.stores(0)]
        lines = ["const int e = block * THREADS + threadIdx.x;", *block(f"if (e < {count})", inside)] if text.stores(0) else []
        return self._piece(blocks_for(count) if text.stores(0) else 1, [*lines, *self._thin()])

    def _place(self, grid: bool) -> list[str]:
        """Row and column of e."""
        columns = self.body.columns
        return [f"const int row = e / {columns}, column = e % {columns};"] if grid else ["const int row = 0, column = e;"]

    def _thin(self, known: set[str] | None = None) -> list[str]:
        """What does not follow the elements, as the first block's task: scalars, and columns that are made of nothing but columns."""
        text, body = self.text, self.body
        lines: list[str] = []
        scalars, columns = text.outputs("scalar"), text.outputs("column")
        if scalars:
            inside = text.lines(scalars, set(known or ()))
            lines += block("if (block == 0 && threadIdx.x == 0)", [*inside, *(text.store(name) for name in scalars)])
        if columns:
            inside = text.lines(columns, set(known or ()))
            head = f"for (int column = threadIdx.x, e = column; block == 0 && column < {body.columns}; column += THREADS, e = column)"
            lines += block(head, [*inside, *(text.store(name) for name in columns)])
        return lines

    # -- sums over all ---------------------------------------------------------------------------------------------------------------

    def _flat_sums(self) -> Piece:
        """One block, or one for each RUN numbers: these go to shared memory bit by bit, and LANES threads for each sum add them up."""
        text, body, count, sums = self.text, self.body, self.body.columns, self.text.sums(0)
        run = 1024
        while len(sums) * run * self.site.size > SHARED:
            run //= 2
        assert len(sums) <= THREADS // LANES and run >= LANES, f"{len(sums)} sums at once"
        known: set[str] = set()
        own = ["const int row = 0, column = e;", *text.lines([*(i.operands[0] for i in sums), *text.stores(0)], known)]
        own += [f"room[{k * run} + e - first] = {text.names(i.operands[0])};" for k, i in enumerate(sums)]
        own += [text.store(name) for name in text.stores(0)]
        taken = [
            f"if (group == {k}) for (int n = lane; n < count; n += LANES) total{k} = {COMBINES[i.op]}::of(total{k}, room[{k * run} + n]);"
            for k, i in enumerate(sums)
        ]
        sweep = [
            f"const int count = last - first < {run} ? last - first : {run};",
            *block("for (int e = first + threadIdx.x; e < first + count; e += THREADS)", own),
            "__syncthreads();",
            *taken,
            "__syncthreads();",
        ]
        lines = ["const int group = threadIdx.x / LANES, lane = threadIdx.x % LANES;", *self._totals(sums)]
        many = body.blocks > 1
        ends = f"low + {RUN} < {count} ? low + {RUN} : {count}" if many else str(count)
        lines.append(f"const int low = {f'block * {RUN}' if many else '0'}, last = {ends};")
        lines += block(f"for (int first = low; first < last; first += {run})", sweep)
        lines += [f"if (group == {k}) room[{k} * LANES + lane] = total{k};" for k in range(len(sums))]
        lines += ["__syncthreads();", *self._folded(sums, lambda k: f"room + {k} * LANES")]
        stored = [f"if (threadIdx.x == 0) {text.store(i.name, '[block]')}" for i in sums] if many else self._thin({i.name for i in sums})
        return self._piece(body.blocks, [*lines, *stored], shared=len(sums) * run * self.site.size)

    def _totals(self, sums: list[Instruction]) -> list[str]:
        return [f"number total{k} = {COMBINES[i.op]}::start();" for k, i in enumerate(sums)]

    def _folded(self, sums: list[Instruction], place: object) -> list[str]:
        assert callable(place)
        return [f"const number {self.text.names(i.name)} = folded<{COMBINES[i.op]}>({place(k)});" for k, i in enumerate(sums)]

    # -- sums over rows ----------------------------------------------------------------------------------------------------------------

    def _along_rows(self) -> Piece:
        """LANES threads a row: each takes every LANES-th number of it."""
        text, body = self.text, self.body
        most = max((len(text.sums(stage)) for stage in range(self._last + 1)), default=0)
        lines = [
            "const int lane = threadIdx.x % LANES, own = block * (THREADS / LANES) + threadIdx.x / LANES;",
            f"const int row = own < {body.rows} ? own : {body.rows - 1};  // all threads stay for the barriers",
            f"const bool there = own < {body.rows};",
        ]
        known: set[str] = set()
        for stage in range(self._last + 1):
            lines += self._row_values(stage, known)
            sums, stores = text.sums(stage), text.stores(stage)
            if sums or stores:
                lines += self._totals_of(stage, sums)
                inside = [f"const int e = row * {body.columns} + column;"]
                made = set(known)
                inside += text.lines([*(i.operands[0] for i in sums), *stores], made, stage)
                inside += [
                    f"total{stage}_{k} = {COMBINES[i.op]}::of(total{stage}_{k}, {text.names(i.operands[0])});" for k, i in enumerate(sums)
                ]
                inside += [f"if (there) {text.store(name)}" for name in stores]
                lines += block(f"for (int column = lane; column < {body.columns}; column += LANES)", inside)
            if sums:
                lines += [f"room[{k} * THREADS + threadIdx.x] = total{stage}_{k};" for k in range(len(sums))]
                lines += ["__syncthreads();"]
                lines += self._folded(sums, lambda k: f"room + {k} * THREADS + threadIdx.x / LANES * LANES")
                lines += ["__syncthreads();"]
                known.update(i.name for i in sums)
        lines += self._row_values(self._last + 1, known)
        rows = text.outputs("row")
        lines += text.lines(rows, known, self._last + 1)
        lines += [f"if (there && lane == 0) {text.store(name)}" for name in rows]
        lines += self._thin({name for name in known if body.levels[name] == "scalar"})
        per_block = THREADS // LANES
        return self._piece(-(-body.rows // per_block), lines, shared=most * THREADS * self.site.size)

    def _row_values(self, stage: int, known: set[str]) -> list[str]:
        """Scalars and the numbers of the row that are ready, made once outside the loop over the columns."""
        body = self.body
        thin = [name for name, level in body.inputs if level in ("scalar", "row")] if stage == 0 else []
        return self.text.lines([*thin, *self.text.ready("scalar", stage), *self.text.ready("row", stage)], known, stage)

    def _totals_of(self, stage: int, sums: list[Instruction]) -> list[str]:
        starts = [self.text.names(i.operands[1]) if len(i.operands) > 1 else f"{COMBINES[i.op]}::start()" for i in sums]
        return [f"number total{stage}_{k} = {start};" for k, start in enumerate(starts)]

    @property
    def _last(self) -> int:
        return max(self.body.stages.values(), default=0)

    # -- sums down columns -------------------------------------------------------------------------------------------------------------

    def _down_columns(self) -> Piece:
        """COLUMNS columns a block: all its threads make numbers, row after row, and one thread a column adds them up in order."""
        text, body, size = self.text, self.body, self.site.size
        most = max((len(text.sums(stage)) for stage in range(self._last + 1)), default=0)
        run = 32
        while most * run * COLUMNS * size > SHARED - most * COLUMNS * size:
            run //= 2
        assert run and most <= THREADS // COLUMNS, f"{most} sums down a column at once"
        across = -(-body.columns // COLUMNS)
        lines = [
            f"const int own = block % {across} * {COLUMNS} + threadIdx.x % {COLUMNS}, line = threadIdx.x / {COLUMNS};",
            f"const int column = own < {body.columns} ? own : {body.columns - 1};  // all threads stay for the barriers",
            f"const bool there = own < {body.columns};",
            *self._range(across),
        ]
        known: set[str] = set()
        for stage in range(self._last + 1):
            lines += self._column_values(stage, known)
            if text.sums(stage) or text.stores(stage):
                lines += self._column_sweep(stage, run, most, known)
        lines += self._column_values(self._last + 1, known)
        columns, rows = text.outputs("column"), text.outputs("row")
        lines += text.lines(columns, known, self._last + 1)
        shift = f"[block / {across} * {body.columns} + column]" if body.blocks > 1 else None
        lines += [f"if (there && line == 0) {text.store(name, shift)}" for name in columns]
        scalars = text.outputs("scalar")
        lines += text.lines(scalars, known)
        lines += [f"if (block == 0 && threadIdx.x == 0) {text.store(name)}" for name in scalars]
        if rows:
            inside = text.lines(rows, {name for name in known if body.levels[name] == "scalar"})
            head = f"for (int row = threadIdx.x; block == 0 && row < {body.rows}; row += THREADS)"
            lines += block(head, [*inside, *(text.store(name) for name in rows)])
        return self._piece(across * body.blocks, lines, shared=most * (run + 1) * COLUMNS * size)

    def _range(self, across: int) -> list[str]:
        rows, blocks = self.body.rows, self.body.blocks
        if blocks == 1:
            return [f"const int low = 0, high = {rows};"]
        return [f"const int part = block / {across}, low = (index)part * {rows} / {blocks}, high = (index)(part + 1) * {rows} / {blocks};"]

    def _column_values(self, stage: int, known: set[str]) -> list[str]:
        body = self.body
        thin = [name for name, level in body.inputs if level in ("scalar", "column")] if stage == 0 else []
        return self.text.lines([*thin, *self.text.ready("scalar", stage), *self.text.ready("column", stage)], known, stage)

    def _column_sweep(self, stage: int, run: int, most: int, known: set[str]) -> list[str]:
        text, body, sums, stores = self.text, self.body, self.text.sums(stage), self.text.stores(stage)
        inside = [f"const int e = row * {body.columns} + column;"]
        inside += text.lines([*(i.operands[0] for i in sums), *stores], set(known), stage)
        inside += [
            f"room[({k * run} + row - first) * {COLUMNS} + threadIdx.x % {COLUMNS}] = {text.names(i.operands[0])};"
            for k, i in enumerate(sums)
        ]
        inside += [f"if (there) {text.store(name)}" for name in stores]
        step = THREADS // COLUMNS
        sweep = [
            f"const int last = first + {run} < high ? first + {run} : high;",
            *block(f"for (int row = first + line; row < last; row += {step})", inside),
        ]
        if not sums:
            return block(f"for (int first = low; first < high; first += {run})", sweep)
        taken = [
            f"if (line == {k}) for (int n = 0; n < last - first; ++n) "
            f"total{stage}_{k} = {COMBINES[i.op]}::of(total{stage}_{k}, room[({k * run} + n) * {COLUMNS} + threadIdx.x % {COLUMNS}]);"
            for k, i in enumerate(sums)
        ]
        lines = self._totals_of(stage, sums)
        lines += block(f"for (int first = low; first < high; first += {run})", [*sweep, "__syncthreads();", *taken, "__syncthreads();"])
        place = f"{most * run} * {COLUMNS} + threadIdx.x % {COLUMNS}"
        lines += [f"if (line == {k}) room[{k * COLUMNS} + {place}] = total{stage}_{k};" for k in range(len(sums))]
        lines += ["__syncthreads();"]
        lines += [f"const number {text.names(i.name)} = room[{k * COLUMNS} + {place}];" for k, i in enumerate(sums)]
        lines += ["__syncthreads();"]
        known.update(i.name for i in sums)
        return lines
