"""What consists of numbers alone: computed on the host, in float64, as a schedule and Adam's bias correction are."""

# S steps
from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.formula.syntax import CONSTANTS
from pipeline.graph.values import Array, Clock, Value

Number = float | npt.NDArray[np.float64]

_ERF = np.vectorize(math.erf, otypes=[np.float64])


def _log_cosh(x: Any) -> Any:
    return np.abs(x) + np.log1p(np.expm1(-2.0 * np.abs(x)) / 2.0)


_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
_COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Gt: np.greater,
    ast.Lt: np.less,
    ast.GtE: np.greater_equal,
    ast.LtE: np.less_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
_CALLED: dict[str, Callable[..., Any]] = {
    **{name: getattr(np, name) for name in ("abs", "exp", "expm1", "log", "log1p", "sqrt", "square", "sign", "tanh", "sinh", "cosh")},
    **{name: getattr(np, name) for name in ("sin", "cos", "floor", "maximum", "minimum", "clip")},
    "sigmoid": lambda x: 0.5 * (1.0 + np.tanh(0.5 * x)),
    "softplus": lambda x: np.logaddexp(0.0, x),
    "relu": lambda x: np.maximum(x, 0.0),
    "erf": _ERF,
    "log_cosh": _log_cosh,
    "where": lambda condition, then, otherwise: np.where(np.asarray(condition) != 0, then, otherwise),
}


def evaluate(node: ast.expr, numbers: Mapping[str, Number]) -> Number:
    """What `node` is with these numbers, each a number or one a step [S]; a truth is 0 or 1."""
    with np.errstate(all="ignore"):
        return np.asarray(_value(node, numbers), np.float64)


def value(node: ast.expr, numbers: Mapping[str, Value]) -> Value:
    """The scalar of a step that `node` stands for: a number, or a function of the clock where one of its names is one."""
    used = {part.id: numbers[part.id] for part in ast.walk(node) if isinstance(part, ast.Name) and part.id in numbers}
    if not any(callable(number) for number in used.values()):
        return float(evaluate(node, {name: number for name, number in used.items() if not callable(number)}))

    def at(clock: Clock) -> Array:
        return np.asarray(evaluate(node, {name: number(clock) if callable(number) else number for name, number in used.items()}))

    return at


def _value(node: ast.expr, numbers: Mapping[str, Number]) -> Any:
    match node:
        case ast.Constant(value=int() | float() as number):
            return np.float64(number)
        case ast.Name(id=name):
            return np.float64(CONSTANTS[name]) if name in CONSTANTS else np.asarray(numbers[name], np.float64)
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](_value(left, numbers), _value(right, numbers))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return np.equal(_value(operand, numbers), 0.0).astype(np.float64)
        case ast.UnaryOp(op=op, operand=operand):
            return np.negative(_value(operand, numbers)) if isinstance(op, ast.USub) else _value(operand, numbers)
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            sides = [_value(side, numbers) for side in (left, *comparators)]
            holds = [_COMPARED[type(op)](a, b) for op, a, b in zip(ops, sides[:-1], sides[1:], strict=True)]
            return np.logical_and.reduce(np.broadcast_arrays(*holds)).astype(np.float64)
        case ast.BoolOp(op=op, values=values):
            rule = np.logical_and if isinstance(op, ast.And) else np.logical_or
            return rule.reduce(np.broadcast_arrays(*(_value(part, numbers) for part in values))).astype(np.float64)
        case ast.Call(func=ast.Name(id=name), args=operands):
            return _CALLED[name](*(_value(operand, numbers) for operand in operands))
    raise AssertionError(f"{ast.dump(node)} is in no formula")
