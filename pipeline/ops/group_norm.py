"""Normalization within a sample: of the rows of a matrix, and of groups of channels of an image."""

# N batch, R rows, C columns or channels, H W image, G groups of channels
from __future__ import annotations

from pipeline.graph.builder import Builder
from pipeline.graph.ir import Node, Type
from pipeline.ops.reduce import mean
from pipeline.ops.table import Op


def _standardize(x: Type, epsilon: Type) -> tuple[Type, ...]:
    """x [R, C], epsilon [] -> (x - mean) / sqrt(var + epsilon) of each row [R, C], 1 / sqrt(var + epsilon) [R]."""
    assert len(x.shape) == 2, f"standardize of {x}"
    return x, Type(x.dtype, x.shape[:1])


def _standardize_decompose(b: Builder, node: Node) -> tuple[str, ...]:
    """The variance is the mean of (x - mean)^2; E[x^2] - E[x]^2 would cancel when |mean| >> std."""
    x, epsilon = node.inputs
    column = (b.shape(x)[0], 1)
    off = b.add("sub", x, b.reshape(mean(b, x, (1,)), column), name="centered")
    variance = mean(b, b.add("mul", off, off), (1,), "variance")
    inverse = b.add("div", b.constant(1.0), b.add("sqrt", b.add("add", variance, epsilon)), name="inverse_std")
    return b.add("mul", off, b.reshape(inverse, column), name="normalized"), inverse


def _standardize_gradient(b: Builder, node: Node, grads: tuple[str | None, ...]) -> tuple[str | None, ...]:
    """dx = (g - mean(g) - xhat * mean(g * xhat)) / std, means over the row.  The deviation itself is not differentiated."""
    normal, inverse = node.outputs
    g = grads[0]
    assert g is not None and grads[1] is None
    column = (b.shape(g)[0], 1)
    level = b.reshape(mean(b, g, (1,)), column)
    slope = b.reshape(mean(b, b.add("mul", g, normal), (1,)), column)
    inner = b.add("sub", b.add("sub", g, level), b.add("mul", normal, slope))
    return b.add("mul", inner, b.reshape(inverse, column), name="standardize_gradient"), None


def _group_norm(x: Type, gamma: Type, beta: Type, epsilon: Type, *, groups: int) -> tuple[Type, ...]:
    """x [N, H, W, C], gamma [C], beta [C], epsilon [] -> y [N, H, W, C], mean [N, G], 1 / sqrt(var + epsilon) [N, G]."""
    n, *_, channels = x.shape
    assert len(x.shape) == 4 and gamma.shape == beta.shape == (channels,), f"group_norm of {x} with gamma {gamma}"
    assert channels % groups == 0, f"group_norm of {x} over {groups} groups"
    statistic = Type(x.dtype, (n, groups))
    return x, statistic, statistic


def _group_norm_back(x: Type, gamma: Type, center: Type, inverse: Type, g: Type) -> tuple[Type, ...]:
    """x, g [N, H, W, C], gamma [C], mean and 1 / std [N, G] -> the gradient of x, and a sample's parts of gamma's and beta's [N, C]."""
    assert x == g and center == inverse and center.shape[0] == x.shape[0] and x.shape[-1] % center.shape[1] == 0
    part = Type(x.dtype, (x.shape[0], x.shape[-1]))
    return x, part, part


def _group_norm_gradient(b: Builder, node: Node, grads: tuple[str | None, ...]) -> tuple[str | None, ...]:
    """dx = (gamma g - mean(gamma g) - xhat * mean(gamma g * xhat)) / std, means over the group (Wu & He 2018, eq. 1 and 2)."""
    x, gamma, _, _ = node.inputs
    _, center, inverse = node.outputs
    g = grads[0]
    assert g is not None and grads[1] is None and grads[2] is None
    names = ("group_norm_gradient", "gamma_parts", "beta_parts")
    dx, d_gamma, d_beta = b.add_many("group_norm_gradient", x, gamma, center, inverse, g, names=names)
    return dx, b.add("sum", d_gamma, axes=(0,), name="gamma_gradient"), b.add("sum", d_beta, axes=(0,), name="beta_gradient"), None


GROUP_NORM: tuple[Op, ...] = (
    Op(name="standardize", shape=_standardize, kind="composite", gradient=_standardize_gradient, decompose=_standardize_decompose),
    Op(name="group_norm", shape=_group_norm, kind="opaque", gradient=_group_norm_gradient),
    Op(name="group_norm_gradient", shape=_group_norm_back, kind="opaque"),
)
