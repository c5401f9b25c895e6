"""The numerically careful parts of the losses."""

# N rows, C classes
from __future__ import annotations

from pipeline.graph.builder import Builder
from pipeline.graph.ir import Node, Type
from pipeline.ops.table import Op


def _cross_entropy(logits: Type, labels: Type) -> tuple[Type, ...]:
    """logits [N, C], labels int32 [N] -> row losses [N], probabilities [N, C]."""
    assert labels == Type("int32", logits.shape[:1]), f"softmax_cross_entropy of {logits} with labels {labels}"
    return (Type(logits.dtype, logits.shape[:1]), logits)


def _cross_entropy_decompose(b: Builder, node: Node) -> tuple[str, ...]:
    """loss = log(sum exp(z - max z)) + max z - z[label]; the maximum is subtracted, so nothing overflows."""
    logits, labels = node.inputs
    n = b.shape(logits)[0]
    top = b.reshape(b.add("max", logits, axes=(1,)), (n, 1))
    powers = b.add("exp", b.add("sub", logits, top))
    total = b.add("sum", powers, axes=(1,))
    picked = b.add("sum", b.add("where", _one_hot(b, logits, labels), b.add("sub", logits, top), b.constant(0.0)), axes=(1,))
    loss = b.add("sub", b.add("log", total), picked, name="row_loss")
    return loss, b.add("div", powers, b.reshape(total, (n, 1)), name="probabilities")


def _cross_entropy_gradient(b: Builder, node: Node, grads: tuple[str | None, ...]) -> tuple[str | None, ...]:
    """dz = (probabilities - one_hot) * g  (Bridle 1990).  No gradient flows through the probabilities."""
    logits, labels = node.inputs
    n = b.shape(logits)[0]
    g = grads[0]
    assert g is not None and grads[1] is None
    hot = b.add("cast", _one_hot(b, logits, labels), dtype=b.types[logits].dtype)
    return b.add("mul", b.add("sub", node.outputs[1], hot), b.reshape(g, (n, 1)), name="logits_gradient"), None


def _one_hot(b: Builder, logits: str, labels: str) -> str:
    n, classes = b.shape(logits)
    return b.add("equal", b.add("column_index", columns=classes), b.reshape(labels, (n, 1)), name="one_hot")


def _softplus_decompose(b: Builder, node: Node) -> tuple[str, ...]:
    """log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)): never overflows."""
    (x,) = node.inputs
    small = b.add("log1p", b.add("exp", b.add("neg", b.add("abs", x))))
    return (b.add("add", b.add("maximum", x, b.constant(0.0)), small, name="softplus"),)


def _softplus_gradient(b: Builder, node: Node, grads: tuple[str | None, ...]) -> tuple[str | None, ...]:
    assert grads[0] is not None
    return (b.add("mul", grads[0], b.add("sigmoid", node.inputs[0])),)


LOSS: tuple[Op, ...] = (
    Op(
        name="softmax_cross_entropy",
        shape=_cross_entropy,
        kind="composite",
        gradient=_cross_entropy_gradient,
        decompose=_cross_entropy_decompose,
    ),
    Op(name="softplus", shape=lambda x: (x,), kind="composite", gradient=_softplus_gradient, decompose=_softplus_decompose),
)
