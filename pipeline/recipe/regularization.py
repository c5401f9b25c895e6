"""Regularization: one record, so that its parts combine."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pipeline.recipe.penalty import PENALTIES, FormulaPenalty
from pipeline.records import record, setting

KEEP_PROB = 0.8


@record
class Regularization:
    """What is added to the loss, the units and the update.

    keep_prob     the probability that dropout keeps a unit; where neither it nor rate is given, 0.8
    rate          the probability that it leaves one out, 1 - keep_prob
    dropout       inverted: units are kept with `keep_prob` and divided by it in training; evaluation has no dropout op
                  alpha: those left out go to where selu ends, and mean and variance stay (Klambauer et al. 2017); evaluation has none
                  traditional: units are kept with `keep_prob` in training; evaluation multiplies by it (Srivastava et al. 2014)
    l1            adds l1 * sum(|w|) over the weights to the loss (Tibshirani 1996); with l2 an elastic net (Zou & Hastie 2005)
    l2            adds l2 / 2 * sum(w^2) over the weights to the loss (Krogh & Hertz 1991), which is a mean over rows:
                  neither penalty is divided by their number
    weight_decay  decoupled: w <- w - learning_rate * weight_decay * w beside the gradient step (Loshchilov & Hutter 2019)
    penalty       adds a formula of the weights to the loss
    max_norm      after each step the weights into a unit are scaled down to this length where they are longer (Srivastava et al. 2014)

    and over the whole network, so not in a layer's own record:

    label_smoothing  s: the label keeps 1 - s, every class gets s / C, in the training loss alone (Szegedy et al. 2016, section 7)
    clip_value       each number of a gradient is moved into [-clip_value, clip_value]
    clip_norm        the gradients of all parameters together are scaled down to this length where longer (Pascanu et al. 2013)

    Biases, gamma, beta and alpha are not decayed.  Values are clipped before the norm is taken.
    """

    dropout: Literal["none", "inverted", "traditional", "alpha"] = setting("none")
    keep_prob: float | None = setting(None, above=0, most=1)
    rate: float | None = setting(None, least=0, below=1)
    l1: float = setting(0.0, least=0)
    l2: float = setting(0.0, least=0)
    weight_decay: float = setting(0.0, least=0)
    penalty: FormulaPenalty | None = setting(None, kinds=PENALTIES)
    max_norm: float | None = setting(None, above=0)
    label_smoothing: float = setting(0.0, least=0, below=1)
    clip_value: float | None = setting(None, above=0)
    clip_norm: float | None = setting(None, above=0)

    @property
    def kept(self) -> float:
        """The probability that dropout keeps a unit; rate 0.9 gives the number that keep_prob 0.1 is, to the last bit."""
        if self.rate is not None:
            return round(1.0 - self.rate, 12)
        return KEEP_PROB if self.keep_prob is None else self.keep_prob

    def completed(self) -> Regularization:
        """With the keep_prob of a dropout that says neither how many it keeps nor how many it leaves out."""
        silent = self.dropout != "none" and self.keep_prob is None and self.rate is None
        return replace(self, keep_prob=KEEP_PROB) if silent else self
