"""A normalization as a layer of its own: after an add, a concat or a pool, before an activation, on the input."""

from __future__ import annotations

from pipeline.graph.builder import Builder
from pipeline.layers.graph import LayerNode
from pipeline.layers.kind import LayerKind
from pipeline.layers.normalization import NORMALIZATIONS
from pipeline.layers.part import Normalization, OneInput
from pipeline.records import record, setting


@record
class NormalizationLayer(OneInput):
    """y = normalization(x): x [N, ...] -> y [N, ...]; `normalization` null comes from the group."""

    normalization: Normalization | None = setting(None, kinds=NORMALIZATIONS)


def _lower(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
    return inputs[0]  # the slot that follows does the work


NORMALIZATION = LayerKind(prefix="normalization", lower=_lower)
