"""What a kind of layer is, beside its record: three functions.  Every layer file ends with a row of this type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pipeline.graph.builder import Builder
from pipeline.graph.values import Value
from pipeline.layers.graph import LayerNode, Parameter

Shape = tuple[int, ...]


class Lower(Protocol):
    """Emits the ops of `node` over the batched values `inputs`; training: batch statistics and dropout, else evaluation."""

    def __call__(self, b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
        """-> the layer's batched value."""


def same_shape(record: Any, shapes: tuple[Shape, ...]) -> Shape:
    """The output has the shape of the input."""
    return shapes[0]


def no_parameters(record: Any, name: str, shapes: tuple[Shape, ...]) -> tuple[Parameter, ...]:
    """A layer without tensors."""
    return ()


def no_values(node: LayerNode) -> dict[str, Value]:
    """A layer without scalars."""
    return {}


@dataclass(frozen=True, kw_only=True)
class LayerKind:
    """prefix      of automatic names: fc1, bn1
    lower       emits the ops
    shape       (record, input shapes) -> output shape, both without the batch axis
    parameters  (record, layer name, input shapes) -> its tensors
    values      node -> the scalars that its ops read, by name
    """

    prefix: str
    lower: Lower
    shape: Callable[[Any, tuple[Shape, ...]], Shape] = same_shape
    parameters: Callable[[Any, str, tuple[Shape, ...]], tuple[Parameter, ...]] = no_parameters
    values: Callable[[LayerNode], dict[str, Value]] = no_values
