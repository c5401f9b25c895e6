"""Ops without a data operand: literals, column numbers and random numbers.  Element-wise, so they are made where they are used."""

from __future__ import annotations

from pipeline.graph.ir import Type
from pipeline.ops.table import Op


def _constant(*, value: float, dtype: str) -> tuple[Type, ...]:
    """A literal -> []."""
    return (Type(dtype, ()),)


def _column_index(*, columns: int) -> tuple[Type, ...]:
    """0, 1, ..., columns - 1 -> int32 [columns]."""
    return (Type("int32", (columns,)),)


def _uniform(
    seed: Type, step_low: Type, step_high: Type, *, shape: tuple[int, ...], stream: int, path: int, dtype: str
) -> tuple[Type, ...]:
    """Uniform on [0, 1) with 24 bits, from Philox4x32-10: key (seed, stream), counter (element, path, step); see pipeline/random.py."""
    assert seed.dtype == step_low.dtype == step_high.dtype == "uint32"
    return (Type(dtype, shape),)


SOURCE: tuple[Op, ...] = (
    Op(name="constant", shape=_constant, kind="elementwise", cost="cheap"),
    Op(name="column_index", shape=_column_index, kind="elementwise", cost="cheap", sized=True),
    Op(name="uniform", shape=_uniform, kind="elementwise", cost="dear", random=True, sized=True),
)
