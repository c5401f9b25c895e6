"""What a row counts in the loss: the weight of its class, times its own.

    data loss of a step = (1 / B) * sum_i class_weights[y_i] * weight_i * loss_i

The sum is divided by the number of rows B, not by the sum of the weights: a row then pushes the parameters equally hard whichever batch
it falls into, and the gradient of a batch is an unbiased estimate of that of (1 / N) * sum_i w_i * loss_i over all N rows.  Divided by the
weights of the batch (as PyTorch's weighted cross-entropy is) a batch of light rows would push as hard as one of heavy rows, and with
B = 1 weights would do nothing.  So the size of the weights scales the loss: with a mean of 1 over the training part, as `balanced` has it,
the learning rate keeps its meaning.

Validation and test losses are weighted in the same way, so that all curves of `loss` show one quantity; the other metrics count every
row once.  Class weights are a tensor of the state, one for each trial, so that trials with other weights share a structure.
"""

# N rows, B batch rows, C classes
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline.graph.builder import Builder
from pipeline.graph.values import Array
from pipeline.layers.graph import LayerGraph
from pipeline.recipe.losses import class_weights

CLASS_WEIGHTS = "loss.class_weights"


def of_classes(network: LayerGraph) -> str | tuple[float, ...] | None:
    """The config's class weights: numbers, `balanced`, or None."""
    return class_weights(network.loss)


def classes(network: LayerGraph) -> int:
    """C: a network for two classes may have a single logit."""
    return max(2, network.output.shape[-1])


def balanced(y: npt.ArrayLike, count: int) -> Array:
    """y [N] in 0..count-1 -> N / (C * rows of the class), float64 [count], C the number of classes that have rows  (King & Zeng 2001).

    The mean over the rows is 1.  A class without a row gets 1.
    """
    rows = np.bincount(np.asarray(y), minlength=count)
    present = rows > 0
    weights = np.ones(count)
    weights[present] = rows.sum() / (present.sum() * rows[present])
    return weights


def note(weights: Array | None, names: Sequence[str]) -> str:
    """The weights [C] of a balanced loss, for the reader; beyond ten classes the smallest and the largest."""
    assert weights is not None
    if len(names) <= 10:
        return "class weights, balanced: " + ", ".join(f"{name} {weight:.4g}" for name, weight in zip(names, weights, strict=True))
    low, high = int(weights.argmin()), int(weights.argmax())
    return f"class weights, balanced: from {weights[low]:.4g} ({names[low]}) to {weights[high]:.4g} ({names[high]})"


def emit(b: Builder, network: LayerGraph, y: str, row_loss: str, *, rows: bool) -> str:
    """row_loss [B] times the weights of the classes, where the loss has any, and of the rows, where `rows` says so -> [B]."""
    if of_classes(network) is not None:
        (n,), count = b.shape(row_loss), classes(network)
        table = b.input(CLASS_WEIGHTS, (count,), "state")
        own = b.add("equal", b.add("column_index", columns=count), b.reshape(y, (n, 1)), name="own_class")
        weight = b.add("sum", b.add("where", own, table, b.constant(0.0)), axes=(1,), name="class_weight")
        row_loss = b.add("mul", row_loss, weight, name="weighted_loss")
    if rows:
        weight = b.input("weight", b.shape(row_loss), "data")
        row_loss = b.add("mul", row_loss, weight, name="weighted_loss")
    return row_loss
