"""An activation as a layer of its own: after an add, a concat or a pool."""

from __future__ import annotations

from pipeline.graph.builder import Builder
from pipeline.layers.activation import ACTIVATIONS
from pipeline.layers.graph import LayerNode
from pipeline.layers.kind import LayerKind
from pipeline.layers.part import Activation, OneInput
from pipeline.records import record, setting


@record
class ActivationLayer(OneInput):
    """y = activation(x): x [N, ...] -> y [N, ...]; `activation` null comes from the group."""

    activation: Activation | None = setting(None, kinds=ACTIVATIONS)


def _lower(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
    return inputs[0]  # the slot that follows does the work


ACTIVATION = LayerKind(prefix="activation", lower=_lower)
