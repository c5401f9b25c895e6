"""Mean and variance of each layer's values as the initialization leads one to expect, without data and without running the network.

A layer's values are a sample of numbers, taken as independent of each other.  A weighted layer makes them normal: its weights are drawn
with mean 0, so Var(y) = fan_in * E[w^2] * E[x^2]  (Glorot & Bengio 2010, eq. 5; He, Zhang, Ren & Sun 2015, eq. 6), E[w^2] being that of
the weights really drawn.  Every other layer (activation, normalization, dropout, pooling, add, those of extensions with the weights drawn
for them, ...) is applied to the sample by the oracle.
"""

# B batch rows
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline import random
from pipeline.compiler.run_once import run_once
from pipeline.extend.layers import Own
from pipeline.graph.builder import Builder
from pipeline.layers import rule_of
from pipeline.layers.graph import LayerGraph, LayerNode, Parameter
from pipeline.layers.names import INPUT
from pipeline.ops import SHAPE_RULES
from pipeline.recipe.initialization import draw

SIZE = 2**15
Sample = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Of the values of one layer, in training."""

    layer: str
    kind: str
    mean: float
    variance: float


def predicted(network: LayerGraph, seed: int) -> tuple[Expected, ...]:
    """Layer by layer, for inputs of mean 0 and variance 1."""
    samples, rows = {INPUT: _normal(1.0, seed, INPUT)}, []
    for node in network.nodes:
        inputs = [samples[name] for name in node.inputs]
        weights = [p for p in node.parameters if p.fan_in and not isinstance(node.record, Own)]
        samples[node.name] = _weighted(node, weights[0], inputs[0], seed) if weights else _applied(network, node, inputs, seed)
        made = samples[node.name]
        rows.append(Expected(layer=node.name, kind=node.kind, mean=float(made.mean()), variance=float(made.var())))
    return tuple(rows)


def print_predicted(network: LayerGraph, seed: int) -> str:
    """A table: one row a layer."""
    rows = [("layer", "kind", "mean", "variance")]
    rows += [(e.layer, e.kind, _short(e.mean), _short(e.variance)) for e in predicted(network, seed)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [f"{a.ljust(widths[0])}  {b.ljust(widths[1])}  {c.rjust(widths[2])}  {d.rjust(widths[3])}" for a, b, c, d in rows]
    return "\n".join(["predicted from the initial weights, for inputs of mean 0 and variance 1, in training", *lines])


def _short(number: float) -> str:
    """Three digits; what rounding left of a 0 is 0."""
    return f"{number:.3g}" if abs(number) > 1e-12 else "0"


def _weighted(node: LayerNode, weight: Parameter, x: Sample, seed: int) -> Sample:
    drawn = _initial(weight, seed)
    variance = weight.fan_in * float(np.mean(np.square(drawn))) * float(np.mean(np.square(x)))
    bias = sum(p.initial for p in node.parameters if isinstance(p.initial, float))
    return _normal(variance, seed, node.name) + bias


def _initial(p: Parameter, seed: int) -> Sample:
    """What a tensor begins with, in its shape."""
    if isinstance(p.initial, float | int):
        return np.full(p.shape, float(p.initial))
    return draw(p.initial, p.shape, fan_in=p.fan_in, fan_out=p.fan_out, seed=seed, name=p.name)


def _normal(variance: float, seed: int, name: str) -> Sample:
    """Normal numbers with exactly mean 0 and `variance`."""
    sample = random.normal(seed, random.GENERATOR, f"variance/{name}", 0, SIZE)
    return np.asarray(math.sqrt(variance) * (sample - sample.mean()) / sample.std())


def _applied(network: LayerGraph, node: LayerNode, samples: list[Sample], seed: int) -> Sample:
    """The layer over inputs of its own shapes, filled with draws from the samples."""
    shapes = {INPUT: network.input_shape} | {other.name: other.shape for other in network.nodes}
    inputs = [shapes[name] for name in node.inputs]
    batch = max(2, -(-SIZE // min(math.prod(shape) for shape in inputs)))
    b = Builder("float64", SHAPE_RULES)
    names = [b.input(f"input{n}", (batch, *shape), "state") for n, shape in enumerate(inputs)]
    b.outputs = {"y": rule_of(node.record).lower(b, node, tuple(names), training=True)}
    b.updates = {}
    given = {p.name: _initial(p, seed) for p in node.parameters}
    for name, shape, sample in zip(names, inputs, samples, strict=True):
        places = random.bits(seed, random.GENERATOR, f"variance/{node.name}/{name}", 0, batch * math.prod(shape)) % len(sample)
        given[name] = sample[places].reshape(batch, *shape)
    return run_once(b.graph(), given, rule_of(node.record).values(node), seed=seed)["y"].reshape(-1)
