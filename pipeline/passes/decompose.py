"""Replaces composite ops by simpler ones where the backend has no kernel of its own for them."""

from __future__ import annotations

from collections import Counter

from backends.contract import Target
from pipeline.graph.builder import Builder
from pipeline.graph.ir import Graph, Node
from pipeline.ops import OPS
from pipeline.passes.rebuild import copy, rebuild


def decompose(graph: Graph, target: Target) -> tuple[Graph, tuple[str, ...]]:
    """`graph` without composites, but for those that `target` keeps."""
    count: Counter[str] = Counter()

    def emit(b: Builder, node: Node) -> tuple[str, ...]:
        rule = OPS[node.op].decompose
        if rule is None or node.op in target.keeps:
            return copy(b, node)
        count[node.op] += 1
        b.scope = node.outputs[0].rpartition("/")[0]
        results = rule(b, node)
        b.scope = ""
        return results

    result = rebuild(graph, emit)
    return result, tuple(f"{n} x {op} written out in simpler ops: the backend fuses them" for op, n in sorted(count.items()))
