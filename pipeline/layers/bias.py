"""A pass over the layer graph: no bias where batch norm follows."""

from __future__ import annotations

from dataclasses import replace

from pipeline.layers.graph import LayerGraph, LayerNode
from pipeline.layers.normalization import BatchNormalization


def remove_biases(network: LayerGraph) -> tuple[LayerGraph, tuple[str, ...]]:
    """`network` without the biases that batch norm takes out again with the mean, and a reason for each.

    Ioffe & Szegedy 2015, section 3.2.
    """
    readers: dict[str, list[LayerNode]] = {}
    for node in network.nodes:
        for source in node.inputs:
            readers.setdefault(source, []).append(node)
    nodes, reasons = [], []
    for node in network.nodes:
        following = readers.get(node.name, [])
        biased = any(p.name == f"{node.name}.bias" for p in node.parameters)
        if biased and following and all(isinstance(n.record, BatchNormalization) for n in following):
            node = replace(node, parameters=tuple(p for p in node.parameters if p.name != f"{node.name}.bias"))
            reasons.append(f"bias of {node.name} removed: batch norm follows, its gradient is zero")
        nodes.append(node)
    return replace(network, nodes=tuple(nodes)), tuple(reasons)
