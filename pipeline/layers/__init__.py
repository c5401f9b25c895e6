"""Layers by kind.  A layer is one file with its record, its shape, its tensors and its ops, and a row here."""

from __future__ import annotations

from pipeline.layers.activate import ACTIVATION, ActivationLayer
from pipeline.layers.activation import ACTIVATIONS
from pipeline.layers.add import ADD, Add
from pipeline.layers.concat import CONCAT, Concat
from pipeline.layers.conv import CONV, Conv
from pipeline.layers.conv_transpose import CONV_TRANSPOSE, ConvTranspose
from pipeline.layers.dense import DENSE, Dense
from pipeline.layers.dropout import DROPOUT, DROPOUT_LAYER, Dropout, DropoutLayer
from pipeline.layers.kind import LayerKind
from pipeline.layers.maxout import MAXOUT_LAYER, MaxoutLayer
from pipeline.layers.normalization import NORMALIZATIONS
from pipeline.layers.normalize import NORMALIZATION, NormalizationLayer
from pipeline.layers.part import Activation, Layer, Normalization, Part
from pipeline.layers.pool import AVERAGE_POOL, GLOBAL_AVERAGE_POOL, MAX_POOL, AveragePool, GlobalAveragePool, MaxPool
from pipeline.layers.reshape import FLATTEN, RESHAPE, Flatten, Reshape
from pipeline.layers.upsample import UPSAMPLE, Upsample
from pipeline.records import Family

# what a config's `architecture.layers` may hold
LAYERS: Family[Layer, LayerKind] = Family(
    "layer",
    {
        "dense": (Dense, DENSE),
        "conv": (Conv, CONV),
        "conv_transpose": (ConvTranspose, CONV_TRANSPOSE),
        "max_pool": (MaxPool, MAX_POOL),
        "average_pool": (AveragePool, AVERAGE_POOL),
        "global_average_pool": (GlobalAveragePool, GLOBAL_AVERAGE_POOL),
        "flatten": (Flatten, FLATTEN),
        "reshape": (Reshape, RESHAPE),
        "add": (Add, ADD),
        "concat": (Concat, CONCAT),
        "maxout": (MaxoutLayer, MAXOUT_LAYER),
        "activation": (ActivationLayer, ACTIVATION),
        "normalization": (NormalizationLayer, NORMALIZATION),
        "dropout": (DropoutLayer, DROPOUT_LAYER),
        "upsample": (Upsample, UPSAMPLE),
    },
)


def rule_of(part: Part) -> LayerKind:
    """How a record of the layer graph is built and lowered: a layer, or what fills a slot of one."""
    match part:
        case Layer():
            return LAYERS.rule(part)
        case Normalization():
            return NORMALIZATIONS.rule(part)
        case Activation():
            return ACTIVATIONS.rule(part)
    assert isinstance(part, Dropout)
    return DROPOUT


def kind_of(part: Part) -> str:
    """What the layer graph calls the kind of `part`."""
    match part:
        case Layer():
            return LAYERS.kind_of(part)
        case Normalization():
            return f"{NORMALIZATIONS.kind_of(part)}_norm"
    return rule_of(part).prefix
