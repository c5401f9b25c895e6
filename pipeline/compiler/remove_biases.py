"""A pass over the layer graph: no bias where a normalization takes the mean of each channel out again."""

from __future__ import annotations

from dataclasses import replace

from pipeline.extend.layers import Own
from pipeline.layers.graph import LayerGraph
from pipeline.layers.group_norm import removes_the_mean_of_a_channel
from pipeline.layers.kind import Shape
from pipeline.layers.normalization import NORMALIZATIONS, BatchNormalization
from pipeline.layers.part import Normalization


def remove_biases(network: LayerGraph) -> tuple[LayerGraph, tuple[str, ...]]:
    """`network` without the biases that a normalization takes out again with the mean, and a reason for each.

    Batch norm does (Ioffe & Szegedy 2015, section 3.2), and instance norm; layer and group norm take one mean over several channels.
    """
    nodes, reasons, readers = [], [], network.readers
    for node in network.nodes:
        following = readers[node.name]
        centering = [n.record for n in following if isinstance(n.record, Normalization) and _centers(n.record, n.shape)]
        added = not isinstance(node.record, Own)  # what an extension calls a bias may be anything
        biased = added and any(p.name == f"{node.name}.bias" for p in node.parameters)
        if biased and centering and len(centering) == len(following):
            node = replace(node, parameters=tuple(p for p in node.parameters if p.name != f"{node.name}.bias"))
            kinds = " and ".join(dict.fromkeys(NORMALIZATIONS.kind_of(each) for each in centering))
            reasons.append(f"bias of {node.name} removed: {kinds} norm follows, its gradient is zero")
        nodes.append(node)
    return replace(network, nodes=tuple(nodes)), tuple(reasons)


def _centers(normalization: Normalization, shape: Shape) -> bool:
    return isinstance(normalization, BatchNormalization) or removes_the_mean_of_a_channel(normalization, shape)
