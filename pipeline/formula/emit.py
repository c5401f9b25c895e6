"""What depends on tensors: ops of the graph, whose rules give the gradient and whose passes fuse it like everything else."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping

from pipeline.formula import host
from pipeline.formula.declared import Formula, key
from pipeline.formula.syntax import axes_of
from pipeline.graph.builder import Builder
from pipeline.graph.values import Value
from pipeline.ops import SHAPE_RULES
from pipeline.ops.reduce import mean

HIGHEST_POWER = 32  # as products; above it by logarithms
_SAME = ("abs", "exp", "expm1", "log", "log1p", "sqrt", "tanh", "sigmoid", "softplus", "erf", "maximum")
_OPERATORS: dict[type[ast.operator], str] = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}


def emit(b: Builder, formula: Formula, tensors: Mapping[str, str], prefix: str) -> str:
    """The value of `formula` over these values of the graph; its numbers are the scalars called after `prefix`."""
    emitting = _Emitting(b, formula, tensors, prefix)
    return emitting.number(emitting.of(formula.tree))


def values(formula: Formula, numbers: Mapping[str, Value], prefix: str) -> dict[str, Value]:
    """The scalars that the formula's ops read, by name."""
    return {f"{prefix}.{name}": host.value(node, numbers) for name, node in formula.parts.values()}


def shape_of(formula: Formula, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """The shape of the formula's value over tensors of such shapes.  Raises ConfigError for what has no ops."""
    b = Builder("float64", SHAPE_RULES)
    tensors = {name: b.input(name, shape, "data") for name, shape in shapes.items()}
    return b.shape(emit(b, formula, tensors, formula.field))


def spread_to(b: Builder, value: str, shape: tuple[int, ...]) -> str:
    """`value` with one number for each place of `shape`."""
    return value if b.shape(value) == shape else b.add("spread", value, shape=shape)


class _Emitting:
    """The walk over one tree; every method gives a value of the graph."""

    def __init__(self, b: Builder, formula: Formula, tensors: Mapping[str, str], prefix: str) -> None:
        self.b, self.formula, self.tensors, self.prefix = b, formula, tensors, prefix
        self.made: dict[str, str] = {}

    def of(self, node: ast.expr) -> str:
        """The value of `node`; parts that are written the same are made once."""
        known = key(node)
        if known not in self.made:
            if self.formula.depends(node):
                self.made[known] = self._made(node)
            else:
                self.made[known] = self.b.value(f"{self.prefix}.{self.formula.parts[known][0]}")
        return self.made[known]

    def number(self, value: str) -> str:
        """A truth as 0 or 1, a number as it is."""
        return self.b.add("cast", value, dtype=self.b.precision) if self.b.types[value].dtype == "bool" else value

    def _number(self, node: ast.expr) -> str:
        return self.number(self.of(node))

    def _truth(self, node: ast.expr) -> str:
        """A comparison as it is; numbers are true but for 0."""
        value = self.of(node)
        if self.b.types[value].dtype == "bool":
            return value
        if self.formula.depends(node):
            self.formula.refuse(node, "a condition is a comparison", "write x > 0")
        return self.b.add("greater", self.b.add("abs", value), self.b.constant(0.0))

    def _made(self, node: ast.expr) -> str:
        match node:
            case ast.Name(id=name):
                return self.tensors[name]
            case ast.BinOp(left=base, op=ast.Pow(), right=power):
                return self._power(base, power)
            case ast.BinOp(left=left, op=op, right=right):
                return self.b.add(_OPERATORS[type(op)], self._number(left), self._number(right))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self.b.add("less", self.number(self._truth(operand)), self.b.constant(0.5))
            case ast.UnaryOp(op=op, operand=operand):
                return self.b.add("neg", self._number(operand)) if isinstance(op, ast.USub) else self._number(operand)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                sides = [self._number(side) for side in (left, *comparators)]
                return self._all([self._compared(op, x, y) for op, x, y in zip(ops, sides[:-1], sides[1:], strict=True)])
            case ast.BoolOp(op=op, values=parts):
                truths = [self._truth(part) for part in parts]
                return self._all(truths) if isinstance(op, ast.And) else self._any(truths)
            case ast.Call(func=ast.Name(id=name)):
                return self._called(node, name)
        raise AssertionError(f"{ast.dump(node)} is in no formula")

    def _compared(self, op: ast.cmpop, x: str, y: str) -> str:
        match op:
            case ast.Gt():
                return self.b.add("greater", x, y)
            case ast.Lt():
                return self.b.add("less", x, y)
            case ast.Eq():
                return self.b.add("equal", x, y)
            case ast.GtE():
                return self._any([self.b.add("greater", x, y), self.b.add("equal", x, y)])
            case ast.LtE():
                return self._any([self.b.add("less", x, y), self.b.add("equal", x, y)])
        return self.b.add("less", self.number(self.b.add("equal", x, y)), self.b.constant(0.5))

    def _all(self, truths: list[str]) -> str:
        if len(truths) == 1:
            return truths[0]
        product, *rest = map(self.number, truths)
        for other in rest:
            product = self.b.add("mul", product, other)
        return self.b.add("greater", product, self.b.constant(0.5))

    def _any(self, truths: list[str]) -> str:
        total, *rest = map(self.number, truths)
        for other in rest:
            total = self.b.add("add", total, other)
        return self.b.add("greater", total, self.b.constant(0.5))

    def _called(self, node: ast.Call, name: str) -> str:
        if name == "where":
            condition, then, otherwise = node.args
            return self.b.add("where", self._truth(condition), self._number(then), self._number(otherwise))
        x, *others = [self._number(operand) for operand in node.args]
        b = self.b
        if name in _SAME:
            return b.add(name, x, *others)
        match name:
            case "square":
                return b.add("mul", x, x)
            case "relu":
                return b.add("maximum", x, b.constant(0.0), name="relu")
            case "minimum":
                return self._least(x, others[0])
            case "clip":
                return self._least(b.add("maximum", x, others[0]), others[1])
            case "sign":  # of 0 it is 0, of what is no number no number; its slope is 0
                at_zero = b.add("mul", x, b.constant(0.0))
                below = b.add("where", b.add("less", x, b.constant(0.0)), b.constant(-1.0), at_zero)
                return b.add("where", b.add("greater", x, b.constant(0.0)), b.constant(1.0), below, name="sign")
            case "cosh":
                return b.add("mul", b.add("add", b.add("exp", x), b.add("exp", b.add("neg", x))), b.constant(0.5), name="cosh")
            case "sinh":  # by expm1, so that nothing cancels near 0
                rise = b.add("expm1", x)
                fall = b.add("div", rise, b.add("add", rise, b.constant(1.0)))
                return b.add("mul", b.add("add", rise, fall), b.constant(0.5), name="sinh")
            case "log_cosh":  # |x| + log((1 + exp(-2 |x|)) / 2)
                size = b.add("abs", x)
                rest = b.add("expm1", b.add("mul", size, b.constant(-2.0)))
                return b.add("add", size, b.add("log1p", b.add("mul", rest, b.constant(0.5))), name="log_cosh")
        return self._reduced(name, x, axes_of(node) or ())

    def _least(self, x: str, y: str) -> str:
        return self.b.add("neg", self.b.add("maximum", self.b.add("neg", x), self.b.add("neg", y)))

    def _reduced(self, name: str, x: str, stated: tuple[int, ...]) -> str:
        """Over all axes -> []; over the last one -> that axis stays with one place."""
        b, shape = self.b, self.b.shape(x)
        if not shape:  # one number already: a reduction of a reduction
            return b.add("abs", x) if name == "norm" else x
        axes = (len(shape) - 1,) if stated else tuple(range(len(shape)))
        kept = (*shape[:-1], 1) if stated else ()
        match name:
            case "sum":
                made = b.add("sum", x, axes=axes)
            case "mean":
                made = mean(b, x, axes)
            case "norm":
                made = b.add("sqrt", b.add("sum", b.add("mul", x, x), axes=axes), name="norm")
            case "max":
                made = self._largest(x, axes, kept)
            case _:
                made = b.add("neg", self._largest(b.add("neg", x), axes, kept))
        return b.reshape(made, kept)

    def _largest(self, x: str, axes: tuple[int, ...], kept: tuple[int, ...]) -> str:
        """The maximum; of several that are equal each has its share of the gradient."""
        b = self.b
        largest = b.reshape(b.add("max", x, axes=axes), kept)
        hit = b.add("equal", x, largest)
        total = b.add("sum", b.add("where", hit, x, b.constant(0.0)), axes=axes)
        count = b.add("sum", b.add("cast", hit, dtype=b.precision), axes=axes)
        return b.add("div", total, count, name="largest")

    def _power(self, base: ast.expr, power: ast.expr) -> str:
        x, n = self._number(base), literal(power)
        if n is not None and 2 * n == round(2 * n) and 0 < abs(n) <= HIGHEST_POWER:
            made = self._product(x, abs(n))
            return self.b.add("div", self.b.constant(1.0), made) if n < 0 else made
        return self._by_logarithm(x, self._number(power))

    def _product(self, x: str, n: float) -> str:
        """x to the whole or half number n > 0, by squaring."""
        b, whole = self.b, math.floor(n)
        made = b.add("sqrt", x) if n != whole else None
        while whole:
            if whole & 1:
                made = x if made is None else b.add("mul", made, x)
            whole >>= 1
            x = b.add("mul", x, x) if whole else x
        assert made is not None
        return made

    def _by_logarithm(self, x: str, y: str) -> str:
        """exp(y log x) for x > 0; at 0 it is 0, 1 or infinite as y is above, at or below 0; no number for x < 0."""
        b = self.b
        zero, one = b.constant(0.0), b.constant(1.0)
        at_zero = b.add("equal", x, zero)
        above = b.add("exp", b.add("mul", y, b.add("log", b.add("where", at_zero, one, x))))
        there = b.add("where", b.add("less", y, zero), b.constant(math.inf), one)
        there = b.add("where", b.add("greater", y, zero), zero, there)
        return b.add("where", at_zero, there, above, name="power")


def literal(node: ast.expr) -> float | None:
    """The number that is written there, with its sign; None for anything else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = literal(node.operand)
        return None if inner is None else -inner
    return float(node.value) if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) else None
