"""Layers put side by side along the channels (Szegedy et al. 2015; Huang et al. 2017)."""

# N batch, C_i channels of input i
from __future__ import annotations

from pipeline.errors import ConfigError
from pipeline.graph.builder import Builder
from pipeline.layers.graph import LayerNode
from pipeline.layers.kind import LayerKind, Shape
from pipeline.layers.part import Merge
from pipeline.records import record


@record
class Concat(Merge):
    """y [N, ..., sum of C_i] = the channels of the layers named in `inputs`, in their order; all other axes are alike."""


def _shape(record: Concat, shapes: tuple[Shape, ...]) -> Shape:
    for name, shape in zip(record.inputs, shapes, strict=True):
        if shape[:-1] != shapes[0][:-1]:
            rule = f"{record.inputs[0]} has shape {list(shapes[0])} and {name} {list(shape)}"
            hint = "concatenate layers that differ in the last axis alone"
            raise ConfigError(at="inputs", got=f"[{', '.join(record.inputs)}]", rule=rule, hint=hint)
    return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))


def _lower(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
    return b.add("concat", *inputs, axis=len(b.shape(inputs[0])) - 1)


CONCAT = LayerKind(prefix="concat", shape=_shape, lower=_lower)
