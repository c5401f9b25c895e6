"""Several vectors side by side, in registers and as accumulators."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator

from llvmlite import ir

from backends.numpy.emit.emitter import Emitter, Value
from backends.numpy.emit.number import Number


class Vectors:
    """Vectors side by side: an operator does all of them before the next begins.  What stands beside is as many, or one for all."""

    def __init__(self, b: ir.IRBuilder, parts: Iterable[Value]) -> None:
        self.b, self.parts = b, [Number(b, part) for part in parts]

    def __iter__(self) -> Iterator[Number]:
        return iter(self.parts)

    def each(self, rule: Callable[..., Value], *others: Value) -> Vectors:
        """rule(vector, that of the others ...) for every vector."""
        columns = [other.parts if isinstance(other, Vectors) else [other] * len(self.parts) for other in others]
        return Vectors(self.b, (rule(*own) for own in zip(self.parts, *columns, strict=True)))

    def __add__(self, other: Value) -> Vectors:
        return self.each(operator.add, other)

    def __sub__(self, other: Value) -> Vectors:
        return self.each(operator.sub, other)

    def __mul__(self, other: Value) -> Vectors:
        return self.each(operator.mul, other)

    def __truediv__(self, other: Value) -> Vectors:
        return self.each(operator.truediv, other)


class Cells:
    """Accumulators: numbers or vectors that live on from turn to turn of a loop.  They stand on the stack; LLVM finds them registers."""

    def __init__(self, e: Emitter, kind: Value, count: int) -> None:
        self.e, self.b, self.kind = e, e.b, kind
        with e.b.goto_entry_block():
            self.cells = [e.b.alloca(kind) for _ in range(count)]

    def __iter__(self) -> Iterator[Number]:
        """What each holds, read when its turn comes."""
        return (Number(self.b, self.b.load(cell, typ=self.kind)) for cell in self.cells)

    def read(self) -> Vectors:
        """What all of them hold now."""
        return Vectors(self.b, self)

    def put(self, n: int, value: Value) -> None:
        """A value for number n."""
        self.b.store(value, self.cells[n])

    def write(self, values: Iterable[Value]) -> None:
        """A value for each."""
        for value, cell in zip(values, self.cells, strict=True):
            self.b.store(value, cell)

    def fill(self, value: Value) -> Cells:
        """One value for all -> the cells."""
        self.write([value] * len(self.cells))
        return self

    def take(self, rule: Callable[[Number, Value], Value], parts: Iterable[Value]) -> None:
        """Each becomes rule(what it holds, its part)."""
        for cell, part in zip(self.cells, parts, strict=True):
            self.b.store(rule(Number(self.b, self.b.load(cell, typ=self.kind)), part), cell)

    def add_product(self, factor: Value, parts: Iterable[Value]) -> None:
        """Each becomes what it holds + factor * its part, rounded once where the processor can."""
        self.take(lambda total, part: self.e.fma(factor, part, total), parts)
