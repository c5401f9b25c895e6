"""A kind of layer of one's own."""

# N batch
from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast, dataclass_transform

from pipeline.errors import ExtensionError
from pipeline.extend.declared import declare
from pipeline.extend.guard import guarded
from pipeline.graph.builder import Builder
from pipeline.graph.values import Value
from pipeline.layers import LAYERS, part, weighted
from pipeline.layers.graph import LayerNode, Parameter
from pipeline.layers.kind import LayerKind, Shape
from pipeline.records import record

Given = Mapping[str, str]  # a tensor or value of a layer, by its short name -> its name in the graph


class Own:
    """What a kind of layer may say beside its settings; shapes are without the batch axis."""

    def shape(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of its output; that of its input where nothing is said.  May raise ConfigError with the field as `at`."""
        return inputs[0]

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Parameter, ...]:
        """Its tensors, each by a name of its own: `weight` is NAME.weight in the network."""
        return ()

    def values(self) -> Mapping[str, float]:
        """Numbers that its ops read by name: trials that differ in them alone are compiled once and train in one stack."""
        return {}

    def lower(self, b: Builder, inputs: tuple[str, ...], given: Given, *, training: bool) -> str:
        """Emits its ops over the batched `inputs` [N, ...] -> its batched value; `given`: its tensors and values by name."""
        raise NotImplementedError


@record
class Layer(part.OneInput, Own):
    """A layer that reads one other."""


@record
class Merge(part.Merge, Own):
    """A layer that reads several others."""


@record
class Weighted(weighted.Weighted, Own):
    """A layer with the slots of dense and conv: initialization (`self.start`), normalization, activation, regularization, frozen."""


L = TypeVar("L", bound=Layer | Merge | Weighted)


@dataclass_transform(frozen_default=True, kw_only_default=True)  # as records.record
def layer(kind: str, *, prefix: str | None = None, examples: Sequence[Mapping[str, Any]] = ({},)) -> Callable[[type[L]], type[L]]:
    """Makes a class a record and the layer `kind` of `architecture.layers`.

    prefix    of automatic names, the kind itself where nothing is said
    examples  settings that the contract test tries: those without a default are needed there
    Raises ExtensionError.
    """

    def made(cls: type[L]) -> type[L]:
        fields = [name for name in inspect.get_annotations(cls) if name in ("shape", "parameters", "values", "lower")]
        if fields:
            raise ExtensionError(
                f"{cls.__module__}: layer {kind}: {fields[0]} is what a layer says, and no setting; call the setting otherwise"
            )
        if cls.lower is Own.lower:
            raise ExtensionError(f"{cls.__module__}: layer {kind}: has no ops; give it lower(self, b, inputs, given, *, training)")
        result = record(cls)
        declare("layer", kind, result, LAYERS, examples)
        LAYERS.rows[kind] = (cast("type[part.Layer]", result), _rule(kind, prefix or kind))
        return result

    return made


def _rule(kind: str, prefix: str) -> LayerKind:
    """What the compiler asks of a layer, asked of its record."""
    what = f"layer {kind}"

    def shape(own: Own, inputs: tuple[Shape, ...]) -> Shape:
        with guarded(what):
            found = tuple(int(size) for size in own.shape(inputs))
        if not found or min(found) < 1:
            raise ExtensionError(f"{what}: shape() says {list(found)} for {_shown(inputs)}; give sizes of at least 1")
        return found

    def parameters(own: Own, name: str, inputs: tuple[Shape, ...]) -> tuple[Parameter, ...]:
        with guarded(what):
            found = tuple(replace(p, name=f"{name}.{p.name}") for p in own.parameters(inputs))
        if len({p.name for p in found}) < len(found):
            raise ExtensionError(f"{what}: parameters() gives two tensors one name; give each its own")
        return found

    def values(node: LayerNode) -> dict[str, Value]:
        with guarded(what):
            return {f"{node.name}.{name}": float(value) for name, value in cast(Own, node.record).values().items()}

    def lower(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
        own = cast(Own, node.record)
        given = {p.name.removeprefix(f"{node.name}."): b.input(p.name, p.shape, "state") for p in node.parameters}
        with guarded(what):
            numbers = list(own.values())
        if both := sorted(given.keys() & set(numbers)):
            raise ExtensionError(f"{what}: {both[0]} is a tensor and a value too; give each its own name")
        given |= {name: b.value(f"{node.name}.{name}") for name in numbers}
        with guarded(what):
            result = own.lower(b, inputs, given, training=training)
            made = b.shape(result)
        wanted = (b.shape(inputs[0])[0], *node.shape)
        if made != wanted:
            raise ExtensionError(f"{what}: shape() says {list(wanted)} and lower() gives {list(made)}, for {_shown(inputs_of(b, inputs))}")
        return result

    return LayerKind(prefix=prefix, lower=lower, shape=shape, parameters=parameters, values=values)


def inputs_of(b: Builder, inputs: tuple[str, ...]) -> tuple[Shape, ...]:
    """The shapes of batched values."""
    return tuple(b.shape(name) for name in inputs)


def _shown(shapes: tuple[Shape, ...]) -> str:
    return f"inputs {', '.join(str(list(shape)) for shape in shapes)}"
