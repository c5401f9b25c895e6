"""Activations: one record each, and beside it the ops it stands for."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.graph.builder import Builder
from pipeline.layers.graph import LayerNode
from pipeline.layers.kind import LayerKind
from pipeline.records import record, setting
from pipeline.values import Value


@record
class Identity:
    """y = x."""


@record
class Relu:
    """y = max(0, x)  (Nair & Hinton 2010)."""


@record
class Tanh:
    """y = tanh(x)."""


@record
class Sigmoid:
    """y = 1 / (1 + exp(-x))."""


@record
class LeakyRelu:
    """y = x where x > 0, else negative_slope * x  (Maas, Hannun & Ng 2013)."""

    negative_slope: float = setting(0.01, least=0, below=1)


ACTIVATIONS: dict[str, type] = {"identity": Identity, "relu": Relu, "tanh": Tanh, "sigmoid": Sigmoid, "leaky_relu": LeakyRelu}


def _leaky_relu(b: Builder, node: LayerNode, x: str) -> str:
    falling = b.add("mul", x, b.value(f"{node.name}.negative_slope"))
    return b.add("where", b.add("greater", x, b.constant(0.0)), x, falling, name="leaky_relu")


def _leaky_relu_values(node: LayerNode) -> dict[str, Value]:
    assert isinstance(node.record, LeakyRelu)
    return {f"{node.name}.negative_slope": node.record.negative_slope}


def _lower(emit: Callable[[Builder, LayerNode, str], str]) -> Callable[..., str]:
    """An activation does the same in training and evaluation."""

    def lower(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
        return emit(b, node, inputs[0])

    return lower


# identity has no row: it makes no layer
ACTIVATION_KINDS: dict[type, LayerKind] = {
    Relu: LayerKind(prefix="relu", lower=_lower(lambda b, node, x: b.add("maximum", x, b.constant(0.0), name="relu"))),
    Tanh: LayerKind(prefix="tanh", lower=_lower(lambda b, node, x: b.add("tanh", x))),
    Sigmoid: LayerKind(prefix="sigmoid", lower=_lower(lambda b, node, x: b.add("sigmoid", x))),
    LeakyRelu: LayerKind(prefix="leaky_relu", lower=_lower(_leaky_relu), values=_leaky_relu_values),
}
