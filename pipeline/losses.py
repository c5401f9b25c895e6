"""Losses by kind."""

from __future__ import annotations

from pipeline.records import record


@record
class Auto:
    """softmax_cross_entropy for classes, mean_squared_error for numbers."""


@record
class SoftmaxCrossEntropy:
    """-log softmax(logits)[label], mean over the batch."""


@record
class Logistic:
    """log(1 + exp(-s * logit)), s = +1 for class 1 and -1 for class 0; one logit; two classes."""


@record
class MeanSquaredError:
    """(prediction - target)^2, mean over the batch and the targets."""


LOSSES: dict[str, type] = {
    "auto": Auto,
    "softmax_cross_entropy": SoftmaxCrossEntropy,
    "logistic": Logistic,
    "mean_squared_error": MeanSquaredError,
}
