"""Element-wise ops in vector arithmetic: op -> function of an emitter and its operands (all scalars, or all vectors)."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from backends.numpy.emit import mathematics
from backends.numpy.emit.emitter import ELEMENT, Emitter, Value

Rule = Callable[..., Value]


def _maximum(e: Emitter, x: Value, y: Value) -> Value:
    # a NaN must come through, or a diverging network would look sound behind its relu; for a literal y the test of y folds away
    return e.b.select(e.b.fcmp_unordered("uno", y, y), y, e.b.select(e.b.fcmp_ordered(">", y, x), y, x))


def _compare(sign: str) -> Rule:
    def rule(e: Emitter, x: Value, y: Value) -> Value:
        element = x.type.element if isinstance(x.type, ir.VectorType) else x.type
        return e.b.icmp_signed(sign, x, y) if isinstance(element, ir.IntType) else e.b.fcmp_ordered(sign, x, y)

    return rule


RULES: dict[str, Rule] = {
    "add": lambda e, x, y: e.b.fadd(x, y),
    "sub": lambda e, x, y: e.b.fsub(x, y),
    "mul": lambda e, x, y: e.b.fmul(x, y),
    "div": lambda e, x, y: e.b.fdiv(x, y),
    "neg": lambda e, x: e.b.fneg(x),
    "abs": lambda e, x: e.unary("fabs", x),
    "sqrt": mathematics.sqrt,
    "maximum": _maximum,
    "exp": mathematics.exp,
    "expm1": mathematics.expm1,
    "log": mathematics.log,
    "log1p": mathematics.log1p,
    "tanh": mathematics.tanh,
    "sigmoid": mathematics.sigmoid,
    "erf": mathematics.erf,
    "where": lambda e, c, x, y: e.b.select(c, x, y),
    "greater": _compare(">"),
    "less": _compare("<"),
    "equal": _compare("=="),
    "spread": lambda e, x: x,
}


def cast(e: Emitter, x: Value, dtype: str) -> Value:
    """A bool or an integer as a number."""
    element = ELEMENT[dtype]
    kind = ir.VectorType(element, x.type.count) if isinstance(x.type, ir.VectorType) else element
    source = x.type.element if isinstance(x.type, ir.VectorType) else x.type
    return e.b.uitofp(x, kind) if source.width == 1 else e.b.sitofp(x, kind)
