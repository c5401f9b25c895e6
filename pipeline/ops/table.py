"""What an op is: a name with tables.  The kernels are elsewhere, one table a backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.graph.builder import Builder, ShapeRule
from pipeline.graph.ir import Node, Type

# gradients of the node's outputs (None: not needed) -> gradients of its inputs (None: no gradient flows there)
GradientRule = Callable[[Builder, Node, tuple[str | None, ...]], tuple[str | None, ...]]
Decomposition = Callable[[Builder, Node], tuple[str, ...]]
Cost = Literal["cheap", "slow", "dear"]


@dataclass(frozen=True, kw_only=True)
class Op:
    """shape      types of the inputs and the attributes -> types of the results
    gradient   emits the nodes of the backward half; None states that no gradient flows
    decompose  emits simpler ops in its place, for backends without a kernel of their own
    kind       elementwise: numpy broadcasting, may be fused; reduction: sum or max over axes; view: no work; opaque: a kernel of its own;
               composite: has a decomposition
    cost       of an element-wise op or a view, number by number: cheap (made again wherever it is read, as an addition), slow (made again
               where memory is short, as a division), dear (made once, as an exponential); None for the other kinds, which are made once
    random     whether it draws
    sized      whether its attributes say how large its result is, which may be more than its operands span
    """

    name: str
    shape: ShapeRule
    kind: Literal["elementwise", "reduction", "view", "opaque", "composite"]
    gradient: GradientRule | None = None
    decompose: Decomposition | None = None
    cost: Cost | None = None
    random: bool = False
    sized: bool = False


def broadcast(*types: Type) -> Type:
    """The type of an element-wise result: the numpy broadcast of the shapes; all dtypes equal."""
    assert len({t.dtype for t in types}) == 1, f"element-wise op over {', '.join(map(str, types))}"
    shapes = {t.shape for t in types if t.shape}
    return Type(types[0].dtype, np.broadcast_shapes(*shapes) if len(shapes) > 1 else next(iter(shapes), ()))


def sum_to(b: Builder, gradient: str, shape: tuple[int, ...]) -> str:
    """Sums `gradient` over the axes along which an operand of `shape` was broadcast."""
    have = b.shape(gradient)
    if have == shape:
        return gradient
    padded = (1,) * (len(have) - len(shape)) + shape
    axes = tuple(axis for axis, (h, s) in enumerate(zip(have, padded, strict=True)) if s == 1 and h != 1)
    result = b.add("sum", gradient, axes=axes) if axes else gradient
    return b.reshape(result, shape)
