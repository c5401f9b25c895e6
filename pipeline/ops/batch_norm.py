"""Batch normalization over all axes but the last."""

# n rows (all axes but the last), C channels
from __future__ import annotations

import math

from pipeline.graph.builder import Builder
from pipeline.graph.ir import Node, Type
from pipeline.ops.reduce import mean
from pipeline.ops.table import Op


def _shape(x: Type, gamma: Type, beta: Type, epsilon: Type) -> tuple[Type, ...]:
    """x [..., C], gamma [C], beta [C], epsilon [] -> y [..., C], mean [C], biased variance [C]."""
    assert gamma.shape == beta.shape == x.shape[-1:], f"batch_norm of {x} with gamma {gamma}"
    return (x, gamma, gamma)


def _decompose(b: Builder, node: Node) -> tuple[str, ...]:
    """y = gamma * (x - mean) / sqrt(var + epsilon) + beta (Ioffe & Szegedy 2015, algorithm 1).

    The variance is the mean of (x - mean)^2; E[x^2] - E[x]^2 would cancel when |mean| >> std.
    """
    x, gamma, beta, epsilon = node.inputs
    rows = tuple(range(len(b.shape(x)) - 1))
    center = mean(b, x, rows, "mean")
    off = b.add("sub", x, center, name="centered")
    variance = mean(b, b.add("mul", off, off), rows, "variance")
    normal = b.add("mul", off, _inverse_std(b, variance, epsilon), name="normalized")
    return b.add("add", b.add("mul", gamma, normal), beta, name="batch_norm"), center, variance


def _gradient(b: Builder, node: Node, grads: tuple[str | None, ...]) -> tuple[str | None, ...]:
    """dx = gamma / std * (g - mean(g) - xhat * mean(g * xhat)), dgamma = sum(g * xhat), dbeta = sum(g).

    The statistics leave the graph for the running values only; no gradient flows through them.
    """
    x, gamma, _, epsilon = node.inputs
    _, center, variance = node.outputs
    g = grads[0]
    assert g is not None and grads[1] is None and grads[2] is None
    rows = tuple(range(len(b.shape(x)) - 1))
    scale = b.constant(1.0 / math.prod(b.shape(x)[:-1]))
    inverse = _inverse_std(b, variance, epsilon)
    normal = b.add("mul", b.add("sub", x, center), inverse, name="normalized")
    d_beta = b.add("sum", g, axes=rows, name="beta_gradient")
    d_gamma = b.add("sum", b.add("mul", g, normal), axes=rows, name="gamma_gradient")
    projected = b.add("mul", normal, b.add("mul", d_gamma, scale))
    inner = b.add("sub", b.add("sub", g, b.add("mul", d_beta, scale)), projected)
    return b.add("mul", b.add("mul", gamma, inverse), inner, name="batch_norm_gradient"), d_gamma, d_beta, None


def _inverse_std(b: Builder, variance: str, epsilon: str) -> str:
    return b.add("div", b.constant(1.0), b.add("sqrt", b.add("add", variance, epsilon)), name="inverse_std")


BATCH_NORM: tuple[Op, ...] = (Op(name="batch_norm", shape=_shape, kind="composite", gradient=_gradient, decompose=_decompose),)
