"""A thin layer over LLVM's builder: addresses, counted loops, masked vectors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from backends.numpy.emit.number import Number as Number
from backends.numpy.emit.number import Value as Value
from backends.numpy.machine.processor import LANES, Processor

I1, I8, I32, I64 = (ir.IntType(n) for n in (1, 8, 32, 64))
POINTER = ir.PointerType()
VOID = ir.VoidType()
ELEMENT = {"float32": ir.FloatType(), "float64": ir.DoubleType(), "int32": I32, "uint32": I32, "bool": I8, "uint8": I8}
SIZE = {"float32": 4, "float64": 8, "int32": 4, "uint32": 4, "bool": 1, "uint8": 1}
LINE = 64  # bytes of a line of the cache


def i64(value: int) -> Value:
    """A 64-bit literal."""
    return ir.Constant(I64, value)


def vector(element: Value, lanes: int = LANES) -> Value:
    """The type of a vector."""
    return ir.VectorType(element, lanes)


class Module(ir.Module):  # type: ignore[misc]  # llvmlite carries no types
    """A module of kernels for one processor."""

    def __init__(self, name: str, processor: Processor | None = None) -> None:
        super().__init__(name)
        self.processor = processor


class Emitter:
    """Emits one function.  Offsets are in elements where a dtype is given, in bytes otherwise."""

    def __init__(self, module: ir.Module, name: str, arguments: list[Value], *, internal: bool = False) -> None:
        self.module = module
        self.processor = module.processor if isinstance(module, Module) else None
        self.function = ir.Function(module, ir.FunctionType(VOID, arguments), name)
        if internal:
            self.function.linkage = "internal"
            self.function.attributes.add("noinline")
        self.b = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.arguments = [self.number(a) if isinstance(a.type, ir.IntType) else a for a in self.function.args]

    def call(self, name: str, result: Value, *arguments: Value) -> Value:
        """Calls an intrinsic or an external function."""
        function = self.module.globals.get(name)
        if function is None:
            function = ir.Function(self.module, ir.FunctionType(result, [a.type for a in arguments]), name)
        return self.b.call(function, arguments)

    def number(self, value: Value) -> Number:
        """`value`, or a 64-bit literal, with the operators of arithmetic."""
        return Number(self.b, i64(value) if isinstance(value, int) else value)

    def at(self, pointer: Value, offset: Value, dtype: str | None = None) -> Value:
        """The address `offset` elements (or bytes) after `pointer`."""
        offset = i64(offset) if isinstance(offset, int) else offset
        return self.b.gep(pointer, [offset], source_etype=ELEMENT[dtype] if dtype else I8)

    def load(self, pointer: Value, dtype: str) -> Value:
        """One element; a bool becomes one bit."""
        value = self.b.load(pointer, align=SIZE[dtype], typ=ELEMENT[dtype])
        return self.b.icmp_unsigned("!=", value, ir.Constant(I8, 0)) if dtype == "bool" else value

    def load_number(self, pointer: Value) -> Number:
        """A whole number of 64 bits."""
        return self.number(self.b.load(pointer, typ=I64))

    def store(self, value: Value, pointer: Value, dtype: str) -> None:
        """One element."""
        self.b.store(self.b.zext(value, I8) if dtype == "bool" else value, pointer, align=SIZE[dtype])

    def load_vector(self, pointer: Value, dtype: str, *, lanes: int = LANES, valid: int = LANES) -> Value:
        """`lanes` elements, the first `valid` of them from memory and the rest zero."""
        kind = vector(ELEMENT[dtype], lanes)
        if valid >= lanes:
            value = self.b.load(pointer, align=SIZE[dtype], typ=kind)
        else:
            arguments = (pointer, ir.Constant(I32, SIZE[dtype]), self.mask(valid, lanes), ir.Constant(kind, None))
            value = self.call(f"llvm.masked.load.{_suffix(kind)}.p0", kind, *arguments)
        return self.b.icmp_unsigned("!=", value, ir.Constant(kind, None)) if dtype == "bool" else value

    def store_vector(self, value: Value, pointer: Value, dtype: str, *, lanes: int = LANES, valid: int = LANES) -> None:
        """The first `valid` of `lanes` elements."""
        if dtype == "bool":
            value = self.b.zext(value, vector(I8, lanes))
        if valid >= lanes:
            self.b.store(value, pointer, align=SIZE[dtype])
        else:
            name = f"llvm.masked.store.{_suffix(value.type)}.p0"
            self.call(name, VOID, value, pointer, ir.Constant(I32, SIZE[dtype]), self.mask(valid, lanes))

    def prefetch(self, pointer: Value, *, writes: bool = False) -> None:
        """Asks for the cache line at `pointer`; writes: to be written too."""
        self.call("llvm.prefetch.p0", VOID, pointer, *(ir.Constant(I32, n) for n in (int(writes), 3, 1)))

    def mask(self, valid: int, lanes: int = LANES) -> Value:
        """A literal mask of the first `valid` lanes."""
        return ir.Constant(vector(I1, lanes), [int(lane < valid) for lane in range(lanes)])

    def splat(self, value: Value, lanes: int = LANES) -> Value:
        """`value` in every lane."""
        kind = vector(value.type, lanes)
        undefined = ir.Constant(kind, ir.Undefined)
        one = self.b.insert_element(undefined, value, ir.Constant(I32, 0))
        return self.b.shuffle_vector(one, undefined, ir.Constant(vector(I32, lanes), [0] * lanes))

    def literal(self, value: float, kind: Value) -> Value:
        """A number as a literal of the (scalar or vector) type `kind`."""
        if isinstance(kind, ir.VectorType):
            return ir.Constant(kind, [value] * kind.count)
        return ir.Constant(kind, value)

    def fma(self, x: Value, y: Value, z: Value) -> Value:
        """x * y + z, rounded once; twice on a processor that has no instruction for it, where the exact sum would be a call of libm."""
        if self.processor is not None and not self.processor.multiplies_and_adds:
            return self.b.fadd(self.b.fmul(x, y), z)
        return self.call(f"llvm.fma.{_suffix(x.type)}", x.type, x, y, z)

    def unary(self, intrinsic: str, x: Value) -> Value:
        """An LLVM intrinsic of one operand, by name: sqrt, fabs, rint."""
        return self.call(f"llvm.{intrinsic}.{_suffix(x.type)}", x.type, x)

    def fold_lanes(self, x: Value, combine: Any) -> Value:
        """All lanes combined pairwise in a fixed order -> scalar."""
        count = x.type.count
        while count > 1:
            half = count // 2
            low = ir.Constant(vector(I32, half), list(range(half)))
            high = ir.Constant(vector(I32, half), list(range(half, count)))
            undefined = ir.Constant(x.type, ir.Undefined)
            x = combine(self.b.shuffle_vector(x, undefined, low), self.b.shuffle_vector(x, undefined, high))
            count = half
        return self.b.extract_element(x, ir.Constant(I32, 0))

    @contextmanager
    def loop(self, start: Value, stop: Value, step: int = 1) -> Iterator[Number]:
        """A counted loop; yields the index."""
        start, stop = (i64(v) if isinstance(v, int) else v for v in (start, stop))
        before = self.b.block
        head, body, after = (self.function.append_basic_block(n) for n in ("head", "body", "after"))
        self.b.branch(head)
        self.b.position_at_end(head)
        index = self.b.phi(I64)
        index.add_incoming(start, before)
        self.b.cbranch(self.b.icmp_signed("<", index, stop), body, after)
        self.b.position_at_end(body)
        yield self.number(index)
        index.add_incoming(self.b.add(index, i64(step)), self.b.block)
        self.b.branch(head)
        self.b.position_at_end(after)

    @contextmanager
    def repeat(self, count: int, *moving: tuple[Value, int]) -> Iterator[Turn]:
        """A loop of `count` >= 1 turns; moving: pointers, and by how many bytes each moves a turn."""
        entry, body, done = self.b.block, self.function.append_basic_block("k"), self.function.append_basic_block("done")
        self.b.branch(body)
        self.b.position_at_end(body)
        turn = Turn(self, entry)
        k = turn.carry(self.number(0))
        turn.pointers = [turn.carry(pointer) for pointer, _ in moving]
        yield turn
        following = turn.next(k, k + 1)
        for pointer, (_, step) in zip(turn.pointers, moving, strict=True):
            turn.next(pointer, self.at(pointer, step))
        self.b.cbranch(following < count, body, done)
        self.b.position_at_end(done)

    def where(self, condition: Value, x: Value, y: Value) -> Number:
        """x where the condition holds, else y; 64-bit literals may stand for either."""
        return Number(self.b, self.b.select(condition, self.number(x), self.number(y)))

    def smaller(self, x: Value, y: Value) -> Number:
        """min(x, y) of two 64-bit integers."""
        return self.where(self.number(x) < y, x, y)

    def within(self, index: Value, count: int) -> Number:
        """0 <= index < count in one comparison: as a number without a sign a negative index is a very large one."""
        return self.number(self.b.icmp_unsigned("<", index, i64(count)))

    def copy(self, target: Value, source: Value, size: Value) -> None:
        """`size` bytes from `source` to `target`."""
        self.call("llvm.memcpy.p0.p0.i64", VOID, target, source, self.number(size), ir.Constant(I1, 0))

    def clear(self, target: Value, size: Value) -> None:
        """`size` bytes of zero at `target`."""
        self.call("llvm.memset.p0.i64", VOID, target, ir.Constant(I8, 0), self.number(size), ir.Constant(I1, 0))

    def finish(self) -> None:
        """Ends the function."""
        self.b.ret_void()


class Turn:
    """A turn of a loop whose values stay in registers: each is carried in from the turn before, and handed to the next."""

    pointers: list[Value]

    def __init__(self, e: Emitter, entry: Value) -> None:
        self.e, self.entry = e, entry

    def carry(self, start: Value) -> Value:
        """The value in this turn; `start` in the first."""
        value = self.e.b.phi(start.type)
        value.add_incoming(start, self.entry)
        return self.e.number(value) if isinstance(start, Number) else value

    def next(self, value: Value, following: Value) -> Value:
        """Hands `following` to the next turn in the place of `value`."""
        value.add_incoming(following, self.e.b.block)
        return following


def _suffix(kind: Value) -> str:
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}{_suffix(kind.element)}"
    return {"float": "f32", "double": "f64"}.get(str(kind), str(kind))
