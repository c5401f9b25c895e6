"""Layers by kind.  A layer is one file with its record, its shape, its tensors and its ops, and a row here."""

from __future__ import annotations

from pipeline.layers.activation import ACTIVATION_KINDS
from pipeline.layers.dense import DENSE, Dense
from pipeline.layers.dropout import DROPOUT_KINDS
from pipeline.layers.kind import LayerKind
from pipeline.layers.normalization import NORMALIZATION_KINDS

# what a config's `architecture.layers` may hold
LAYERS: dict[str, type] = {"dense": Dense}

# how each record of the layer graph is built and lowered: those above, and what fills their slots
KINDS: dict[type, LayerKind] = {Dense: DENSE, **NORMALIZATION_KINDS, **ACTIVATION_KINDS, **DROPOUT_KINDS}
