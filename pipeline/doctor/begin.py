"""Rules about what a training begins with: its rows, its initial weights, its first gradients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.checks.start_loss import MOST
from pipeline.doctor import remedies
from pipeline.doctor.case import Case
from pipeline.layers.activation import Sigmoid, Softplus, Tanh
from pipeline.layers.part import Normalization
from pipeline.recipe.initialization import INITIALIZATIONS
from pipeline.tracking.health import Diagnosis

OFFSET = 2.0  # means of the inputs in their deviations: LeCun et al. 1998, "Efficient BackProp", section 4.3, wants them near 0
SPREAD = 100.0  # the largest deviation of a column over the smallest: the same section wants them about equal
LARGE, SMALL = 10.0, 0.02  # root mean square of the inputs, where initial weights assume about 1
SATURATED = 0.4  # of the values of an activation before the first step
VANISHED, LEAST_LAYERS = 1e-3, 3  # gradient of the first weights over that of the last ones, root mean squares
EXPLODED = 1e3  # growth of the values of the layers, or of the gradients, from one end of the network to the other
LEAST_ROWS = 10  # from where on the loss of chance says something of a few rows
KNOWS = 0.1  # start loss as a share of that of chance, from where on it is no luck of a few inputs
UNBALANCED, BLIND = 8.0, 0.1  # rows of the largest class over those of the smallest; accuracy less its mean over the classes
UNTOLD = 20.0  # the same ratio where nothing tells how well the classes are told apart
HE, XAVIER = "he", "xavier"
SQUASHING = (Sigmoid, Tanh, Softplus)


def uncentred(case: Case) -> Iterator[Diagnosis]:
    """Inputs far from mean 0 and equal deviations, which nothing normalizes."""
    x, first = case.inputs, case.network.nodes[0]
    if not x.size or isinstance(first.record, Normalization):
        return
    means, deviations = x.mean(axis=0), x.std(axis=0)
    offset, spread = float(np.median(np.abs(means) / deviations)), float(deviations.max() / deviations.min())
    size = float(np.sqrt(np.mean(np.square(x))))
    image = len(case.network.input_shape) == 3
    if offset > OFFSET:
        found = f"the median of |mean| / deviation over the inputs is {offset:.2g}"
    elif size > LARGE or size < SMALL:
        found = f"the root mean square of the inputs is {size:.3g}"
    elif spread > SPREAD and not image:
        found = f"the deviation of one column is {spread:,.0f} times that of another"
    else:
        return
    reason = "gradients of a unit share one sign or one scale, and steps zigzag (LeCun et al. 1998)"
    weight = 0.94 if size > LARGE else 0.6 if case.learned > 0.5 else 0.85
    yield Diagnosis(name="uncentred inputs", evidence=found, reason=reason, override="preprocessing=standardize", weight=weight)


def unscaled_targets(case: Case) -> Iterator[Diagnosis]:
    """Numbers that are not near mean 0 and variance 1."""
    if not case.numbers or case.config.preprocessing.targets == "standardize":
        return
    y = np.asarray(case.material.y, np.float64)
    mean, deviation = float(np.abs(y.mean())), float(y.std())
    if deviation > 0 and (mean > 5 * max(deviation, 1.0) or deviation > 30):
        found = f"the targets have mean {y.mean():.3g} and deviation {deviation:.3g}, and the network begins near 0"
        reason = "the first steps only move the bias, and gradients are as large as the targets"
        yield Diagnosis(name="unscaled targets", evidence=found, reason=reason, override="preprocessing.targets=standardize", weight=0.8)


def start_loss(case: Case) -> Iterator[Diagnosis]:
    """A first loss far from that of a network that knows nothing (CS231n, learning and evaluation: sanity checks)."""
    if case.start is None or len(case.material.x) < LEAST_ROWS:
        return
    wanted, words = case.chance
    found, most = float(case.start.data_loss), MOST["numbers" if case.numbers else "classes"] * (2 if case.learned > 0.9 else 1)
    if not wanted > 0 or KNOWS * wanted <= found <= most * wanted:
        return
    evidence = f"the loss before the first step is {found:.4g}, and {words} is {wanted:.4g}"
    weight = 0.5 if case.learned > 0.7 else 0.75
    if found < wanted:
        reason = "the network knows the answer before training: look for the target among the inputs"
        yield Diagnosis(name="start loss", evidence=evidence, reason=reason, override="task=data", weight=weight)
        return
    kind = INITIALIZATIONS.kind_of(case.config.initialization)
    reason = "weights that start too large make sure of wrong answers, which the first steps must undo"
    override = remedies.of_slot(case.config, "initialization", XAVIER if kind == HE else HE)
    yield Diagnosis(name="start loss", evidence=evidence, reason=reason, override=override, weight=weight)


def alike(case: Case) -> Iterator[Diagnosis]:
    """Units of one layer that began alike and stay so (Rumelhart, Hinton & Williams 1986: symmetry must be broken)."""
    look = case.early
    found = [layer for layer in case.layers(look) if layer.alike and not (layer.units == layer.dead and not _begins_alike(case))]
    if not found or look is None:
        return
    names = ", ".join(layer.name for layer in found[:3])
    evidence = f"all {found[0].units} units of {names} give the same value in every row {_when(look.epoch)}"
    reason = "units that begin alike get the same gradient and never differ: the layer is one unit"
    override = remedies.of_slot(case.config, "initialization", HE)
    yield Diagnosis(name="units alike", evidence=evidence, reason=reason, override=override, weight=0.95)


def _begins_alike(case: Case) -> bool:
    """Whether the weights of some hidden layer begin with one value."""
    return any(t.values.low == t.values.high for t in case.weights(case.start)[:-1] or case.weights(case.start))


def saturated(case: Case) -> Iterator[Diagnosis]:
    """Activations at the ends of their range before the first step (Glorot & Bengio 2010, section 3)."""
    found = [layer for layer in case.layers(case.start) if float(layer.saturated) > SATURATED]
    if not found:
        return
    worst = max(found, key=lambda layer: float(layer.saturated))
    evidence = f"{float(worst.saturated):.0%} of the values of {worst.name} lie at the ends of its range before the first step"
    reason = "the slope is near 0 there, and little gradient passes (Glorot & Bengio 2010)"
    large = float(np.sqrt(np.mean(np.square(case.inputs)))) > 3 if case.inputs.size else False
    override = "preprocessing=standardize" if large else remedies.of_slot(case.config, "initialization", XAVIER)
    yield Diagnosis(name="saturation", evidence=evidence, reason=reason, override=override, weight=0.8 if case.learned < 0.9 else 0.5)


def vanishing(case: Case) -> Iterator[Diagnosis]:
    """Gradients that shrink, or grow, from layer to layer on their way back (Hochreiter 1991; Glorot & Bengio 2010)."""
    weights = case.weights(case.start or case.early)
    if len(weights) < LEAST_LAYERS or not float(weights[-1].gradient or 0) > 0:
        return
    ratio, growth = float(weights[0].gradient or 0) / float(weights[-1].gradient or 1), _growth(case)
    evidence = f"the gradient of {weights[0].name} is {ratio:.1g} times that of {weights[-1].name} {_when(0 if case.start else 1)}"
    weight = 0.85 if case.learned < 0.9 else 0.4
    if ratio < VANISHED or growth < VANISHED:
        reason = "the first layers hardly learn: each layer on the way back makes the gradient smaller"
        if ratio >= VANISHED:
            evidence = f"the values of the last layer are {growth:.1g} times as large as those of the first before the first step"
            reason = "what the rows differ in is lost on the way, and so is the gradient on its way back"
        override = _passes_gradients(case)
        yield Diagnosis(name="vanishing gradients", evidence=evidence, reason=reason, override=override, weight=weight)
    elif ratio > EXPLODED or growth > EXPLODED:
        reason = "a step that suits one layer is far too large for another: values and gradients grow from layer to layer"
        if ratio <= EXPLODED:
            evidence = f"the values of the last layer are {growth:,.0f} times as large as those of the first before the first step"
        kind = INITIALIZATIONS.kind_of(case.config.initialization)
        override = remedies.of_slot(case.config, "initialization", HE) if kind not in (HE, XAVIER) else "regularization.clip_norm=1"
        yield Diagnosis(name="exploding gradients", evidence=evidence, reason=reason, override=override, weight=weight)


def _passes_gradients(case: Case) -> str:
    """What makes the layers pass gradients on: another activation where it squashes, weights that keep the variance, or batch norm."""
    squashes = [node for node in case.hidden if isinstance(node.record, SQUASHING)]
    kind = INITIALIZATIONS.kind_of(case.config.initialization)
    if squashes and not (isinstance(squashes[0].record, Tanh) and kind not in (HE, XAVIER)):
        return remedies.of_slot(case.config, "activation", "relu")
    if kind not in (HE, XAVIER):
        return remedies.of_slot(case.config, "initialization", XAVIER if squashes else HE)
    return remedies.of_slot(case.config, "normalization", "batch")


def _growth(case: Case) -> float:
    """How much larger the values of the last layer with weights are than those of the first, before the first step."""
    names = {t.name.removesuffix(".weight") for t in case.weights(case.start)}
    found = [float(layer.deviation) for layer in case.layers(case.start, hidden=False) if layer.name in names]
    return found[-1] / found[0] if len(found) > 1 and found[0] > 0 else 1.0


def unbalanced(case: Case) -> Iterator[Diagnosis]:
    """Classes of very different sizes, of which the small ones are not told apart."""
    rows, weights = case.class_rows, getattr(case.network.loss, "class_weights", None)
    if rows is None or weights is not None or len(rows) < 2 or rows.min() == 0:
        return
    ratio = float(rows.max() / rows.min())
    name = case.class_names[int(rows.argmin())] if len(case.class_names) == len(rows) else str(int(rows.argmin()))
    accuracy, mean = case.course.tested.get("accuracy/test"), case.course.tested.get("balanced_accuracy/test")
    told = f"class {name} has {rows.min():,} rows, the largest {rows.max():,}"
    if accuracy is not None and mean is not None:
        if ratio < UNBALANCED or accuracy - mean < BLIND:
            return
        told += f"; accuracy on the test part is {accuracy:.1%}, its mean over the classes {mean:.1%}"
    elif ratio < UNTOLD:
        return
    reason = "the loss is a mean over rows, so rare classes hardly count in it"
    yield Diagnosis(name="unbalanced classes", evidence=told, reason=reason, override="loss.class_weights=balanced", weight=0.55)


def _when(epoch: int) -> str:
    return "before the first step" if epoch == 0 else f"after epoch {epoch}"
