"""Regularization: one record, so that its parts combine."""

from __future__ import annotations

from typing import Literal

from pipeline.records import record, setting


@record
class Regularization:
    """What is added to the loss, the units and the update.

    dropout       inverted: units are kept with `keep_prob` and divided by it in training; evaluation has no dropout op
                  traditional: units are kept with `keep_prob` in training; evaluation multiplies by it (Srivastava et al. 2014)
    l1            adds l1 * sum(|w|) over the weights to the loss (Tibshirani 1996); with l2 an elastic net (Zou & Hastie 2005)
    l2            adds l2 / 2 * sum(w^2) over the weights to the loss (Krogh & Hertz 1991)
    weight_decay  decoupled: w <- w - learning_rate * weight_decay * w beside the gradient step (Loshchilov & Hutter 2019)
    max_norm      after each step the weights into a unit are scaled down to this length where they are longer (Srivastava et al. 2014)

    and over the whole network, so not in a layer's own record:

    label_smoothing  s: the label keeps 1 - s, every class gets s / C, in the training loss alone (Szegedy et al. 2016, section 7)
    clip_value       each number of a gradient is moved into [-clip_value, clip_value]
    clip_norm        the gradients of all parameters together are scaled down to this length where longer (Pascanu et al. 2013)

    Biases, gamma, beta and alpha are not decayed.  Values are clipped before the norm is taken.
    """

    dropout: Literal["none", "inverted", "traditional"] = setting("none")
    keep_prob: float = setting(1.0, above=0, most=1)
    l1: float = setting(0.0, least=0)
    l2: float = setting(0.0, least=0)
    weight_decay: float = setting(0.0, least=0)
    max_norm: float | None = setting(None, above=0)
    label_smoothing: float = setting(0.0, least=0, below=1)
    clip_value: float | None = setting(None, above=0)
    clip_norm: float | None = setting(None, above=0)
