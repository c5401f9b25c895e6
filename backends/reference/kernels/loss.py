"""The numerically careful parts of the losses, row by row."""

# N rows, C classes
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.contract import Array


def _softmax_cross_entropy(logits: Array, labels: Array) -> tuple[Array, Array]:
    """loss = log(sum exp(z)) - z[label], with the largest logit taken out of the exponentials (Bridle 1990).

    logits z [N, C], labels int32 [N] -> row losses [N], probabilities [N, C].
    """
    losses, probabilities = np.empty(len(logits)), np.empty_like(logits)
    for n, (z, label) in enumerate(zip(logits, labels, strict=True)):
        powers = np.exp(z - z.max())
        total = powers.sum()
        losses[n] = np.log(total) - (z[label] - z.max())
        probabilities[n] = powers / total
    return losses, probabilities


def _softplus(x: Array) -> Array:
    """log(1 + exp(x)) = log(exp(0) + exp(x))."""
    return np.asarray(np.logaddexp(0.0, x))


LOSS: dict[str, Callable[..., Any]] = {"softmax_cross_entropy": _softmax_cross_entropy, "softplus": _softplus}
