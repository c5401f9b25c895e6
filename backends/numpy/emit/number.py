"""Values of a function that is being emitted, with the operators of arithmetic: kernels read as the formulas they are.

    far = h + pad - i * dilation
    row = far // stride
    fits = (far >= 0) & (row < out) & (row * stride == far)

Each operator emits one instruction, in the order in which Python evaluates the line; nothing is simplified.  Integers are signed.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

Value = Any  # llvmlite carries no types


class Number:
    """A number, a truth value or a vector of either; what stands beside it is another of its type, or a literal.

    It stands for the value that it holds wherever llvmlite wants one.
    """

    __slots__ = ("b", "value")

    def __init__(self, b: ir.IRBuilder, value: Value) -> None:
        self.b = b
        self.value: Value = value.value if isinstance(value, Number) else value

    @property
    def type(self) -> Value:
        """The LLVM type."""
        return self.value.type

    def get_reference(self) -> str:
        """As an operand of an instruction."""
        return str(self.value.get_reference())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.value, name)

    def __str__(self) -> str:
        return str(self.value)

    @property
    def _real(self) -> bool:
        kind = self.type.element if isinstance(self.type, ir.VectorType) else self.type
        return isinstance(kind, (ir.FloatType, ir.DoubleType))

    def _literal(self, other: object) -> Value:
        if isinstance(other, Number):
            return other.value
        if isinstance(other, (int, float)):
            return ir.Constant(self.type, [other] * self.type.count if isinstance(self.type, ir.VectorType) else other)
        return other

    def _emit(self, instruction: str, other: object, *, swapped: bool = False) -> Number:
        operands = (self.value, self._literal(other))
        return Number(self.b, getattr(self.b, instruction)(*reversed(operands) if swapped else operands))

    def _compare(self, sign: str, other: object) -> Number:
        compare = self.b.fcmp_ordered if self._real else self.b.icmp_signed
        return Number(self.b, compare(sign, self.value, self._literal(other)))

    def __add__(self, other: object) -> Number:
        return self._emit("fadd" if self._real else "add", other)

    def __radd__(self, other: object) -> Number:
        return self._emit("fadd" if self._real else "add", other, swapped=True)

    def __sub__(self, other: object) -> Number:
        return self._emit("fsub" if self._real else "sub", other)

    def __rsub__(self, other: object) -> Number:
        return self._emit("fsub" if self._real else "sub", other, swapped=True)

    def __mul__(self, other: object) -> Number:
        return self._emit("fmul" if self._real else "mul", other)

    def __rmul__(self, other: object) -> Number:
        return self._emit("fmul" if self._real else "mul", other, swapped=True)

    def __truediv__(self, other: object) -> Number:
        return self._emit("fdiv", other)

    def __floordiv__(self, other: object) -> Number:
        """Rounds towards zero, as the processor does."""
        return self._emit("sdiv", other)

    def __mod__(self, other: object) -> Number:
        """What is left by //, with the sign of the dividend."""
        return self._emit("srem", other)

    def __rshift__(self, other: object) -> Number:
        """Division by a power of two that rounds down."""
        return self._emit("ashr", other)

    def __neg__(self) -> Number:
        return Number(self.b, (self.b.fneg if self._real else self.b.neg)(self.value))

    def __and__(self, other: object) -> Number:
        return self._emit("and_", other)

    def __or__(self, other: object) -> Number:
        return self._emit("or_", other)

    def __lt__(self, other: object) -> Number:
        return self._compare("<", other)

    def __le__(self, other: object) -> Number:
        return self._compare("<=", other)

    def __gt__(self, other: object) -> Number:
        return self._compare(">", other)

    def __ge__(self, other: object) -> Number:
        return self._compare(">=", other)

    def __eq__(self, other: object) -> Number:  # type: ignore[override]  # emits a comparison
        return self._compare("==", other)

    def __ne__(self, other: object) -> Number:  # type: ignore[override]  # emits a comparison
        return self._compare("!=", other)

    __hash__ = None  # type: ignore[assignment]  # == emits code
