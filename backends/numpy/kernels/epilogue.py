"""What is done with the tile of a product before it leaves the registers: a fused body without reductions."""

# R rows, C columns of the product
from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from backends.contract import Body, Call, Instruction
from backends.numpy.emit.elementwise import RULES, cast
from backends.numpy.emit.emitter import ELEMENT, I32, LINE, SIZE, Emitter, Number, Value, vector
from backends.numpy.kernels.kernel import anonymous

TOGETHER = 4  # vectors that go through an epilogue side by side


@dataclass(frozen=True, slots=True)
class Epilogue:
    """body: its first input is the product; dtypes: of the other inputs.  A body whose outputs name the product stores it too."""

    body: Body
    dtypes: tuple[str, ...]

    @classmethod
    def of(cls, call: Call) -> Epilogue | None:
        """What follows the product of `call` in its own kernel."""
        return cls(anonymous(call.body), tuple(b.dtype for b in call.inputs[2:])) if call.body is not None else None

    @property
    def product(self) -> str:
        """The name of the product in the body."""
        return self.body.inputs[0][0]


class EpilogueEmitter:
    """Emits an epilogue into a tile function whose pointers are those of the other inputs, then of the outputs.

    for r in rows of the tile:                       # some rows together, where they are a vector or two
        y = c[r, :]                                  # the product, from the stack
        for instruction in body:  v = op(y, v, inputs[top + r, left:left + width])
        outputs[top + r, left:left + width] = v
    """

    def __init__(self, e: Emitter, epilogue: Epilogue, pointers: list[Value], precision: str, lanes: int, columns: int) -> None:
        self.e, self.precision, self.lanes, self.columns = e, precision, lanes, columns
        body = epilogue.body
        others = [name for name, _ in body.inputs[1:]]
        self.body, self.product = body, epilogue.product
        self.pointer = dict(zip(others, pointers, strict=False))
        self.output = dict(zip(body.outputs, pointers[len(others) :], strict=True))
        self.dtype = dict(zip(others, epilogue.dtypes, strict=True)) | {i.name: i.dtype for i in body.instructions}
        self.dtype[self.product] = precision
        self.scalars: dict[str, Value] = {}
        for name, level in body.inputs[1:]:
            if level == "scalar":
                self.scalars[name] = e.load(self.pointer[name], self.dtype[name])
        for i in body.instructions:
            if i.level == "scalar":
                self.scalars[i.name] = self._scalar(i)

    def apply(self, products: list[Value], rows: list[Value], columns: list[Value], valid: list[int]) -> None:
        """Stores the outputs for vectors of the product, the first number of each at (row, column) and so many lanes of it `valid`.

        Every instruction is done for all vectors before the next: while one waits for a root or a quotient the others go on.
        """
        e = self.e
        full = [row * self.columns + column for row, column in zip(rows, columns, strict=True)]
        place = _Place(rows, columns, full, valid, {self.product: products})
        made = [(name, self._values(name, place)) for name in self.body.outputs]
        for name, values in made:
            dtype = self.dtype[name]
            for value, offset, count in zip(values, place.full, valid, strict=True):
                e.store_vector(value, e.at(self.output[name], offset, dtype), dtype, lanes=self.lanes, valid=count)

    def _values(self, name: str, place: _Place) -> list[Value]:
        if name not in place.values:
            place.values[name] = self._made(name, place)
        return place.values[name]

    def _made(self, name: str, place: _Place) -> list[Value]:
        e, dtype, count = self.e, self.dtype[name], len(place.valid)
        if name in self.scalars:
            return [e.splat(self.scalars[name], self.lanes)] * count
        if name in self.pointer:
            if self.body.levels[name] == "row":
                return [e.splat(e.load(e.at(self.pointer[name], row, dtype), dtype), self.lanes) for row in place.rows]
            offsets = place.columns if self.body.levels[name] == "column" else place.full
            places = [e.at(self.pointer[name], offset, dtype) for offset in offsets]
            return [e.load_vector(p, dtype, lanes=self.lanes, valid=n) for p, n in zip(places, place.valid, strict=True)]
        i = self.body.made[name]
        if i.op == "column_index":
            lanes = ir.Constant(vector(I32, self.lanes), list(range(self.lanes)))
            return [e.number(e.splat(e.b.trunc(column, I32), self.lanes)) + lanes for column in place.columns]
        operands = [self._values(o, place) for o in i.operands]
        return [self._apply(i, list(own)) for own in zip(*operands, strict=True)] if operands else [self._apply(i, [])] * count

    def _scalar(self, i: Instruction) -> Value:
        if i.op == "constant":
            return ir.Constant(ELEMENT[i.dtype], i.attributes["value"])
        return self._apply(i, [self.scalars[o] for o in i.operands])

    def _apply(self, i: Instruction, operands: list[Value]) -> Value:
        return cast(self.e, operands[0], i.dtype) if i.op == "cast" else RULES[i.op](self.e, *operands)


def apply_epilogue(
    e: Emitter, epilogue: Epilogue, results: list[list[Value]], pointers: list[Value], precision: str, lanes: int, columns: int,
    top: Number, left: Number, valid: list[int], step: int = 1,
) -> None:  # fmt: skip
    """Applies `epilogue` to a tile: results[row][vector] of a product with `columns` columns, its corner at (top, left), `step` from one
    of its rows to the next.

    The tile goes through the stack, so that the code is a loop over its rows and not every row written out.
    """
    kind, vectors = results[0][0].type, len(valid)
    with e.b.goto_entry_block():
        tile = e.b.alloca(kind, len(results) * vectors)
    size = lanes * SIZE[precision]
    for row, line in enumerate(results):
        for v, value in enumerate(line):
            e.store_vector(value, e.at(tile, (row * vectors + v) * size), precision, lanes=lanes)
    body = EpilogueEmitter(e, epilogue, pointers, precision, lanes, columns)
    group = max(1, TOGETHER // vectors)

    def some(first: Number, count: int) -> None:
        lines = [first + n for n in range(count) for _ in valid]
        places = [first * vectors + n for n in range(count * vectors)]
        products = [e.load_vector(e.at(tile, n * size), precision, lanes=lanes, valid=lanes) for n in places]
        rows = [top + line * step for line in lines]
        body.apply(products, rows, [left + v * lanes for v in range(vectors)] * count, valid * count)

    whole = len(results) // group * group
    with e.loop(0, whole, group) as first:
        some(first, group)
    if whole < len(results):
        some(e.number(whole), len(results) - whole)


def prefetch(e: Emitter, epilogue: Epilogue, pointers: list[Value], columns: int, top: Number, left: Number, rows: int, width: int) -> None:
    """Asks for what the epilogue will read of full-size arrays, while the product is still being summed."""
    wanted = [
        (q, dtype) for q, dtype, (_, level) in zip(pointers, epilogue.dtypes, epilogue.body.inputs[1:], strict=False) if level == "full"
    ]
    if not wanted:
        return
    with e.loop(0, rows) as row:
        first = (top + row) * columns + left
        for pointer, dtype in wanted:
            for start in range(0, width, LINE // SIZE[dtype]):
                e.prefetch(e.at(pointer, first + start, dtype), writes=True)


@dataclass(slots=True)
class _Place:
    """Vectors: the row and the first column of each, its offset in a full-size array and lanes in use, and what is known there."""

    rows: list[Value]
    columns: list[Value]
    full: list[Value]
    valid: list[int]
    values: dict[str, list[Value]]
