"""The values of a fused body where a strip of it lies: each is loaded or made once, at the level that it has.

scalar    one number, made before the loops
row       one number of a row, splat over the strip
column    a strip that is the same in every row
full      a strip of the row
"""

# a strip is up to 4 vectors of 16 lanes
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from llvmlite import ir

from backends.contract import Body, Instruction
from backends.numpy.emit import philox
from backends.numpy.emit.elementwise import RULES, cast
from backends.numpy.emit.emitter import ELEMENT, I32, Emitter, Number, Value, i64, vector
from backends.numpy.emit.vectors import Cells
from backends.numpy.machine.processor import LANES

# what is stored is read again in a later stage where it is one of these, and made again where it is not
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


class BodyValues:
    """Emits the values of `body`.  replacing: the outputs that replace an input in place; they are never read again."""

    def __init__(self, e: Emitter, body: Body, dtypes: tuple[str, ...], arguments: list[Value], replacing: frozenset[str]) -> None:
        self.e, self.body, self.replacing = e, body, replacing
        inputs, outputs = len(body.inputs), len(body.outputs)
        self.pointer = dict(zip([name for name, _ in body.inputs], arguments[:inputs], strict=True))
        self.output = dict(zip(body.outputs, arguments[inputs : inputs + outputs], strict=True))
        self.path = dict(zip([i.name for i in body.instructions if i.draws], arguments[inputs + outputs :], strict=True))
        self.dtype = dict(zip(self.pointer, dtypes, strict=True)) | {i.name: i.dtype for i in body.instructions}
        self.scalars: dict[str, Value] = {}

    # -- strips ------------------------------------------------------------------------------------------------------------------

    def vectors(self, name: str, strip: Strip, stage: int) -> list[Value]:
        """The vectors of `name` on the strip."""
        level = self.body.levels[name]
        if level == "scalar":
            return [self.e.splat(self.scalars[name])] * len(strip.valid)
        if level == "row":
            return [self.e.splat(self.of_row(name, strip))] * len(strip.valid)
        cache = strip.columns if level == "column" else strip.values
        if name not in cache:
            cache[name] = self._made(name, strip, stage)
        return cache[name]

    def _made(self, name: str, strip: Strip, stage: int) -> list[Value]:
        level = self.body.levels[name]
        offset = strip.column if level == "column" else strip.full
        if name in self.pointer:
            return self.load(name, offset, strip)
        i = self.body.made[name]
        kept = level == "full" and name in self.output and name not in self.replacing and self.body.stages[name] < stage
        if kept and i.op in DEAR:
            return self.load(name, offset, strip)
        if i.op == "uniform":
            return self._uniform(i, strip)
        if i.op == "column_index":
            return self._column_index(strip)
        operands = [self.vectors(o, strip, stage) for o in i.operands]
        return [self._apply(i, [o[n] for o in operands]) for n in range(len(strip.valid))]

    def _uniform(self, i: Instruction, strip: Strip) -> list[Value]:
        e = self.e
        block = e.b.lshr(strip.full, i64(6))
        seed, low, high = (self.scalars[o] for o in i.operands)
        words = philox.words(e, block, self.path[i.name], low, high, seed, i.attributes["stream"])
        return [philox.uniform(e, word, vector(ELEMENT[i.dtype])) for word in words[: len(strip.valid)]]

    def _column_index(self, strip: Strip) -> list[Value]:
        e, lanes = self.e, ir.Constant(vector(I32), list(range(LANES)))
        first = e.number(e.b.trunc(strip.column if strip.column is not None else strip.full, I32))
        return [e.b.add(e.splat(first + LANES * n), lanes) for n in range(len(strip.valid))]

    def _apply(self, i: Instruction, operands: list[Value]) -> Value:
        return cast(self.e, operands[0], i.dtype) if i.op == "cast" else RULES[i.op](self.e, *operands)

    def load(self, name: str, offset: Number, strip: Strip) -> list[Value]:
        """The vectors of an input, or of an output that is stored already."""
        pointer, dtype = self.pointer.get(name) or self.output[name], self.dtype[name]
        places = (self.e.at(pointer, offset + LANES * n, dtype) for n in range(len(strip.valid)))
        return [self.e.load_vector(place, dtype, valid=lanes) for place, lanes in zip(places, strip.valid, strict=True)]

    def store(self, name: str, vectors: list[Value], offset: Number, strip: Strip) -> None:
        """The vectors of an output."""
        dtype = self.dtype[name]
        for n, (value, lanes) in enumerate(zip(vectors, strip.valid, strict=True)):
            self.e.store_vector(value, self.e.at(self.output[name], offset + LANES * n, dtype), dtype, valid=lanes)

    def store_one(self, name: str, value: Value, offset: Value = None) -> None:
        """A number of an output: of a scalar, or of the row `offset`."""
        place = self.output[name] if offset is None else self.e.at(self.output[name], offset, self.dtype[name])
        self.e.store(value, place, self.dtype[name])

    # -- other levels --------------------------------------------------------------------------------------------------------------

    def scalar_instructions(self, stage: int) -> None:
        """Loads and makes the scalars that are ready in `stage`."""
        for name, level in self.body.inputs:
            if level == "scalar" and name not in self.scalars:
                self.scalars[name] = self.e.load(self.pointer[name], self.dtype[name])
        for i in self.body.instructions:
            if i.level == "scalar" and i.name not in self.scalars and self.body.stages[i.name] <= stage:
                self.scalars[i.name] = self._scalar(i, self.scalars)

    def _scalar(self, i: Instruction, known: dict[str, Value]) -> Value:
        if i.op == "constant":
            return ir.Constant(ELEMENT[i.dtype], i.attributes["value"])
        if i.op == "column_index":
            return ir.Constant(I32, 0)
        return self._apply(i, [known[o] if o in known else self.scalars[o] for o in i.operands])

    def of_row(self, name: str, strip: Strip) -> Value:
        """The number of the strip's row."""
        if name not in strip.rows and name in self.pointer:
            strip.rows[name] = self._load_row(name, strip.row)
        elif name not in strip.rows:
            i = self.body.made[name]
            strip.rows[name] = self._apply(i, [self.scalars[o] if o in self.scalars else self.of_row(o, strip) for o in i.operands])
        return strip.rows[name]

    def _load_row(self, name: str, row: Value) -> Value:
        return self.e.load(self.e.at(self.pointer[name], row, self.dtype[name]), self.dtype[name])

    def row_instructions(self, rows: dict[str, Value], row: Number, stage: int) -> None:
        """Loads and makes the numbers of a row that are ready in `stage` -> rows."""
        if stage == 0:
            for name, level in self.body.inputs:
                if level == "row":
                    rows[name] = self._load_row(name, row)
        for i in self.body.instructions:
            if i.level == "row" and not i.reduces and i.name not in rows and self.body.stages[i.name] <= stage:
                rows[i.name] = self._scalar(i, rows)

    def column_instructions(self, strip: Strip, stage: int) -> None:
        """Makes the columns that are ready in `stage` -> strip.columns."""
        for i in self.body.instructions:
            if i.level == "column" and not i.reduces and i.name not in strip.columns and self.body.stages[i.name] <= stage:
                self.vectors(i.name, strip, stage)


class Reduction:
    """The running sum or maximum of an instruction: a vector for each of a strip where it runs down the columns, else one in all."""

    def __init__(self, e: Emitter, i: Instruction, vectors: int) -> None:
        self.e, self.operand, self.across = e, i.operands[0], i.level != "column"
        self.start = i.operands[1] if len(i.operands) > 1 else None
        assert self.start is None or not self.across, "only sums down columns go on from others"
        kind = vector(ELEMENT[i.dtype])
        self.neutral = e.literal(0.0 if i.op == "sum" else float("-inf"), kind)
        self.combine: Callable[[Value, Value], Value] = e.b.fadd if i.op == "sum" else lambda x, y: RULES["maximum"](e, x, y)
        self.cells = Cells(e, kind, 1 if self.across else vectors).fill(self.neutral)

    def begin(self, values: BodyValues, strip: Strip) -> None:
        """Goes on from the numbers that it begins with, on the columns of `strip`, where there are any."""
        if self.start is not None:
            self.cells.take(lambda old, new: new, values.vectors(self.start, strip, 0))

    def add(self, parts: list[Value], valid: list[int]) -> None:
        """The vectors of a strip; the lanes that are not in use count where lanes are combined in the end."""
        if not self.across:
            self.cells.take(self.combine, parts)
            return
        for part, lanes in zip(parts, valid, strict=True):
            own = part if lanes == LANES else self.e.b.select(self.e.mask(lanes), part, self.neutral)
            self.cells.take(self.combine, [own])

    def folded(self) -> Value:
        """One number."""
        (value,) = self.cells
        return self.e.fold_lanes(value, self.combine)
