"""Layer graph -> op graph, in its forms over one state.

train     one optimizer step: loss, gradients, updates of parameters, slots and running statistics; stops when the loss is not finite
gradient  the training loss and its gradients, nothing updated
evaluate  predictions and row losses with running statistics and without dropout, and the regularization terms
fold      the weights that evaluation uses where batch norm is folded into them; made by fold_batch_norm.py
layers    the value of every layer, as in evaluate
probe     as gradient, and the value of every layer, as in training; images are not moved
first, more, update  the parts of a step with micro-batches; see accumulate.py
statistics  the running statistics of batch norm, and nothing else: for the averages of the weights

Where the weights are averaged, all but train and gradient read the averages in place of them.
"""

# B batch rows
from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.compiler import accumulate, loss_weights
from pipeline.compiler.autodiff import gradients
from pipeline.config.experiment import Experiment
from pipeline.graph.builder import Builder
from pipeline.graph.ir import Graph
from pipeline.graph.values import Array, Clock, Value
from pipeline.layers import rule_of
from pipeline.layers.graph import LayerGraph, LayerNode, Parameter
from pipeline.layers.names import INPUT
from pipeline.layers.normalization import of_batches
from pipeline.ops import SHAPE_RULES
from pipeline.ops.reduce import mean
from pipeline.optimizers import OPTIMIZERS
from pipeline.optimizers.clipping import clip_values, clipped
from pipeline.optimizers.rule import KEEP, LearningRate, Optimizer, decay_name, emit_update, max_norm_name
from pipeline.recipe import augmentation, averaging, losses, penalty
from pipeline.recipe.augmentation import Augmentation
from pipeline.recipe.averaging import Averaging, average_name, averages
from pipeline.recipe.losses import LOSSES
from pipeline.recipe.regularization import Regularization
from pipeline.recipe.schedules import factor

Form = Literal["train", "gradient", "evaluate", "fold", "layers", "probe", "statistics", "first", "more", "update"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is lowered: a network and, of its config, all that decides its structure.

    regularization   what holds for the network as a whole
    augmented        what happens to the images of a training batch
    averaging        what the weights are averaged to
    resets           the optimizer's slots go back to their start when the learning rate changes
    """

    network: LayerGraph
    precision: str
    optimizer: Optimizer
    regularization: Regularization
    augmented: Augmentation | None
    averaging: Averaging
    resets: bool


@dataclass(frozen=True, kw_only=True)
class _Scored:
    """Values after the loss: the target, the prediction, the loss of each row [B], and the regularization terms, if there are any."""

    y: str
    output: str
    prediction: str
    row_loss: str
    penalty: str | None


def lower(
    source: Source, *, form: Form, batch: int, weighted: bool = False, folded: LayerGraph | None = None, total: int | None = None
) -> Graph:
    """The op graph of `source` in `form` for `batch` rows a step: forward, loss, gradient, update, as far as the form goes.

    weighted   each row brings a weight of its own, the data array `weight`; not in evaluation
    total      the rows of an update, where `batch` are those of a micro-batch
    folded     the layers that evaluation goes through, where they are others; the penalty stays that of the weights themselves
    """
    if form in ("first", "more"):
        return _gathering(source, batch, total or batch, weighted=weighted, first=form == "first")
    if form == "update":
        return _gathered(source, batch, lower(source, form="first", batch=1, total=batch, weighted=weighted))
    b, network = Builder(source.precision, SHAPE_RULES), source.network
    augmented = None if form == "probe" else source.augmented
    made = _forward(b, folded or network, batch, augmented, training=form in ("train", "gradient", "probe", "statistics"))
    if form == "statistics":
        return averaged(b.graph(), source).with_inputs(of_batches(network.nodes))
    if form == "layers":
        b.outputs = {node.name: made[node.name] for node in network.nodes}
        return averaged(b.graph(), source)
    scored = _score(b, network, made[network.output.name], batch)
    if form == "evaluate":
        b.outputs = {"prediction": scored.prediction, "row_loss": scored.row_loss}
        b.outputs |= {"penalty": scored.penalty} if scored.penalty else {}
        return averaged(b.graph(), source)
    row_loss = _row_loss(b, source, scored, weighted=weighted)
    loss = _with_penalty(b, _data_loss(b, row_loss), scored.penalty)
    gradient = gradients(b, loss, [p.name for p in network.parameters if p.learns])
    b.outputs = {"loss": loss}
    if form in ("gradient", "probe"):
        b.updates = {}
        b.outputs |= {f"gradient:{name}": value for name, value in gradient.items()}
        if form == "probe":
            b.outputs |= {"row_loss": row_loss, **{f"layer:{node.name}": made[node.name] for node in network.nodes}}
        return b.graph()
    _update(b, source, gradient)
    _average(b, source)
    b.guard = loss
    return b.graph()


def averaged(graph: Graph, source: Source) -> Graph:
    """`graph` with the averages in place of the tensors that have one."""
    return graph.with_inputs({tensor.name: average_name(tensor.name) for tensor in with_average(source.network, source.averaging)})


def with_average(network: LayerGraph, averaging: Averaging) -> tuple[Parameter, ...]:
    """The tensors that are averaged: those that the optimizer changes, and the running statistics."""
    return tuple(p for p in network.parameters if p.learns or not p.trained) if averages(averaging) else ()


def learning_rate(config: Experiment) -> LearningRate:
    """The learning rate at the steps of a clock."""

    def rate(clock: Clock) -> Array:
        base = config.optimizer.learning_rate
        return np.asarray(base * factor(config.schedule, clock.steps, clock.total) * clock.scale)

    return rate


def values(network: LayerGraph, config: Experiment) -> dict[str, Value]:
    """Every scalar that any form of `network` may read."""
    rate = learning_rate(config)
    result: dict[str, Value] = dict(OPTIMIZERS.rule(config.optimizer).values(config.optimizer, rate))
    result[accumulate.WHOLE] = 1.0
    result[KEEP] = lambda clock: np.minimum(clock.updates, 1)
    result |= LOSSES.rule(network.loss).values(network.loss)
    result |= {"regularization.label_smoothing": config.regularization.label_smoothing, **clip_values(config.regularization)}
    result |= augmentation.values(config.augmentation) | averaging.values(config.averaging)
    for node in network.nodes:
        result |= rule_of(node.record).values(node)
        for p in node.parameters:
            if p.regularization is not None:
                result[_half_l2(p.name)] = p.regularization.l2 / 2
                result[_l1(p.name)] = p.regularization.l1
                result[decay_name(p.name)] = _decay(rate, p.regularization.weight_decay)
                result[max_norm_name(p.name)] = p.regularization.max_norm or 0.0
                if p.regularization.penalty is not None:
                    result |= penalty.values(p.regularization.penalty, _penalty_name(p.name))
    return result


def _forward(b: Builder, network: LayerGraph, batch: int, augmented: Augmentation | None, *, training: bool) -> dict[str, str]:
    """Emits the layers -> the batched value of each, by its name."""
    made = {INPUT: b.input("x", (batch, *network.input_shape), "data")}
    if training and augmented is not None:
        b.scope = "augmentation"
        made[INPUT] = augmentation.augment(b, augmented, made[INPUT])
    for node in network.nodes:
        b.scope = node.name
        made[node.name] = _lower_node(b, node, made, training=training)
    b.scope = ""
    return made


def _lower_node(b: Builder, node: LayerNode, made: dict[str, str], *, training: bool) -> str:
    value = rule_of(node.record).lower(b, node, tuple(made[source] for source in node.inputs), training=training)
    assert b.shape(value)[1:] == node.shape, f"{node.name} has shape {node.shape}, its ops make {b.shape(value)[1:]}"
    return value


def _score(b: Builder, network: LayerGraph, output: str, batch: int) -> _Scored:
    """Emits what is said of the network's output, row by row, and the penalty."""
    y = _target(b, network, batch)
    b.scope = "loss"
    prediction, row_loss = LOSSES.rule(network.loss).lower(b, output, y)
    penalty = _penalty(b, network)
    b.scope = ""
    return _Scored(y=y, output=output, prediction=prediction, row_loss=row_loss, penalty=penalty)


def _row_loss(b: Builder, source: Source, scored: _Scored, *, weighted: bool) -> str:
    """Emits the rows' losses in training, smoothed and weighted."""
    b.scope, row_loss = "loss", scored.row_loss
    if source.regularization.label_smoothing > 0:
        row_loss = losses.smoothed(b, scored.output, scored.y, row_loss)
    return loss_weights.emit(b, source.network, scored.y, row_loss, rows=weighted)


def _data_loss(b: Builder, row_loss: str, rows: int | None = None) -> str:
    """Emits the mean of the rows' losses; rows: they are a part of so many."""
    b.scope = "loss"
    if rows is None:
        return mean(b, row_loss, (0,), "data_loss")
    return b.add("mul", b.add("sum", row_loss, axes=(0,)), b.constant(1.0 / rows), name="data_loss")


def _with_penalty(b: Builder, loss: str, penalty: str | None) -> str:
    """Emits the training loss."""
    b.scope = "loss"
    loss = b.add("add", loss, penalty, name="loss") if penalty else loss
    b.scope = ""
    return loss


def _gathering(source: Source, batch: int, total: int, *, weighted: bool, first: bool) -> Graph:
    """A micro-batch of `batch` of the `total` rows of an update: its part of the gradient, and the losses of its rows."""
    b = Builder(source.precision, SHAPE_RULES)
    made = _forward(b, source.network, batch, source.augmented, training=True)
    output = made[source.network.output.name]
    y = _target(b, source.network, batch)
    b.scope = "loss"
    prediction, row_loss = LOSSES.rule(source.network.loss).lower(b, output, y)
    scored = _Scored(y=y, output=output, prediction=prediction, row_loss=row_loss, penalty=None)
    row_loss = _row_loss(b, source, scored, weighted=weighted)
    loss = _data_loss(b, row_loss, total)
    b.scope = ""
    accumulate.emit_gathering(b, source.network, loss, rows=batch, times=max(1, total // batch), first=first)
    b.outputs = {"row_loss": row_loss}
    return b.graph() if first else accumulate.continued(b.graph(), source.network)


def _gathered(source: Source, total: int, gathering: Graph) -> Graph:
    """The step after all micro-batches; y: the losses of the `total` rows."""
    b = Builder(source.precision, SHAPE_RULES)
    row_loss = b.input("y", (total,), "data")
    b.scope = "loss"
    penalty = _penalty(b, source.network)
    b.scope = ""
    loss = _with_penalty(b, _data_loss(b, row_loss), penalty)
    gradient = accumulate.emit_gathered(b, source.network, penalty, accumulate.shapes_of(gathering))
    b.outputs = {"loss": loss}
    _update(b, source, gradient)
    _average(b, source)
    b.guard = loss
    return b.graph()


def _update(b: Builder, source: Source, gradient: dict[str, str]) -> None:
    """Emits the optimizer's step on every trained tensor."""
    given = clipped(b, gradient, source.regularization)
    for parameter in source.network.parameters:
        if parameter.learns:
            emit_update(b, OPTIMIZERS.rule(source.optimizer), parameter, given[parameter.name], resets=source.resets)


def _average(b: Builder, source: Source) -> None:
    """average <- kept * average + (1 - kept) * what the step makes of the tensor."""
    for tensor in with_average(source.network, source.averaging):
        b.scope = f"average/{tensor.name}"
        average = b.input(average_name(tensor.name), tensor.shape, "state")
        kept = b.add("mul", average, b.value(averaging.KEPT))
        b.updates[average] = b.add("add", kept, b.add("mul", b.updates[tensor.name], b.value(averaging.SHARE)), name="new")
    b.scope = ""


def _target(b: Builder, network: LayerGraph, batch: int) -> str:
    """y: classes int32 [B] or numbers [B, T]."""
    if LOSSES.rule(network.loss).classes:
        return b.input("y", (batch,), "data", "int32")
    return b.input("y", (batch, *network.output.shape), "data")


def _penalty(b: Builder, network: LayerGraph) -> str | None:
    """sum over the weights of l2 / 2 * sum(w^2) + l1 * sum(|w|) + the formula of the penalty, or None where no layer has any."""
    total: str | None = None
    for p in network.parameters:
        if p.regularization is None:
            continue
        w, axes, terms = b.input(p.name, p.shape, "state"), tuple(range(len(p.shape))), []
        if p.regularization.l2 > 0:
            squares = b.add("sum", b.add("mul", w, w), axes=axes, name="squares")
            terms.append(b.add("mul", squares, b.value(_half_l2(p.name)), name="penalty"))
        if p.regularization.l1 > 0:
            sizes = b.add("sum", b.add("abs", w), axes=axes, name="sizes")
            terms.append(b.add("mul", sizes, b.value(_l1(p.name)), name="penalty"))
        if p.regularization.penalty is not None:
            terms.append(penalty.term(b, p.regularization.penalty, w, _penalty_name(p.name)))
        for term in terms:
            total = term if total is None else b.add("add", total, term, name="penalty")
    return total


def _l1(parameter: str) -> str:
    return f"{parameter}.l1"


def _penalty_name(parameter: str) -> str:
    return f"{parameter}.penalty"


def _half_l2(parameter: str) -> str:
    return f"{parameter}.half_l2"


def _decay(rate: LearningRate, weight_decay: float) -> Value:
    return lambda clock: rate(clock) * weight_decay
