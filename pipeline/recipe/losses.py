"""Losses by kind: one record each, and beside it what it asks of the data and the ops it stands for."""

# N batch, C classes, T targets, L labels
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.data import DataShape
from pipeline.errors import ConfigError
from pipeline.formula import emit
from pipeline.formula.declared import LAST, Formula, WithFormulas, check_names, check_used
from pipeline.graph.builder import Builder
from pipeline.graph.values import Value
from pipeline.ops.reduce import mean
from pipeline.records import Family, PerRecord, record, setting

ClassWeights = tuple[float, ...] | Literal["balanced"] | None  # see compiler/loss_weights.py


@record
class Loss:
    """The record of a loss."""


@record
class LossOfClasses(Loss):
    """Of a loss whose rows may count by their class; the default counts all the same."""

    class_weights: ClassWeights = setting(None, least=0)


@record
class Auto(LossOfClasses):
    """softmax_cross_entropy for classes, binary_cross_entropy for labels, mean_squared_error for numbers."""


@record
class SoftmaxCrossEntropy(LossOfClasses):
    """-log softmax(logits)[label], mean over the batch."""


@record
class Logistic(LossOfClasses):
    """log(1 + exp(-s * logit)), s = +1 for class 1 and -1 for class 0; one logit; two classes."""


@record
class BinaryCrossEntropy(Loss):
    """log(1 + exp(-s * logit)), s = +1 where the label is 1 and -1 where it is 0, mean over the batch and the labels.

    For labels of which a row may have several: a logit and a probability, its sigmoid, for each.
    """


@record
class MeanSquaredError(Loss):
    """(prediction - target)^2, mean over the batch and the targets."""


@record
class MeanAbsolute(Loss):
    """|prediction - target|, mean over the batch and the targets."""


@record
class Huber(Loss):
    """e^2 / 2 where |e| <= delta, else delta * (|e| - delta / 2), e = prediction - target; mean over batch and targets (Huber 1964)."""

    delta: float = setting(1.0, above=0)


@record
class Hinge(LossOfClasses):
    """sum over the wrong classes of max(0, score - score[label] + 1), mean over the batch (Weston & Watkins 1999).

    The prediction is softmax(scores): its order is that of the scores, but it is no calibrated probability.
    """


@record
class FormulaLoss(LossOfClasses, WithFormulas):
    """The mean over the batch of `row`, a formula of one row; where it has a number for each target or label, of their mean.

    takes    numbers: prediction and target, [N, T] each
             classes: score, probability (softmax of the scores), log_probability and target, 1 for the class of the row and else 0, [N, C]
             labels: the same [N, L], probability being the sigmoid of the score and target 0 or 1
    values   numbers of the formula by name, which a sweep may change

    Reductions run over the classes, targets or labels, axis=-1, as rows do not see each other.
    """

    takes: Literal["numbers", "classes", "labels"] = setting("numbers")
    row: str = setting()
    values: Mapping[str, float] = setting({})

    def formulas(self) -> tuple[Formula, ...]:
        """The one formula."""
        made = ("prediction",) if self.takes == "numbers" else ("score", "probability", "log_probability")
        return (Formula(field="row", text=self.row, tensors=(*made, "target"), numbers=tuple(self.values), reduces=(LAST,)),)

    def check(self) -> None:
        """Whether it gives a row's loss, and has a slope.  Raises ConfigError."""
        (formula,) = self.formulas()
        check_names(self.values, formula.tensors, at="values")
        formula.check(self.values)
        check_used(self.values, (formula,), at="values")
        if not formula.slopes(formula.tensors[:-1]):
            formula.refuse(formula.tree, f"does not change with {formula.tensors[0]}, but in steps", f"use {formula.tensors[0]}")
        if self.takes == "classes" and emit.shape_of(formula, dict.fromkeys(formula.tensors, (2, 3))) == (2, 3):
            formula.refuse(formula.tree, "gives a number for each class", "write sum(..., axis=-1)")


@dataclass(frozen=True, kw_only=True)
class LossRule:
    """units    how many numbers the output layer has for this data
    lower    (builder, output of the network, y) -> prediction, row losses [N]
    classes  whether y holds classes, int32 [N]; else numbers [N, T]
    labels   whether these numbers are labels, 0 or 1
    values   record -> the scalars that its ops read, by name
    """

    units: Callable[[DataShape], int]
    lower: Callable[[Builder, str, str], tuple[str, str]]
    classes: bool
    labels: bool = False
    values: Callable[[Any], dict[str, Value]] = lambda record: {}


def _softmax_cross_entropy(b: Builder, logits: str, y: str) -> tuple[str, str]:
    """logits [N, C], y int32 [N] -> probabilities [N, C], row losses [N]."""
    row_loss, probabilities = b.add_many("softmax_cross_entropy", logits, y, names=("row_loss", "probabilities"))
    return probabilities, row_loss


def _logistic(b: Builder, logits: str, y: str) -> tuple[str, str]:
    """logits [N, 1], y int32 [N] -> probabilities [N, 2] of class 0 and 1, row losses [N].

    Both probabilities are a sigmoid of their own, so neither is 1 minus a number next to 1.
    """
    rows, one, two = b.shape(logits)[0], b.constant(1.0), b.constant(2.0)
    against = b.add("sub", one, b.add("mul", two, b.add("cast", y, dtype=b.precision)), name="against")  # +1 for class 0, -1 for class 1
    row_loss = b.add("softplus", b.add("mul", against, b.reshape(logits, (rows,))), name="row_loss")
    columns = b.add("cast", b.add("column_index", columns=2), dtype=b.precision)
    sign = b.add("sub", b.add("mul", two, columns), one, name="sign")
    return b.add("sigmoid", b.add("mul", logits, sign), name="probabilities"), row_loss


def _binary_cross_entropy(b: Builder, logits: str, y: str) -> tuple[str, str]:
    """logits [N, L], y [N, L] of 0 and 1 -> probabilities [N, L], row losses [N]."""
    against = b.add("sub", b.constant(1.0), b.add("mul", b.constant(2.0), y), name="against")  # +1 where the label is 0, -1 where it is 1
    each = b.add("softplus", b.add("mul", against, logits), name="label_loss")
    return b.add("sigmoid", logits, name="probabilities"), mean(b, each, (1,), "row_loss")


def _mean_squared_error(b: Builder, prediction: str, y: str) -> tuple[str, str]:
    """prediction [N, T], y [N, T] -> prediction, row losses [N]."""
    error = b.add("sub", prediction, y, name="error")
    return prediction, mean(b, b.add("mul", error, error), (1,), "row_loss")


def _mean_absolute(b: Builder, prediction: str, y: str) -> tuple[str, str]:
    """prediction [N, T], y [N, T] -> prediction, row losses [N]."""
    return prediction, mean(b, b.add("abs", b.add("sub", prediction, y, name="error")), (1,), "row_loss")


def _huber(b: Builder, prediction: str, y: str) -> tuple[str, str]:
    """prediction [N, T], y [N, T] -> prediction, row losses [N]."""
    half, delta = b.constant(0.5), b.value("loss.delta")
    error = b.add("sub", prediction, y, name="error")
    size = b.add("abs", error)
    far = b.add("mul", delta, b.add("sub", size, b.add("mul", delta, half)))
    near = b.add("mul", b.add("mul", error, error), half)
    return prediction, mean(b, b.add("where", b.add("greater", size, delta), far, near, name="huber"), (1,), "row_loss")


def _hinge(b: Builder, scores: str, y: str) -> tuple[str, str]:
    """scores [N, C], y int32 [N] -> softmax of the scores [N, C], row losses [N]."""
    (n, classes), zero = b.shape(scores), b.constant(0.0)
    _, prediction = b.add_many("softmax_cross_entropy", scores, y, names=("unused", "prediction"))
    right = b.add("equal", b.add("column_index", columns=classes), b.reshape(y, (n, 1)), name="right")
    own = b.add("sum", b.add("where", right, scores, zero), axes=(1,), name="own_score")
    margin = b.add("add", b.add("sub", scores, b.reshape(own, (n, 1))), b.constant(1.0), name="margin")
    broken = b.add("where", right, zero, b.add("maximum", margin, zero))
    return prediction, b.add("sum", broken, axes=(1,), name="row_loss")


def _formula(record: FormulaLoss) -> LossRule:
    """The rule of one record."""
    (formula,) = record.formulas()

    def lower(b: Builder, output: str, y: str) -> tuple[str, str]:
        """output [N, C], y int32 [N], or both [N, T] -> prediction, row losses [N]."""
        tensors, prediction = _formula_tensors(b, record.takes, output, y)
        made = emit.emit(b, formula, {name: value for name, value in tensors.items() if name in formula.names}, "loss")
        if b.shape(made)[1:] == (1,):
            return prediction, b.reshape(made, b.shape(made)[:1])
        return prediction, mean(b, made, (1,), "row_loss")

    return LossRule(
        units=_by_class if record.takes == "classes" else _by_target,
        lower=lower,
        classes=record.takes == "classes",
        labels=record.takes == "labels",
        values=lambda record: emit.values(formula, record.values, "loss"),
    )


def _formula_tensors(b: Builder, takes: str, output: str, y: str) -> tuple[dict[str, str], str]:
    """What a formula may name, and the prediction."""
    if takes == "numbers":
        return {"prediction": output, "target": y}, output
    if takes == "labels":
        probability = b.add("sigmoid", output, name="probabilities")
        logarithm = b.add("neg", b.add("softplus", b.add("neg", output)), name="log_probability")
        return {"score": output, "probability": probability, "log_probability": logarithm, "target": y}, probability
    n, classes = b.shape(output)
    # no gradient flows through the maximum: the result does not depend on it
    shifted = b.add("sub", output, b.reshape(b.add("max", output, axes=(1,)), (n, 1)))
    powers = b.add("exp", shifted)
    total = b.reshape(b.add("sum", powers, axes=(1,)), (n, 1))
    logarithm = b.add("sub", shifted, b.add("log", total), name="log_probability")
    probability = b.add("div", powers, total, name="probabilities")
    hot = b.add("equal", b.add("column_index", columns=classes), b.reshape(y, (n, 1)), name="one_hot")
    target = b.add("cast", hot, dtype=b.precision)
    return {"score": output, "probability": probability, "log_probability": logarithm, "target": target}, probability


def smoothed(b: Builder, logits: str, y: str, row_loss: str) -> str:
    """The softmax cross-entropy of labels that keep 1 - s and give s / C to every class (Szegedy et al. 2016, section 7) -> [N].

    -log softmax(z)[c] is a common term minus z[c], so smoothing adds s * (z[label] - mean(z)).
    """
    n, classes = b.shape(logits)
    hot = b.add("equal", b.add("column_index", columns=classes), b.reshape(y, (n, 1)), name="one_hot")
    picked = b.add("sum", b.add("where", hot, logits, b.constant(0.0)), axes=(1,))
    apart = b.add("sub", picked, mean(b, logits, (1,)))
    return b.add("add", row_loss, b.add("mul", apart, b.value("regularization.label_smoothing")), name="smoothed_loss")


def _by_class(data: DataShape) -> int:
    return data.classes or 0


def _by_target(data: DataShape) -> int:
    return data.targets or 0


def _huber_values(record: Huber) -> dict[str, Value]:
    return {"loss.delta": record.delta}


LOSSES: Family[Loss, LossRule] = Family(
    "loss",
    {
        "auto": (Auto, None),
        "softmax_cross_entropy": (SoftmaxCrossEntropy, LossRule(units=_by_class, lower=_softmax_cross_entropy, classes=True)),
        "logistic": (Logistic, LossRule(units=lambda data: 1, lower=_logistic, classes=True)),
        "binary_cross_entropy": (
            BinaryCrossEntropy,
            LossRule(units=_by_target, lower=_binary_cross_entropy, classes=False, labels=True),
        ),
        "mean_squared_error": (MeanSquaredError, LossRule(units=_by_target, lower=_mean_squared_error, classes=False)),
        "mean_absolute": (MeanAbsolute, LossRule(units=_by_target, lower=_mean_absolute, classes=False)),
        "huber": (Huber, LossRule(units=_by_target, lower=_huber, classes=False, values=_huber_values)),
        "hinge": (Hinge, LossRule(units=_by_class, lower=_hinge, classes=True)),
        "formula": (FormulaLoss, PerRecord(_formula)),
    },
)


def class_weights(loss: Loss) -> ClassWeights:
    """What the rows of each class count; None where all count the same."""
    return loss.class_weights if isinstance(loss, LossOfClasses) else None


def takes(rule: LossRule) -> str:
    """What a loss is for: classes, labels or numbers."""
    return "classes" if rule.classes else "labels" if rule.labels else "numbers"


def resolve(loss: Loss, data: DataShape) -> Loss:
    """The loss that `loss` stands for with this data.  Raises ConfigError when it does not fit."""
    _check_class_weights(class_weights(loss), data)
    if isinstance(loss, Auto):
        if data.classes is not None:
            return SoftmaxCrossEntropy(class_weights=loss.class_weights)
        return BinaryCrossEntropy() if data.labels else MeanSquaredError()
    has = "labels" if data.labels else "numbers" if data.classes is None else "classes"
    kind, needs = LOSSES.kind_of(loss), takes(LOSSES.rule(loss))
    if needs != has:
        hint = "use loss=auto, or data.task=regression" if has == "labels" and needs == "numbers" else "use loss=auto"
        raise ConfigError(at="loss.kind", got=kind, rule=f"needs {needs}, and the data has {has} as targets", hint=hint)
    if isinstance(loss, Logistic) and data.classes != 2:
        hint = "use loss=softmax_cross_entropy"
        raise ConfigError(at="loss.kind", got=kind, rule=f"needs 2 classes, and the data has {data.classes}", hint=hint)
    return loss


def _check_class_weights(given: ClassWeights, data: DataShape) -> None:
    """One weight a class, not all of them 0."""
    if given is None:
        return
    at, got = "loss.class_weights", given if isinstance(given, str) else list(given)
    if data.classes is None:
        has = "labels" if data.labels else "numbers"
        raise ConfigError(at=at, got=got, rule=f"the data has {has} as targets", hint="use data.sample_weight, a weight for each row")
    if isinstance(given, tuple) and len(given) != data.classes:
        rule = f"has {len(given)} weights, and the data has {data.classes} classes"
        raise ConfigError(at=at, got=got, rule=rule, hint="give one for each class, in the order of the classes")
    if isinstance(given, tuple) and not any(given):
        raise ConfigError(at=at, got=got, rule="no class has a weight above 0", hint="leave it null where all classes count the same")
