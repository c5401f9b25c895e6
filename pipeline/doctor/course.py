"""Rules about how the loss goes: a learning rate too high or too low, overfitting, a plateau, an end too early."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.doctor import remedies
from pipeline.doctor.case import Case
from pipeline.layers.weighted import Weighted
from pipeline.tracking.health import Diagnosis

RULE = 1e-3  # of a step to what is there (CS231n, "Ratio of weights:updates"): a tenth and a hundred times of it are far off
TOO_SMALL, TOO_LARGE = RULE / 10, 100 * RULE
RISEN, RISEN_FROM = 1.5, 0.05  # the training loss over its least, and the rise as a share of the loss of chance
JUMPED = 3.0  # loss of an early step over that of the first one
NOTHING, LITTLE = 0.05, 0.5  # shares of the loss of chance that are gone
KNOWN = 0.9  # of the loss of chance, below which something of the training rows is known
OVERFIT, OVERFIT_FROM = 1.15, 0.05  # the validation loss over its least, and the rise as a share of the loss of chance
BY_HEART, NO_BETTER = 0.1, 0.8  # losses of training and validation as shares of that of chance
MUCH = 0.2  # of the loss of chance, where more epochs are worth asking for
FALLING = 0.08  # share by which the validation loss falls over the last fifth of the epochs
FLAT = 0.02  # share by which the training loss falls over the last third
LEAST_EPOCHS, LEAST_STEPS = 5, 100
CLIPS = 0.01  # a length of the gradient below which every step is cut
DECAYED = 0.01  # of the first learning rate, in the middle of the training


def rate_too_high(case: Case) -> Iterator[Diagnosis]:
    """Steps that make the training loss larger, or not finite (Goodfellow, Bengio & Courville 2016, section 11.4.1)."""
    rose = _diverged(case) or _risen(case) or _jumped(case)
    found = rose or _too_large(case)
    if found:
        reason, override = "steps go past the valley and up its other side", remedies.rate(case.config, 0.1)
        yield Diagnosis(name="learning rate too high", evidence=found, reason=reason, override=override, weight=0.93 if rose else 0.8)


def _diverged(case: Case) -> str:
    if not case.course.failed:
        return ""
    first = case.course.first
    rose = f" after it rose from {first[0]:.3g} to {max(first):.3g}" if first and max(first) > JUMPED * first[0] else ""
    return f"the loss was not finite after {case.course.steps:,} steps{rose}"


def _risen(case: Case) -> str:
    losses, chance = case.losses, case.chance[0]
    if len(losses) < 3:
        return ""
    least, last = int(np.argmin(losses)), float(np.median(losses[-3:]))
    if least < len(losses) - 1 and last > RISEN * losses[least] and last - losses[least] > RISEN_FROM * chance:
        return f"loss/train was {losses[least]:.3g} after epoch {least + 1} and is {last:.3g} now, the median of the last three epochs"
    return ""


def _learned_nothing(case: Case) -> bool:
    return bool(case.losses) and case.learned <= NOTHING and case.course.steps >= LEAST_STEPS


def _jumped(case: Case) -> str:
    first, (chance, words) = case.course.first, case.chance
    if not _learned_nothing(case) or not first or max(first[:LEAST_STEPS]) <= JUMPED * max(first[0], chance):
        return ""
    rose = f"the loss rose from {first[0]:.3g} to {max(first):.3g} in the first steps"
    return f"{rose}, and loss/train is {case.losses[-1]:.3g}, no better than {words}"


def _too_large(case: Case) -> str:
    ratio = case.ratio(case.early)
    if not _learned_nothing(case) or ratio is None or ratio <= TOO_LARGE:
        return ""
    return (
        f"a step changes the weights by {ratio:.1g} of their size, and loss/train is {case.losses[-1]:.3g}, no better than {case.chance[1]}"
    )


def rate_too_low(case: Case) -> Iterator[Diagnosis]:
    """Steps far below a thousandth of the weights while most of the loss is left."""
    ratio = case.ratio(case.early)
    if ratio is None or case.course.failed or case.course.steps < LEAST_STEPS // 2:
        return
    if 0 < ratio < TOO_SMALL and case.learned < LITTLE:
        left = f"loss/train is {case.losses[-1]:.3g} after {case.course.steps:,} steps" if case.losses else "most of the loss is left"
        evidence = f"a step changes the weights by {ratio:.1g} of their size, where about {RULE:g} is usual, and {left}"
        reason = "at this pace the training would take far more steps"
        factor = 10.0 ** min(3, max(1, round(np.log10(RULE / ratio))))
        clips = case.config.regularization.clip_norm
        override = "regularization.clip_norm=1" if clips is not None and clips < CLIPS else remedies.rate(case.config, factor)
        yield Diagnosis(name="learning rate too low", evidence=evidence, reason=reason, override=override, weight=0.75)


def overfitting(case: Case) -> Iterator[Diagnosis]:
    """A validation loss that rises while that of training falls, below what knowing nothing gives (Prechelt 1998)."""
    values, train = case.curve("loss/validation"), case.losses
    if len(values) < LEAST_EPOCHS or not 0 < case.course.held <= len(values):
        return
    best, held = int(np.argmin(values)), case.course.held - 1
    if held <= best:
        return
    if train[held] > KNOWN * case.chance[0]:
        return
    since = max(held - 2, best)
    now = float(np.median(values[since : held + 1]))
    if now <= OVERFIT * values[best] or now - values[best] < OVERFIT_FROM * case.chance[0] or train[held] >= min(train[best], now):
        return
    median = "the last three epochs" if held - since == 2 and held + 1 == len(values) else f"epochs {since + 1} to {held + 1}"
    evidence = f"loss/validation was {values[best]:.3g} after epoch {best + 1} and is {now:.3g}, the median of {median}"
    evidence += f", while loss/train fell from {train[best]:.3g} to {train[held]:.3g}"
    reason = f"from epoch {best + 1} on the network learns its rows by heart"
    yield Diagnosis(name="overfitting", evidence=evidence, reason=reason, override="training=early_stopping", weight=0.5)


def by_heart(case: Case) -> Iterator[Diagnosis]:
    """Training rows known, validation rows not at all."""
    values, train, chance = case.curve("loss/validation"), case.losses, case.chance[0]
    held = min(case.course.held, len(values), len(train)) - 1
    if held < 0 or train[held] > BY_HEART * chance or values[held] < NO_BETTER * chance:
        return
    parameters = sum(t.size for t in case.end.tensors) if case.end is not None else 0
    size = f", with {parameters:,} parameters for {len(case.material.x):,} rows" if parameters else ""
    evidence = f"loss/train is {train[held]:.2g} and loss/validation {values[held]:.3g}, where knowing nothing gives {chance:.3g}{size}"
    reason = "what was learned does not hold for other rows: too few of them, or nothing in the inputs tells"
    override = "regularization=dropout" if case.config.regularization.dropout == "none" else "architecture=linear"
    yield Diagnosis(name="learned by heart", evidence=evidence, reason=reason, override=override, weight=0.6)


def falling(case: Case) -> Iterator[Diagnosis]:
    """Training and validation loss still fall fast when the epochs are over."""
    values, train, limit = case.curve("loss/validation") or case.losses, case.losses, case.course.limit
    if not limit and case.config.training.epochs is not None:
        limit = f"training.epochs = {case.config.training.epochs}"
    if len(values) < 2 * LEAST_EPOCHS or case.course.ended_early or case.course.failed or not limit or len(train) < len(values):
        return
    before = max(1, len(values) * 4 // 5) - 1
    fell = (values[before] - values[-1]) / values[before] if values[before] > 0 else 0.0
    if fell > FALLING and min(values) == values[-1] and train[-1] > MUCH * case.chance[0]:
        evidence = f"the loss fell by {fell:.0%} over the last {len(values) - 1 - before} of {len(values)} epochs, to {values[-1]:.3g}"
        yield Diagnosis(
            name="ended too early",
            evidence=evidence,
            reason="more steps would go on improving it",
            override=remedies.twice(limit),
            weight=0.3,
        )


def plateau(case: Case) -> Iterator[Diagnosis]:
    """Nothing learned, whatever the reason."""
    losses, (chance, words) = case.losses, case.chance
    if case.course.failed or case.learned > NOTHING or case.course.steps < 2 * LEAST_STEPS or len(losses) < 2:
        return
    evidence = f"loss/train is {losses[-1]:.4g} after {case.course.steps:,} steps, and {words} is {chance:.4g}"
    reason = "the network predicts the same for all rows; task=lr_range shows which rates move it"
    yield Diagnosis(name="nothing learned", evidence=evidence, reason=reason, override=remedies.rate(case.config, 10), weight=0.4)


def too_small(case: Case) -> Iterator[Diagnosis]:
    """A network without hidden layers, or with a very narrow one, that cannot hold even the training rows."""
    losses, widths = case.losses, [node.shape[-1] for node in case.network.nodes[:-1] if isinstance(node.record, Weighted)]
    if case.course.failed or len(losses) < LEAST_EPOCHS or case.learned > LITTLE or (widths and min(widths) > 3):
        return
    before = losses[len(losses) * 2 // 3 - 1]
    if case.course.steps < LEAST_STEPS or before - losses[-1] > FLAT * before or case.numbers:
        return
    what = f"a layer of {min(widths)} unit{'s' if min(widths) > 1 else ''}" if widths else "no hidden layer"
    evidence = f"loss/train stays at {losses[-1]:.3g}, {1 - case.learned:.0%} of what knowing nothing gives, with {what}"
    reason = "the network is too small for what the rows show: it underfits"
    yield Diagnosis(name="underfitting", evidence=evidence, reason=reason, override="architecture=mlp", weight=0.45)


def decayed(case: Case) -> Iterator[Diagnosis]:
    """A schedule that is over long before the training is."""
    rates = case.curve("learning_rate")
    if len(rates) < LEAST_EPOCHS or case.learned > 0.7 or case.course.failed:
        return
    middle, most = rates[len(rates) // 2], max(rates)
    if middle < DECAYED * most:
        evidence = f"the learning rate is {middle:.1g} in the middle of the training, and was {most:.1g}"
        evidence += f"; loss/train stays at {case.losses[-1]:.3g}"
        reason = "the second half of the training moves nothing"
        yield Diagnosis(name="schedule too fast", evidence=evidence, reason=reason, override="schedule=cosine", weight=0.8)
