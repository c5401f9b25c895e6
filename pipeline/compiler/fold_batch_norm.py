"""Batch norm in evaluation is one multiplication and one addition a channel: they are taken into the weights of the layer before it.

gamma * (x W - mean) / sqrt(var + epsilon) + beta = x W' + b' with W' = W * scale and b' = beta - mean * scale, where
scale = gamma / sqrt(var + epsilon); a bias b of the layer makes mean - b of the mean.  W' and b' are made once an evaluation,
however many rows it has, by a program of their own.
"""

# O outputs of the layer, kh kw window of a convolution, I inputs
from __future__ import annotations

from dataclasses import dataclass, replace

from pipeline.graph.builder import Builder
from pipeline.graph.ir import Graph
from pipeline.layers.conv import Conv
from pipeline.layers.conv_transpose import ConvTranspose
from pipeline.layers.dense import Dense
from pipeline.layers.graph import LayerGraph, LayerNode, Parameter
from pipeline.layers.normalization import BatchNormalization
from pipeline.ops import SHAPE_RULES


@dataclass(frozen=True, kw_only=True)
class Fold:
    """`norm` goes into the weights of `layer`, whose form for evaluation is `folded`."""

    layer: LayerNode
    norm: LayerNode
    folded: LayerNode


def fold_batch_norms(network: LayerGraph) -> tuple[LayerGraph, tuple[Fold, ...], tuple[str, ...]]:
    """`network` for evaluation, without the batch norms that the weights before them can take; which they are; a reason for each norm."""
    layers, readers = {node.name: node for node in network.nodes}, network.readers
    folds, reasons = [], []
    for norm in network.nodes:
        if not isinstance(norm.record, BatchNormalization):
            continue
        (source,) = norm.inputs
        others = [node.name for node in readers[source] if node is not norm]
        if source not in layers or not isinstance(layers[source].record, (Dense, Conv, ConvTranspose)):
            reasons.append(f"{norm.name} stays: {source}, before it, has no weight to take it")
        elif isinstance(record := layers[source].record, ConvTranspose) and record.groups > 1:
            reasons.append(f"{norm.name} stays: each group of {source} has weights of its own")
        elif others:
            reasons.append(f"{norm.name} stays: {', '.join(others)} reads {source} too")
        else:
            folds.append(Fold(layer=layers[source], norm=norm, folded=_folded(layers[source])))
            reasons.append(f"{norm.name} folded into {source}: weight * gamma / sqrt(running_variance + epsilon), once an evaluation")
    return _without(network, folds), tuple(folds), tuple(reasons)


def fold_graph(folds: tuple[Fold, ...], precision: str) -> Graph:
    """The program that makes the folded weights and biases from the parameters and the running statistics."""
    b = Builder(precision, SHAPE_RULES)
    for fold in folds:
        b.scope = fold.folded.name
        gamma, beta, mean, variance = (b.input(p.name, p.shape, "state") for p in fold.norm.parameters)
        weight, *bias = (b.input(p.name, p.shape, "state") for p in fold.layer.parameters)
        new_weight, new_bias = (b.input(p.name, p.shape, "state") for p in fold.folded.parameters)
        deviation = b.add("sqrt", b.add("add", variance, b.value(f"{fold.norm.name}.epsilon")))
        scale = b.add("div", gamma, deviation, name="scale")
        b.updates[new_weight] = _scaled(b, fold.layer, weight, scale)
        center = b.add("sub", mean, bias[0]) if bias else mean
        b.updates[new_bias] = b.add("sub", beta, b.add("mul", center, scale), name="bias")
    b.scope = ""
    return b.graph()


def _scaled(b: Builder, layer: LayerNode, weight: str, scale: str) -> str:
    """The weight with each output's numbers times its scale [O]."""
    shape = b.shape(weight)
    if isinstance(layer.record, ConvTranspose):  # [kh, kw, O, I]: a scale holds for a run of inputs
        scale = b.reshape(b.add("spread", scale, shape=shape[:3]), (*shape[:3], 1))
    return b.add("mul", weight, scale, name="weight")


def _folded(layer: LayerNode) -> LayerNode:
    """`layer` with the weight and the bias of evaluation."""
    weight = layer.parameters[0]
    outputs = weight.shape[-2:-1] if isinstance(layer.record, ConvTranspose) else weight.shape[-1:]
    made = {f"{layer.name}.folded_weight": weight.shape, f"{layer.name}.folded_bias": outputs}
    parameters = tuple(Parameter(name=name, shape=shape, initial=0.0, trained=False) for name, shape in made.items())
    return replace(layer, parameters=parameters)


def _without(network: LayerGraph, folds: list[Fold]) -> LayerGraph:
    folded = {fold.layer.name: fold.folded for fold in folds}
    gone = {fold.norm.name: fold.layer.name for fold in folds}
    nodes = [folded.get(node.name, node) for node in network.nodes if node.name not in gone]
    return replace(network, nodes=tuple(replace(node, inputs=tuple(gone.get(i, i) for i in node.inputs)) for node in nodes))
