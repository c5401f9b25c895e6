"""Experiment and data shape -> layer graph: slots filled, shapes known, tensors named."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError
from pipeline.layers import KINDS, LAYERS
from pipeline.layers.activation import Identity, Softmax
from pipeline.layers.dense import Dense
from pipeline.layers.dropout import Dropout
from pipeline.layers.graph import LayerGraph, LayerNode, Parameter
from pipeline.layers.kind import Shape
from pipeline.layers.names import INPUT, layer_names
from pipeline.layers.normalization import NORMALIZATIONS, NoNormalization
from pipeline.recipe import losses

if TYPE_CHECKING:
    from pipeline.config.experiment import Experiment
    from pipeline.data import DataShape


def build(config: Experiment, data: DataShape) -> LayerGraph:
    """The layers of `config` over `data`.  A hidden weighted layer (dense, conv, ...) becomes

        layer -> [norm pre] -> activation -> [norm post] -> [dropout]

    The output layer (the head, or the last layer when head is none) takes initialization and weight regularization from the groups;
    norm, activation and dropout only when it asks for them itself.  Raises ConfigError.
    """
    loss = losses.resolve(config.loss, data)
    if config.regularization.label_smoothing > 0 and not isinstance(loss, losses.SoftmaxCrossEntropy):
        rule = f"is for softmax_cross_entropy, and the loss is {losses.kind_of(loss)}"
        raise ConfigError(at="regularization.label_smoothing", got=config.regularization.label_smoothing, rule=rule, hint="give 0")
    units = losses.RULES[type(loss)].units(data)
    layers: list[Any] = list(config.architecture.layers)
    if config.architecture.head == "auto":
        layers.append(Dense(units=units))
    names = layer_names(layers)
    nodes: list[LayerNode] = []
    shapes: dict[str, Shape] = {INPUT: tuple(data.input_shape)}
    ends = {INPUT: INPUT}  # layer -> the last node of its slots
    for index, (layer, name) in enumerate(zip(layers, names, strict=True)):
        named = getattr(layer, "inputs", None) or (layer.input or (names[index - 1] if index else INPUT),)
        sources = tuple(ends[source] for source in named)
        number = sum(_has(entry, "activation") for entry in layers[: index + 1])
        for record, part in _parts(config, layer, name, number, output=index == len(layers) - 1):
            nodes.append(_node(record, part, sources, shapes, at=f"architecture.layers[{index}]", layer=layer))
            sources = (part,)
        (ends[name],) = sources
    network = LayerGraph(input_shape=tuple(data.input_shape), nodes=tuple(nodes), loss=loss, loss_kind=losses.kind_of(loss))
    _check_output(network, units, config)
    _check_used(network, layers, names, ends)
    return network


def _parts(config: Experiment, layer: Any, name: str, number: int, *, output: bool) -> Iterator[tuple[object, str]]:
    """(record, name) of the layer and of what its slots hold, in order.  A layer has the slots that its record has fields for."""
    initialization: Any = config.initialization
    groups = {
        "initialization": replace(initialization, bias_init=0.0) if output else initialization,
        "regularization": config.regularization,
        "normalization": NoNormalization() if output else config.normalization,
        "activation": Identity() if output else config.activation,
    }
    filled = replace(layer, **{slot: getattr(layer, slot) or group for slot, group in groups.items() if _has(layer, slot)})
    slots: list[object] = [filled.activation] if _has(layer, "activation") else []
    normalization: Any = getattr(filled, "normalization", None)
    if normalization is not None and not isinstance(normalization, NoNormalization):
        slots.insert(0 if normalization.position == "pre" else 1, normalization)
    dropout = getattr(layer if output else filled, "regularization", None)
    if dropout is not None and dropout.dropout != "none":
        slots.append(Dropout(keep_prob=dropout.kept, traditional=dropout.dropout == "traditional"))
    yield filled, name
    for record in slots:
        if type(record) in KINDS:
            prefix = KINDS[type(record)].prefix
            yield record, f"{name}_{prefix}" if layer.name else f"{prefix}{number}"


def _has(layer: Any, slot: str) -> bool:
    return any(f.name == slot for f in fields(layer))


def _node(record: object, name: str, sources: tuple[str, ...], shapes: dict[str, Shape], *, at: str, layer: Any) -> LayerNode:
    """The node of `record`, which is `layer` at the config path `at` or fills a slot of it; its shape is put into `shapes`."""
    if name in shapes:
        raise ConfigError(at=f"{at}.name", got=name, rule="another layer has this name", hint="a name can be used once")
    kind, inputs = KINDS[type(record)], tuple(shapes[source] for source in sources)
    try:
        shapes[name] = kind.shape(record, inputs)
    except ConfigError as error:  # a shape rule knows the field, not where the layer stands
        place, rule = at, error.rule
        if type(record) in NORMALIZATIONS.values():
            place = f"{at}.normalization" if layer.normalization is not None else "normalization"
            rule = f"{rule} of {sources[0]}"
        raise ConfigError(at=f"{place}.{error.at}", got=error.got, rule=rule, hint=error.hint) from None
    parameters = tuple(_with_bias(p, record) for p in kind.parameters(record, name, inputs))
    return LayerNode(name=name, kind=_kind_name(record), inputs=sources, shape=shapes[name], record=record, parameters=parameters)


def _with_bias(parameter: Parameter, record: Any) -> Parameter:
    """A bias starts with what the layer's initialization says; all else as the layer says."""
    if not parameter.name.endswith(".bias") or getattr(record, "initialization", None) is None:
        return parameter
    return replace(parameter, initial=float(record.initialization.bias_init))


def _kind_name(record: object) -> str:
    words = {record_type: kind for kind, record_type in LAYERS.items()}
    words |= {record_type: f"{kind}_norm" for kind, record_type in NORMALIZATIONS.items()}
    return words.get(type(record)) or KINDS[type(record)].prefix


def _check_output(network: LayerGraph, units: int, config: Experiment) -> None:
    last = len(config.architecture.layers) - 1
    if isinstance(network.output.record, Softmax) and losses.RULES[type(network.loss)].classes:
        rule = f"loss={network.loss_kind} takes logits, what comes before a softmax"
        hint = "leave the softmax out: predictions are probabilities without it"
        raise ConfigError(at=f"architecture.layers[{last}].activation", got="softmax", rule=rule, hint=hint)
    if network.output.shape != (units,) and not hasattr(config.architecture.layers[last], "units"):
        rule = f"the last layer must give [{units}] for this data and loss={network.loss_kind}"
        hint = "give architecture.head=auto"
        if math.prod(network.output.shape) == math.prod(network.input_shape):
            wanted = [] if config.data.task == "reconstruction" else ["data.task=reconstruction"]
            wanted += [] if len(network.output.shape) == 1 else ["a flatten layer at the end"]
            hint = f"for an autoencoder give {' and '.join(wanted)}"
        raise ConfigError(at=f"architecture.layers[{last}]", got=list(network.output.shape), rule=rule, hint=hint)
    if network.output.shape != (units,):
        rule = f"the last layer needs {units} units for this data and loss={network.loss_kind}"
        hint = f"give units={units}, or architecture.head=auto"
        raise ConfigError(at=f"architecture.layers[{last}].units", got=network.output.shape[-1], rule=rule, hint=hint)


def _check_used(network: LayerGraph, layers: Sequence[Any], names: Sequence[str], ends: dict[str, str]) -> None:
    """A layer that nothing reads would never be trained."""
    used = {source for node in network.nodes for source in node.inputs} | {network.output.name}
    for index, name in enumerate(names):
        if ends[name] not in used:
            hint = f"name it as the input of a later layer: input={name}"
            raise ConfigError(at=f"architecture.layers[{index}]", got=name, rule="no layer uses its output", hint=hint)
