"""Rules about what became of units, weights and statistics."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.doctor import remedies
from pipeline.doctor.case import Case
from pipeline.layers.activation import Relu
from pipeline.layers.dropout import Dropout, DropoutLayer
from pipeline.layers.graph import LayerNode
from pipeline.layers.normalization import BatchNormalization
from pipeline.layers.part import Activation
from pipeline.recipe.initialization import INITIALIZATIONS
from pipeline.tracking.health import Diagnosis, LayerHealth

DEAD = 0.5  # of the units of a layer, as SageMaker Debugger's rule dead_relu has it
LATE_SATURATED = 0.8  # of the values of an activation in the end, while much of the loss is left
TINY_BATCH = 4  # rows: Wu & He 2018, "Group Normalization", figure 5, where the error of batch norm has risen by a quarter
SHRUNK = 0.2  # of their size at the start, the median over the weights
DROPPED = 0.7  # of the units, from which on little passes
SHIFTING = 0.5  # share left out before batch norm from which on its variances shift much (Li et al. 2019)
LEFT = 0.5  # of the loss of chance


def dead(case: Case) -> Iterator[Diagnosis]:
    """Units with one value for all rows: no gradient reaches what is before them (Maas, Hannun & Ng 2013)."""
    found = [layer for layer in case.layers(case.end) if layer.units > 1 and layer.dead > DEAD * layer.units]
    if not found:
        return
    worst = max(found, key=lambda layer: layer.dead / layer.units)
    at_start = {layer.name: layer.dead / layer.units for layer in case.layers(case.start)}
    began = at_start.get(worst.name)
    from_start = began is not None and began > DEAD
    since = "" if began is None else " before the first step too" if from_start else f", {began:.0%} before the first step"
    evidence = f"{worst.dead} of {worst.units} units of {worst.name} give one value for all rows{since}"
    whole = worst.dead == worst.units
    reason = "a unit that is off for every row gets no gradient and stays off"
    rectified = any(isinstance(node.record, Relu) for node in case.hidden)
    if from_start:
        kind = INITIALIZATIONS.kind_of(case.config.initialization)
        override = (
            remedies.of_slot(case.config, "initialization", "he")
            if kind != "he"
            else remedies.of_slot(case.config, "activation", "leaky_relu")
        )
    else:
        override = (
            remedies.rate(case.config, 0.1)
            if began is not None or not rectified
            else remedies.of_slot(case.config, "activation", "leaky_relu")
        )
    weight = 0.9 if whole and case.learned < LEFT else 0.7 if case.learned < 0.9 else 0.35
    yield Diagnosis(name="dead units", evidence=evidence, reason=reason, override=override, weight=weight)


def saturated_in_the_end(case: Case) -> Iterator[Diagnosis]:
    """Units that training drove to the ends of their range while much of the loss is left."""
    if case.end is None or case.end.epoch == 0 or case.learned > 0.7:
        return
    found = [layer for layer in case.layers(case.end) if float(layer.saturated) > LATE_SATURATED]
    if found:
        worst = max(found, key=lambda layer: float(layer.saturated))
        evidence = f"{float(worst.saturated):.0%} of the values of {worst.name} lie at the ends of its range in the end"
        reason = "the slope is near 0 there: steps that are too large pushed the units into it"
        yield Diagnosis(name="saturation", evidence=evidence, reason=reason, override=remedies.rate(case.config, 0.1), weight=0.7)


def saturated_output(case: Case) -> Iterator[Diagnosis]:
    """An activation after the last layer that cannot reach what is to be predicted."""
    output, look = case.network.output, case.end
    if not isinstance(output.record, Activation) or look is None or case.learned > 0.7:
        return
    found: LayerHealth | None = next((layer for layer in look.layers if layer.name == output.name), None)
    if found is None or not (float(found.saturated) > LEFT or found.dead == found.units):
        return
    share = (
        "all its values are one" if found.dead == found.units else f"{float(found.saturated):.0%} of its values lie at an end of its range"
    )
    y = np.asarray(case.material.y, np.float64)
    evidence = f"the output passes through {found.kind}: {share}, and the targets go from {y.min():.3g} to {y.max():.3g}"
    layer = len(case.config.architecture.layers) - 1
    reason = "predictions cannot reach the targets, and no gradient comes back from there"
    override = f"architecture.layers.{layer}.activation=identity"
    yield Diagnosis(name="saturated output", evidence=evidence, reason=reason, override=override, weight=0.88)


def tiny_batches(case: Case) -> Iterator[Diagnosis]:
    """Batch norm over a few rows."""
    batch = case.config.training.batch_size
    found = [node for node in case.network.nodes if isinstance(node.record, BatchNormalization)]
    if found and batch <= TINY_BATCH:
        evidence = f"batch norm takes its mean and variance over batches of {batch} rows, and evaluation over all"
        reason = "statistics of so few rows are mostly noise (Wu & He 2018)"
        yield Diagnosis(
            name="batch norm with tiny batches", evidence=evidence, reason=reason, override="training.batch_size=32", weight=0.6
        )


def shrunk(case: Case) -> Iterator[Diagnosis]:
    """Weights that a penalty or a decay pulls to 0 faster than the data push back."""
    override = remedies.weaker_decay(case.config)
    if override is None or case.start is None or case.end is None or float(case.end.data_loss) < LEFT * case.chance[0]:
        return
    before = {t.name: float(t.scale) for t in case.weights(case.start)}
    ratios = [float(t.scale) / before[t.name] for t in case.weights(case.end) if before.get(t.name, 0) > 0]
    if ratios and (ratio := float(np.median(ratios))) < SHRUNK:
        name = override.partition("=")[0]
        evidence = (
            f"the weights are {ratio:.1g} times as large as at the start, and the loss without penalties is {float(case.end.data_loss):.3g}"
        )
        reason = f"{name} pulls them to 0 faster than the data push back"
        yield Diagnosis(name="penalty too strong", evidence=evidence, reason=reason, override=override, weight=0.92)


def dropout_too_strong(case: Case) -> Iterator[Diagnosis]:
    """So few units kept that the network cannot hold the training rows."""
    rate = max((_left_out(node) for node in case.network.nodes), default=0.0)
    if rate < DROPPED or case.learned > LEFT or case.course.failed or not case.losses:
        return
    evidence = f"dropout leaves out {rate:.0%} of the units, and loss/train is {case.losses[-1]:.3g} after {case.course.steps:,} steps"
    reason = "what is left of the network is too small to learn the rows"
    yield Diagnosis(name="dropout too strong", evidence=evidence, reason=reason, override=remedies.keeps_more(case.config), weight=0.82)


def dropout_before_batch_norm(case: Case) -> Iterator[Diagnosis]:
    """Variances that batch norm sees in training and not in evaluation (Li, Chen, Hu & Yang 2019)."""
    shifted: dict[str, float] = {}
    found = 0.0
    for node in case.network.nodes:
        before = max((shifted.get(name, 0.0) for name in node.inputs), default=0.0)
        if isinstance(node.record, BatchNormalization):
            found = max(found, before)
            before = 0.0
        shifted[node.name] = max(before, _left_out(node))
    train, values = case.losses, case.curve("loss/validation")
    if found < SHIFTING or not train or not values or min(values) < 2 * min(train):
        return
    evidence = (
        f"dropout of {found:.0%} stands before batch norm, and loss/validation {values[-1]:.3g} is far above loss/train {train[-1]:.3g}"
    )
    reason = "the variances of training are others than those of evaluation, where nothing is left out (Li et al. 2019)"
    yield Diagnosis(name="dropout before batch norm", evidence=evidence, reason=reason, override="regularization.dropout=none", weight=0.35)


def _left_out(node: LayerNode) -> float:
    """The share of the units that a node leaves out in training."""
    if isinstance(node.record, Dropout):
        return 1 - node.record.keep_prob
    return node.record.rate if isinstance(node.record, DropoutLayer) else 0.0
