"""Dropout: units are left out in training.  Inverted: those kept are scaled up; traditional: evaluation scales all down."""

from __future__ import annotations

import math
from typing import Literal

from pipeline import random
from pipeline.graph.builder import Builder
from pipeline.graph.values import Value
from pipeline.layers.graph import LayerNode
from pipeline.layers.kind import LayerKind
from pipeline.layers.part import OneInput, Part
from pipeline.records import record, setting

ALPHA = -1.7580993408473766  # what selu of minus infinity is: scale * alpha (Klambauer et al. 2017)


@record
class Dropout(Part):
    """y = x / keep_prob where u < keep_prob, else 0; u uniform on [0, 1)  (Srivastava et al. 2014, in the inverted form).

    The expectation of y is x, so evaluation passes x unchanged.  u is a function of (seed, layer name, step, element) alone.

    traditional  nothing is divided in training, and evaluation multiplies by keep_prob, which is the expectation too (Hinton et al. 2012)
    alpha        y = a x + b where u < keep_prob, else a ALPHA + b, with a and b such that mean 0 and variance 1, which selu makes, stay
                 (Klambauer, Unterthiner, Mayr & Hochreiter 2017, section 3); evaluation passes x unchanged
    """

    keep_prob: float = setting(1.0, above=0, most=1)
    form: Literal["inverted", "traditional", "alpha"] = setting("inverted")


@record
class DropoutLayer(OneInput):
    """Dropout as a layer of its own: x [N, ...] -> y [N, ...]; `rate` of the numbers are left out, in one of the forms of `Dropout`."""

    rate: float = setting(0.5, least=0, below=1)
    form: Literal["inverted", "traditional", "alpha"] = setting("inverted")

    @property
    def dropout(self) -> Dropout:
        """What it does."""
        return Dropout(keep_prob=round(1.0 - self.rate, 12), form=self.form)


def _lower(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
    (x,) = inputs
    record = node.record
    assert isinstance(record, Dropout)
    if not training:
        return b.add("mul", x, b.value(f"{node.name}.share"), name="dropout") if record.form == "traditional" else x
    words = (b.input(name, (), "word", "uint32") for name in ("seed", "step_low", "step_high"))
    path = random.path_word(node.name)
    drawn = b.add("uniform", *words, shape=b.shape(x), stream=random.DROPOUT, path=path, dtype=b.precision)
    mask = b.add("less", drawn, b.value(f"{node.name}.keep_prob"), name="mask")
    if record.form == "alpha":
        kept = b.add("mul", x, b.value(f"{node.name}.alpha_scale"))
        scaled = b.add("add", kept, b.value(f"{node.name}.alpha_shift"))
        return b.add("where", mask, scaled, b.value(f"{node.name}.alpha_off"), name="dropout")
    scaled = x if record.form == "traditional" else b.add("mul", x, b.value(f"{node.name}.inverse_keep_prob"))
    return b.add("where", mask, scaled, b.constant(0.0), name="dropout")


def _values(node: LayerNode) -> dict[str, Value]:
    assert isinstance(node.record, Dropout)
    keep_prob = node.record.keep_prob
    # u is a multiple of 2^-24: compared with the next such multiple, the mask is the same in float32 and float64
    threshold = math.ceil(keep_prob * 2**24) / 2**24
    scale = 1.0 / math.sqrt(keep_prob * (1.0 + ALPHA**2 * (1.0 - keep_prob)))
    shift = -scale * (1.0 - keep_prob) * ALPHA
    return {
        f"{node.name}.keep_prob": threshold,
        f"{node.name}.inverse_keep_prob": 1.0 / keep_prob,
        f"{node.name}.share": keep_prob,
        f"{node.name}.alpha_scale": scale,
        f"{node.name}.alpha_shift": shift,
        f"{node.name}.alpha_off": scale * ALPHA + shift,
    }


def _lower_layer(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
    return inputs[0]  # the dropout that follows does the work


DROPOUT = LayerKind(prefix="dropout", values=_values, lower=_lower)
DROPOUT_LAYER = LayerKind(prefix="dropout_layer", lower=_lower_layer)
