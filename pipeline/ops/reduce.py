"""Reductions over axes, and views."""

from __future__ import annotations

import math

from pipeline.graph.builder import Builder
from pipeline.graph.ir import Node, Type
from pipeline.ops.table import Op, sum_to


def _reduced(x: Type, *, axes: tuple[int, ...]) -> tuple[Type, ...]:
    return (Type(x.dtype, tuple(n for axis, n in enumerate(x.shape) if axis not in axes)),)


def _summed(x: Type, start: Type | None = None, *, axes: tuple[int, ...], times: int = 1) -> tuple[Type, ...]:
    """x summed over `axes`, the chains of additions beginning with `start`; of a sum over `times` as many rows it is a part."""
    (result,) = _reduced(x, axes=axes)
    assert start is None or start == result, f"a sum {result} that begins with {start}"
    return (result,)


def _reshaped(x: Type, *, shape: tuple[int, ...]) -> tuple[Type, ...]:
    assert math.prod(shape) == math.prod(x.shape), f"{x} cannot be seen as {shape}"
    return (Type(x.dtype, shape),)


def _sum_gradient(b: Builder, node: Node, grads: tuple[str | None, ...]) -> tuple[str | None, ...]:
    """d sum(x) / dx = 1: the gradient is spread over the summed axes (by broadcasting against zeros of the full shape)."""
    shape = b.shape(node.inputs[0])
    kept = tuple(1 if axis in node.attributes["axes"] else n for axis, n in enumerate(shape))
    assert grads[0] is not None
    return (b.add("spread", b.reshape(grads[0], kept), shape=shape),)


def _spread(x: Type, *, shape: tuple[int, ...]) -> tuple[Type, ...]:
    """x broadcast to `shape`."""
    return (Type(x.dtype, shape),)


def _spread_gradient(b: Builder, node: Node, grads: tuple[str | None, ...]) -> tuple[str | None, ...]:
    assert grads[0] is not None
    return (sum_to(b, grads[0], b.shape(node.inputs[0])),)


def _reshape_gradient(b: Builder, node: Node, grads: tuple[str | None, ...]) -> tuple[str | None, ...]:
    assert grads[0] is not None
    return (b.reshape(grads[0], b.shape(node.inputs[0])),)


REDUCE: tuple[Op, ...] = (
    Op(name="sum", shape=_summed, kind="reduction", gradient=_sum_gradient),
    Op(name="max", shape=_reduced, kind="reduction"),
    Op(name="spread", shape=_spread, kind="elementwise", gradient=_spread_gradient, cost="cheap", sized=True),
    Op(name="reshape", shape=_reshaped, kind="view", gradient=_reshape_gradient, cost="cheap"),
)


def mean(b: Builder, x: str, axes: tuple[int, ...], name: str = "mean") -> str:
    """The mean of x over `axes`."""
    count = math.prod(b.shape(x)[axis] for axis in axes)
    return b.add("mul", b.add("sum", x, axes=axes), b.constant(1.0 / count), name=name)
