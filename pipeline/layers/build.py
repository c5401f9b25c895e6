"""Experiment and data shape -> layer graph: slots filled, shapes known, tensors named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipeline import losses
from pipeline.errors import ConfigError
from pipeline.layers import KINDS, LAYERS
from pipeline.layers.activation import Identity
from pipeline.layers.dense import Dense
from pipeline.layers.dropout import Dropout
from pipeline.layers.graph import LayerGraph, LayerNode
from pipeline.layers.kind import Shape
from pipeline.layers.names import INPUT, layer_names
from pipeline.layers.normalization import BatchNormalization, NoNormalization

if TYPE_CHECKING:
    from pipeline.data import DataShape
    from pipeline.spec import Experiment


def build(config: Experiment, data: DataShape) -> LayerGraph:
    """The layers of `config` over `data`.  A hidden weighted layer becomes

        dense -> [norm pre] -> activation -> [norm post] -> [dropout]

    The output layer (the head, or the last layer when head is none) takes initialization and weight regularization from the groups;
    norm, activation and dropout only when it asks for them itself.  Raises ConfigError.
    """
    loss = losses.resolve(config.loss, data)
    units = losses.RULES[type(loss)].units(data)
    layers: list[Any] = list(config.architecture.layers)
    if config.architecture.head == "auto":
        layers.append(Dense(units=units))
    names = layer_names(layers)
    nodes: list[LayerNode] = []
    shapes: dict[str, Shape] = {INPUT: tuple(data.input_shape)}
    ends = {INPUT: INPUT}  # layer -> the last node of its slots
    for index, (layer, name) in enumerate(zip(layers, names, strict=True)):
        source = ends[layer.input or (names[index - 1] if index else INPUT)]
        for record, part in _parts(config, layer, name, index + 1, output=index == len(layers) - 1):
            nodes.append(_node(record, part, source, shapes, at=f"architecture.layers[{index}].name"))
            source = part
        ends[name] = source
    network = LayerGraph(input_shape=tuple(data.input_shape), nodes=tuple(nodes), loss=loss, loss_kind=losses.kind_of(loss))
    _check_output(network, units, config)
    _check_used(network, layers, names, ends)
    return network


def _parts(config: Experiment, layer: Any, name: str, number: int, *, output: bool) -> Iterator[tuple[object, str]]:
    """(record, name) of the layer and of what its slots hold, in order."""
    initialization = layer.initialization or config.initialization
    regularization = layer.regularization or config.regularization
    normalization = layer.normalization or (NoNormalization() if output else config.normalization)
    activation = layer.activation or (Identity() if output else config.activation)
    filled = replace(
        layer, initialization=initialization, regularization=regularization, normalization=normalization, activation=activation
    )
    slots: list[object] = [activation]
    if isinstance(normalization, BatchNormalization):
        slots.insert(0 if normalization.position == "pre" else 1, normalization)
    dropout = layer.regularization if output else regularization
    if dropout is not None and dropout.dropout == "inverted":
        slots.append(Dropout(keep_prob=dropout.keep_prob))
    yield filled, name
    for record in slots:
        if type(record) in KINDS:
            prefix = KINDS[type(record)].prefix
            yield record, f"{name}_{prefix}" if layer.name else f"{prefix}{number}"


def _node(record: object, name: str, source: str, shapes: dict[str, Shape], *, at: str) -> LayerNode:
    """The node of `record` over `source`; its shape is put into `shapes`."""
    if name in shapes:
        raise ConfigError(at=at, got=name, rule="another layer has this name", hint="a name can be used once")
    kind, inputs = KINDS[type(record)], (shapes[source],)
    shapes[name] = kind.shape(record, inputs)
    parameters = kind.parameters(record, name, inputs)
    return LayerNode(name=name, kind=_kind_name(record), inputs=(source,), shape=shapes[name], record=record, parameters=parameters)


def _kind_name(record: object) -> str:
    words = {record_type: kind for kind, record_type in LAYERS.items()}
    return words.get(type(record)) or ("batch_norm" if isinstance(record, BatchNormalization) else KINDS[type(record)].prefix)


def _check_output(network: LayerGraph, units: int, config: Experiment) -> None:
    if network.output.shape != (units,):
        last = len(config.architecture.layers) - 1
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
