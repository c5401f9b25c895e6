"""Experiment and data shape -> layer graph: slots filled, shapes known, tensors named."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipeline.config.experiment import Experiment
from pipeline.data import DataShape
from pipeline.errors import ConfigError
from pipeline.extend.layers import Own
from pipeline.layers import kind_of, rule_of
from pipeline.layers.activate import ActivationLayer
from pipeline.layers.activation import Identity, Softmax
from pipeline.layers.add import Add
from pipeline.layers.dense import Dense
from pipeline.layers.dropout import Dropout, DropoutLayer
from pipeline.layers.graph import LayerGraph, LayerNode, Parameter
from pipeline.layers.kind import Shape
from pipeline.layers.names import INPUT, layer_names
from pipeline.layers.normalization import BatchNormalization, NoNormalization
from pipeline.layers.normalize import NormalizationLayer
from pipeline.layers.part import Layer, MeanAndVariance, Merge, Normalization, OneInput, Part
from pipeline.layers.weighted import Weighted
from pipeline.recipe.losses import LOSSES, SoftmaxCrossEntropy, resolve

MOST_NUMBERS = 2**48  # of one tensor
SLOTTED = (Weighted, Add, ActivationLayer, NormalizationLayer, DropoutLayer)  # the layers with slots


def build(config: Experiment, data: DataShape) -> LayerGraph:
    """The layers of `config` over `data`.  A hidden weighted layer (dense, conv, ...) becomes

        layer -> [norm pre] -> activation -> [norm post] -> [dropout]

    The output layer (the head, or the last layer when head is none) takes initialization and weight regularization from the groups;
    norm, activation and dropout only when it asks for them itself.  Raises ConfigError.
    """
    loss = resolve(config.loss, data)
    if config.regularization.label_smoothing > 0 and not isinstance(loss, SoftmaxCrossEntropy):
        rule = f"is for softmax_cross_entropy, and the loss is {LOSSES.kind_of(loss)}"
        raise ConfigError(at="regularization.label_smoothing", got=config.regularization.label_smoothing, rule=rule, hint="give 0")
    units = LOSSES.rule(loss).units(data)
    layers: list[Layer] = list(config.architecture.layers)
    if config.architecture.head == "auto":
        layers.append(Dense(units=units))
    names = layer_names(layers)
    nodes: list[LayerNode] = []
    shapes: dict[str, Shape] = {INPUT: tuple(data.input_shape)}
    ends = {INPUT: INPUT}  # layer -> the last node of its slots
    for index, (layer, name) in enumerate(zip(layers, names, strict=True)):
        sources = tuple(ends[source] for source in _sources(layer, names[index - 1] if index else INPUT))
        number = sum(isinstance(entry, SLOTTED) for entry in layers[: index + 1])
        for record, part in _parts(config, layer, name, number, output=index == len(layers) - 1):
            nodes.append(_node(record, part, sources, shapes, at=f"architecture.layers[{index}]", layer=layer))
            sources = (part,)
        (ends[name],) = sources
    network = LayerGraph(input_shape=tuple(data.input_shape), nodes=tuple(nodes), loss=loss)
    _check_size(network)
    _check_output(network, units, config)
    _check_used(network, layers, names, ends)
    _check_statistics(network, config)
    if not any(p.learns for p in network.parameters):
        rule, hint = "every layer is frozen, and nothing would be trained", "leave frozen out of one"
        raise ConfigError(at="architecture.layers", got=f"{len(layers)} layers", rule=rule, hint=hint)
    return network


def _sources(layer: Layer, before: str) -> tuple[str, ...]:
    """The names of the layers that `layer` reads."""
    if isinstance(layer, Merge):
        return layer.inputs
    assert isinstance(layer, OneInput)
    return (layer.input or before,)


def _parts(config: Experiment, layer: Layer, name: str, number: int, *, output: bool) -> Iterator[tuple[Part, str]]:
    """(record, name) of the layer and of what its slots hold, in order."""
    filled = _filled(config, layer, output=output)
    slots: list[Part] = [filled.activation] if isinstance(filled, Weighted | Add | ActivationLayer) and filled.activation else []
    if isinstance(filled, NormalizationLayer) and isinstance(filled.normalization, MeanAndVariance):
        slots.append(filled.normalization)
    if isinstance(filled, DropoutLayer):
        slots.append(filled.dropout)
    if isinstance(filled, Weighted):
        if isinstance(filled.normalization, MeanAndVariance):
            slots.insert(0 if filled.normalization.position == "pre" else 1, filled.normalization)
        dropout = layer.regularization if output and isinstance(layer, Weighted) else filled.regularization
        if dropout is not None and dropout.dropout != "none":
            slots.append(Dropout(keep_prob=dropout.kept, form=dropout.dropout))
    yield filled, name
    for record in slots:
        if not isinstance(record, Identity):
            prefix = rule_of(record).prefix
            yield record, f"{name}_{prefix}" if layer.name else f"{prefix}{number}"


def _filled(config: Experiment, layer: Layer, *, output: bool) -> Layer:
    """The layer with the groups of the config in the slots that it leaves open."""
    activation = Identity() if output else config.activation
    if isinstance(layer, Add | ActivationLayer):
        return replace(layer, activation=layer.activation or activation)
    if isinstance(layer, NormalizationLayer):
        return replace(layer, normalization=layer.normalization or config.normalization)
    if not isinstance(layer, Weighted):
        return layer
    initialization = replace(config.initialization, bias_init=0.0) if output else config.initialization
    return replace(
        layer,
        initialization=layer.initialization or initialization,
        regularization=layer.regularization or config.regularization,
        normalization=layer.normalization or (NoNormalization() if output else config.normalization),
        activation=layer.activation or activation,
    )


def _node(record: Part, name: str, sources: tuple[str, ...], shapes: dict[str, Shape], *, at: str, layer: Layer) -> LayerNode:
    """The node of `record`, which is `layer` at the config path `at` or fills a slot of it; its shape is put into `shapes`."""
    if name in shapes:
        raise ConfigError(at=f"{at}.name", got=name, rule="another layer has this name", hint="a name can be used once")
    kind, inputs = rule_of(record), tuple(shapes[source] for source in sources)
    try:
        shapes[name] = kind.shape(record, inputs)
    except ConfigError as error:  # a shape rule knows the field, not where the layer stands
        place, rule = at, error.rule
        if isinstance(record, Normalization):
            own = isinstance(layer, Weighted | NormalizationLayer) and layer.normalization is not None
            place = f"{at}.normalization" if own else "normalization"
            rule = f"{rule} of {sources[0]}"
        raise ConfigError(at=f"{place}.{error.at}", got=error.got, rule=rule, hint=error.hint) from None
    parameters = tuple(_with_bias(p, record) for p in kind.parameters(record, name, inputs))
    if isinstance(layer, Weighted) and layer.frozen:
        parameters = tuple(replace(p, frozen=True, regularization=None) for p in parameters)
    return LayerNode(name=name, kind=kind_of(record), inputs=sources, shape=shapes[name], record=record, parameters=parameters)


def _with_bias(parameter: Parameter, record: Part) -> Parameter:
    """A bias starts with what the layer's initialization says; all else as the layer says."""
    if not isinstance(record, Weighted) or isinstance(record, Own) or not parameter.name.endswith(".bias"):
        return parameter
    return replace(parameter, initial=record.start.bias_init)


def _check_size(network: LayerGraph) -> None:
    """Whether the numbers of each layer can be counted by what comes after; whether the memory has room for them is asked there."""
    for node in network.nodes:
        size = max(math.prod(shape) for shape in (node.shape, *(p.shape for p in node.parameters)))
        if size > MOST_NUMBERS:
            rule = "a tensor of it would have more than 2^48 numbers, and no machine holds them"
            raise ConfigError(at="architecture.layers", got=node.name, rule=rule, hint="use fewer units")


def _check_output(network: LayerGraph, units: int, config: Experiment) -> None:
    last = len(config.architecture.layers) - 1
    if isinstance(network.output.record, Softmax) and LOSSES.rule(network.loss).classes:
        rule = f"loss={LOSSES.kind_of(network.loss)} takes logits, what comes before a softmax"
        hint = "leave the softmax out: predictions are probabilities without it"
        raise ConfigError(at=f"architecture.layers[{last}].activation", got="softmax", rule=rule, hint=hint)
    if network.output.shape != (units,) and not isinstance(config.architecture.layers[last], Dense):
        rule = f"the last layer must give [{units}] for this data and loss={LOSSES.kind_of(network.loss)}"
        hint = "give architecture.head=auto"
        if math.prod(network.output.shape) == math.prod(network.input_shape):
            wanted = [] if config.data.task == "reconstruction" else ["data.task=reconstruction"]
            wanted += [] if len(network.output.shape) == 1 else ["a flatten layer at the end"]
            hint = f"for an autoencoder give {' and '.join(wanted)}"
        raise ConfigError(at=f"architecture.layers[{last}]", got=list(network.output.shape), rule=rule, hint=hint)
    if network.output.shape != (units,):
        rule = f"the last layer needs {units} units for this data and loss={LOSSES.kind_of(network.loss)}"
        hint = f"give units={units}, or architecture.head=auto"
        raise ConfigError(at=f"architecture.layers[{last}].units", got=network.output.shape[-1], rule=rule, hint=hint)


def _check_statistics(network: LayerGraph, config: Experiment) -> None:
    """The variance of one number is 0: batch norm would pass beta alone.  A channel of an image has as many numbers as there are pixels."""
    alone = [n.name for n in network.nodes if isinstance(n.record, BatchNormalization) and math.prod(n.shape[:-1]) == 1]
    if alone and config.training.batch_size == 1:
        rule = f"batch norm needs at least 2 rows a batch, as {alone[0]} has one number a channel in each"
        raise ConfigError(at="training.batch_size", got=1, rule=rule, hint="use normalization=layer or none")


def _check_used(network: LayerGraph, layers: Sequence[Layer], names: Sequence[str], ends: dict[str, str]) -> None:
    """A layer that nothing reads would never be trained."""
    used = {source for node in network.nodes for source in node.inputs} | {network.output.name}
    for index, name in enumerate(names):
        if ends[name] not in used:
            hint = f"name it as the input of a later layer: input={name}"
            raise ConfigError(at=f"architecture.layers[{index}]", got=name, rule="no layer uses its output", hint=hint)
