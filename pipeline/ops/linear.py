"""Matrix products."""

# M rows, K summed, N columns
from __future__ import annotations

from pipeline.graph.builder import Builder
from pipeline.graph.ir import Node, Type
from pipeline.ops.table import Op


def _matmul(a: Type, c: Type, start: Type | None = None, *, transpose_a: bool = False, transpose_b: bool = False) -> tuple[Type, ...]:
    """a [M, K] (or [K, M] when transposed) times b [K, N] (or [N, K]) -> [M, N], the sums beginning with `start`."""
    m, k = reversed(a.shape) if transpose_a else a.shape
    k2, n = reversed(c.shape) if transpose_b else c.shape
    assert k == k2 and a.dtype == c.dtype, f"matmul of {a} and {c}"
    assert start is None or start.shape == (m, n), f"matmul of {a} and {c} that begins with {start}"
    return (Type(a.dtype, (m, n)),)


def _gradient(b: Builder, node: Node, grads: tuple[str | None, ...]) -> tuple[str | None, ...]:
    """y = a b: da = g b^T, db = a^T g; y = a b^T: da = g b, db = g^T a.  No layer emits a^T b."""
    assert not node.attributes.get("transpose_a")
    (g,), (x, w) = grads, node.inputs
    assert g is not None
    if node.attributes.get("transpose_b"):
        return b.add("matmul", g, w, name="matmul_data"), b.add("matmul", g, x, transpose_a=True, name="matmul_weight")
    return b.add("matmul", g, w, transpose_b=True, name="matmul_data"), b.add("matmul", x, g, transpose_a=True, name="matmul_weight")


LINEAR: tuple[Op, ...] = (Op(name="matmul", shape=_matmul, kind="opaque", gradient=_gradient),)
