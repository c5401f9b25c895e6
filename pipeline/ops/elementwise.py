"""Element-wise ops with numpy broadcasting, each with its gradient beside it."""

from __future__ import annotations

import math
from collections.abc import Callable

from pipeline.graph.builder import Builder
from pipeline.graph.ir import Node, Type
from pipeline.ops.table import Cost, Op, broadcast, sum_to

# g is the gradient of the result y; a rule returns one gradient for each operand, before summing to its shape
Rule = Callable[..., tuple[str | None, ...]]


def _same(*types: Type) -> tuple[Type, ...]:
    return (broadcast(*types),)


def _compared(*types: Type) -> tuple[Type, ...]:
    return (Type("bool", broadcast(*types).shape),)


def _chosen(condition: Type, yes: Type, no: Type) -> tuple[Type, ...]:
    assert condition.dtype == "bool", f"where needs a bool condition, got {condition}"
    return (broadcast(Type(yes.dtype, condition.shape), yes, no),)


def _cast(x: Type, *, dtype: str) -> tuple[Type, ...]:
    return (Type(dtype, x.shape),)


def _with_gradient(rule: Rule) -> Callable[[Builder, Node, tuple[str | None, ...]], tuple[str | None, ...]]:
    def gradient(b: Builder, node: Node, grads: tuple[str | None, ...]) -> tuple[str | None, ...]:
        parts = rule(b, grads[0], node.outputs[0], *node.inputs)
        return tuple(None if p is None else sum_to(b, p, b.shape(i)) for p, i in zip(parts, node.inputs, strict=True))

    return gradient


def _maximum(b: Builder, g: str, y: str, x: str, z: str) -> tuple[str, ...]:
    # y > z says the same as x > z, and y is the value that the next layer keeps anyway
    first, zero = b.add("greater", y, z), b.constant(0.0)
    return b.add("where", first, g, zero), b.add("where", first, zero, g)


def _where(b: Builder, g: str, y: str, condition: str, yes: str, no: str) -> tuple[str | None, ...]:
    zero = b.constant(0.0)
    return None, b.add("where", condition, g, zero), b.add("where", condition, zero, g)


def _sqrt(b: Builder, g: str, y: str, x: str) -> tuple[str, ...]:
    return (b.add("div", b.add("mul", g, b.constant(0.5)), y),)


def _tanh(b: Builder, g: str, y: str, x: str) -> tuple[str, ...]:
    return (b.add("mul", g, b.add("sub", b.constant(1.0), b.add("mul", y, y))),)


def _sigmoid(b: Builder, g: str, y: str, x: str) -> tuple[str, ...]:
    return (b.add("mul", g, b.add("mul", y, b.add("sub", b.constant(1.0), y))),)


def _erf(b: Builder, g: str, y: str, x: str) -> tuple[str, ...]:
    bell = b.add("exp", b.add("neg", b.add("mul", x, x)))
    return (b.add("mul", g, b.add("mul", bell, b.constant(2.0 / math.sqrt(math.pi)))),)


def _abs(b: Builder, g: str, y: str, x: str) -> tuple[str, ...]:
    zero = b.constant(0.0)  # the subgradient at 0: what stands there is not pushed
    falling = b.add("where", b.add("less", x, zero), b.add("neg", g), zero)
    return (b.add("where", b.add("greater", x, zero), g, falling),)


def _div(b: Builder, g: str, y: str, x: str, z: str) -> tuple[str, ...]:
    return b.add("div", g, z), b.add("neg", b.add("div", b.add("mul", g, y), z))


RULES: dict[str, tuple[Cost, Rule]] = {
    "add": ("cheap", lambda b, g, y, x, z: (g, g)),
    "sub": ("cheap", lambda b, g, y, x, z: (g, b.add("neg", g))),
    "mul": ("cheap", lambda b, g, y, x, z: (b.add("mul", g, z), b.add("mul", g, x))),
    "div": ("slow", _div),
    "neg": ("cheap", lambda b, g, y, x: (b.add("neg", g),)),
    "maximum": ("cheap", _maximum),
    "exp": ("dear", lambda b, g, y, x: (b.add("mul", g, y),)),
    "expm1": ("dear", lambda b, g, y, x: (b.add("mul", g, b.add("add", y, b.constant(1.0))),)),
    "log": ("dear", lambda b, g, y, x: (b.add("div", g, x),)),
    "log1p": ("dear", lambda b, g, y, x: (b.add("div", g, b.add("add", x, b.constant(1.0))),)),
    "sqrt": ("slow", _sqrt),
    "tanh": ("dear", _tanh),
    "sigmoid": ("dear", _sigmoid),
    "erf": ("dear", _erf),
    "abs": ("cheap", _abs),
}

ELEMENTWISE: tuple[Op, ...] = (
    *(Op(name=n, shape=_same, kind="elementwise", gradient=_with_gradient(rule), cost=cost) for n, (cost, rule) in RULES.items()),
    Op(name="where", shape=_chosen, kind="elementwise", gradient=_with_gradient(_where), cost="cheap"),
    Op(name="greater", shape=_compared, kind="elementwise", cost="cheap"),
    Op(name="less", shape=_compared, kind="elementwise", cost="cheap"),
    Op(name="equal", shape=_compared, kind="elementwise", cost="cheap"),
    Op(name="cast", shape=_cast, kind="elementwise", cost="cheap"),
)
