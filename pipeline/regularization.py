"""Regularization: one record, so that its parts combine."""

from __future__ import annotations

from typing import Literal

from pipeline.records import record, setting


@record
class Regularization:
    """What is added to the loss, the units and the update.

    dropout       inverted: units are kept with `keep_prob` and divided by it in training; evaluation has no dropout op
    l2            adds l2 / 2 * sum(w^2) over the weights to the loss (Krogh & Hertz 1991)
    weight_decay  decoupled: w <- w - learning_rate * weight_decay * w beside the gradient step (Loshchilov & Hutter 2019)

    Biases, gamma and beta are not decayed.
    """

    dropout: Literal["none", "inverted"] = setting("none")
    keep_prob: float = setting(1.0, above=0, most=1)
    l2: float = setting(0.0, least=0)
    weight_decay: float = setting(0.0, least=0)
