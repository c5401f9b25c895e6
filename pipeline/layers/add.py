"""Sum of layers: where a skip connection comes back (He, Zhang, Ren & Sun 2016)."""

# N batch
from __future__ import annotations

from pipeline.errors import ConfigError
from pipeline.graph.builder import Builder
from pipeline.layers.activation import ACTIVATIONS
from pipeline.layers.graph import LayerNode
from pipeline.layers.kind import LayerKind, Shape
from pipeline.layers.part import Activation, Merge
from pipeline.records import record, setting


@record
class Add(Merge):
    """y = the sum of the layers named in `inputs`, all of one shape [N, ...]; `activation` null comes from the group."""

    inputs: tuple[str, ...] = setting()
    name: str | None = setting(None)
    activation: Activation | None = setting(None, kinds=ACTIVATIONS)


def _shape(record: Add, shapes: tuple[Shape, ...]) -> Shape:
    for name, shape in zip(record.inputs, shapes, strict=True):
        if shape != shapes[0]:
            rule = f"{record.inputs[0]} has shape {list(shapes[0])} and {name} {list(shape)}"
            raise ConfigError(at="inputs", got=f"[{', '.join(record.inputs)}]", rule=rule, hint="add layers of one shape")
    return shapes[0]


def _lower(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
    total, *rest = inputs
    for x in rest:
        total = b.add("add", total, x)
    return total


ADD = LayerKind(prefix="add", shape=_shape, lower=_lower)
