"""Dropout: units are left out in training.  Inverted: those kept are scaled up; traditional: evaluation scales all down."""

from __future__ import annotations

import math

from pipeline import random
from pipeline.graph.builder import Builder
from pipeline.graph.values import Value
from pipeline.layers.graph import LayerNode
from pipeline.layers.kind import LayerKind
from pipeline.layers.part import Part
from pipeline.records import record, setting


@record
class Dropout(Part):
    """y = x / keep_prob where u < keep_prob, else 0; u uniform on [0, 1)  (Srivastava et al. 2014, in the inverted form).

    The expectation of y is x, so evaluation passes x unchanged.  traditional: nothing is divided in training, and evaluation
    multiplies by keep_prob, which is the expectation too (Hinton et al. 2012).  u is a function of (seed, layer name, step, element) alone.
    """

    keep_prob: float = setting(1.0, above=0, most=1)
    traditional: bool = setting(False)


def _lower(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
    (x,) = inputs
    record = node.record
    assert isinstance(record, Dropout)
    if not training:
        return b.add("mul", x, b.value(f"{node.name}.share"), name="dropout") if record.traditional else x
    words = (b.input(name, (), "word", "uint32") for name in ("seed", "step_low", "step_high"))
    path = random.path_word(node.name)
    drawn = b.add("uniform", *words, shape=b.shape(x), stream=random.DROPOUT, path=path, dtype=b.precision)
    mask = b.add("less", drawn, b.value(f"{node.name}.keep_prob"), name="mask")
    scaled = x if record.traditional else b.add("mul", x, b.value(f"{node.name}.inverse_keep_prob"))
    return b.add("where", mask, scaled, b.constant(0.0), name="dropout")


def _values(node: LayerNode) -> dict[str, Value]:
    assert isinstance(node.record, Dropout)
    keep_prob = node.record.keep_prob
    # u is a multiple of 2^-24: compared with the next such multiple, the mask is the same in float32 and float64
    threshold = math.ceil(keep_prob * 2**24) / 2**24
    return {
        f"{node.name}.keep_prob": threshold,
        f"{node.name}.inverse_keep_prob": 1.0 / keep_prob,
        f"{node.name}.share": keep_prob,
    }


DROPOUT = LayerKind(prefix="dropout", values=_values, lower=_lower)
