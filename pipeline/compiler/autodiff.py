"""Reverse-mode differentiation: walks the graph backward and lets each op's rule emit its gradient nodes."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.graph.builder import Builder
from pipeline.graph.ir import Node
from pipeline.ops import OPS


def gradients(b: Builder, loss: str, wanted: Sequence[str]) -> dict[str, str]:
    """Adds the backward half of the scalar `loss` to `b` -> wanted value -> its gradient.

    Algorithm: a value's gradient is the sum of what its users send back (Linnainmaa 1970); nodes
    that depend on no wanted value are skipped.
    """
    nodes = list(b.nodes)
    active = _active(nodes, wanted)
    gradient: dict[str, str] = {loss: b.constant(1.0)}
    for node in reversed(nodes):
        sent = tuple(gradient.get(name) for name in node.outputs)
        rule = OPS[node.op].gradient
        if not any(sent) or rule is None or not active.intersection(node.inputs):
            continue
        b.scope = _scope(node.outputs[0])
        for name, part in zip(node.inputs, rule(b, node, sent), strict=True):
            if part is not None and name in active:
                gradient[name] = b.add("add", gradient[name], part, name="gradient_sum") if name in gradient else part
    b.scope = ""
    missing = [name for name in wanted if name not in gradient]
    assert not missing, f"no gradient reaches {missing}"
    return {name: gradient[name] for name in wanted}


def _active(nodes: Sequence[Node], wanted: Sequence[str]) -> set[str]:
    """Values that depend on a wanted value."""
    active = set(wanted)
    for node in nodes:
        if active.intersection(node.inputs):
            active.update(node.outputs)
    return active


def _scope(name: str) -> str:
    layer = name.rsplit("/", 1)[0] if "/" in name else ""
    return layer if layer.startswith("gradient") or not layer else f"gradient/{layer}"
