"""Tensors put side by side along an axis, and cut apart again: each is the adjoint of the other."""

# n_i size of part i along the axis
from __future__ import annotations

from pipeline.graph.builder import Builder
from pipeline.graph.ir import Node, Type
from pipeline.ops.table import Op


def _concat(*parts: Type, axis: int) -> tuple[Type, ...]:
    """Parts [..., n_i, ...], alike but for `axis`, -> [..., sum of n_i, ...]."""
    first = parts[0]
    rest = {(p.dtype, p.shape[:axis], p.shape[axis + 1 :]) for p in parts}
    assert len(rest) == 1 and 0 <= axis < len(first.shape), f"concat of {', '.join(map(str, parts))} along {axis}"
    return (Type(first.dtype, (*first.shape[:axis], sum(p.shape[axis] for p in parts), *first.shape[axis + 1 :])),)


def _split(x: Type, *, sizes: tuple[int, ...], axis: int) -> tuple[Type, ...]:
    """x [..., sum of n_i, ...] -> one part [..., n_i, ...] for each of `sizes`, in order."""
    assert sum(sizes) == x.shape[axis] and min(sizes) > 0, f"split of {x} into {sizes} along {axis}"
    return tuple(Type(x.dtype, (*x.shape[:axis], n, *x.shape[axis + 1 :])) for n in sizes)


def _concat_gradient(b: Builder, node: Node, grads: tuple[str | None, ...]) -> tuple[str | None, ...]:
    assert grads[0] is not None
    axis = node.attributes["axis"]
    return split(b, grads[0], tuple(b.shape(part)[axis] for part in node.inputs), axis)


def _split_gradient(b: Builder, node: Node, grads: tuple[str | None, ...]) -> tuple[str | None, ...]:
    """A part that nothing reads sends zeros back."""
    parts = [b.add("spread", b.constant(0.0), shape=b.shape(part)) if g is None else g for g, part in zip(grads, node.outputs, strict=True)]
    return (b.add("concat", *parts, axis=node.attributes["axis"]),)


CONCAT: tuple[Op, ...] = (
    Op(name="concat", shape=_concat, kind="opaque", gradient=_concat_gradient),
    Op(name="split", shape=_split, kind="opaque", gradient=_split_gradient),
)


def split(b: Builder, x: str, sizes: tuple[int, ...], axis: int, name: str = "split") -> tuple[str, ...]:
    """The parts of x along `axis`."""
    return b.add_many("split", x, names=tuple(f"{name}{n}" for n in range(len(sizes))), sizes=sizes, axis=axis)
