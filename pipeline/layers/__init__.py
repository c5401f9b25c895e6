"""Layers by kind.  A layer is one file with its record, its shape, its tensors and its ops, and a row here."""

from __future__ import annotations

from pipeline.layers.activate import ACTIVATION, Activation
from pipeline.layers.activation import ACTIVATION_KINDS
from pipeline.layers.add import ADD, Add
from pipeline.layers.concat import CONCAT, Concat
from pipeline.layers.conv import CONV, Conv
from pipeline.layers.conv_transpose import CONV_TRANSPOSE, ConvTranspose
from pipeline.layers.dense import DENSE, Dense
from pipeline.layers.dropout import DROPOUT_KINDS
from pipeline.layers.kind import LayerKind
from pipeline.layers.maxout import MaxoutLayer
from pipeline.layers.normalization import NORMALIZATION_KINDS
from pipeline.layers.pool import POOL_KINDS, AveragePool, GlobalAveragePool, MaxPool
from pipeline.layers.reshape import RESHAPE_KINDS, Flatten, Reshape

# what a config's `architecture.layers` may hold
LAYERS: dict[str, type] = {
    "dense": Dense,
    "conv": Conv,
    "conv_transpose": ConvTranspose,
    "max_pool": MaxPool,
    "average_pool": AveragePool,
    "global_average_pool": GlobalAveragePool,
    "flatten": Flatten,
    "reshape": Reshape,
    "add": Add,
    "concat": Concat,
    "maxout": MaxoutLayer,
    "activation": Activation,
}

# how each record of the layer graph is built and lowered: those above, and what fills their slots
KINDS: dict[type, LayerKind] = {
    Dense: DENSE,
    Conv: CONV,
    ConvTranspose: CONV_TRANSPOSE,
    Add: ADD,
    Concat: CONCAT,
    Activation: ACTIVATION,
    **POOL_KINDS,
    **RESHAPE_KINDS,
    **NORMALIZATION_KINDS,
    **ACTIVATION_KINDS,
    **DROPOUT_KINDS,
}
