"""Activations: one record each, and beside it the ops it stands for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from pipeline.graph.builder import Builder
from pipeline.graph.values import Value
from pipeline.layers.formula import FORMULA, FormulaActivation
from pipeline.layers.graph import LayerNode, Parameter
from pipeline.layers.kind import LayerKind, Shape
from pipeline.layers.maxout import MAXOUT, Maxout
from pipeline.layers.part import Activation
from pipeline.records import Family, record, setting


@record
class Identity(Activation):
    """y = x."""


@record
class Relu(Activation):
    """y = max(0, x)  (Nair & Hinton 2010)."""


@record
class Tanh(Activation):
    """y = tanh(x)."""


@record
class Sigmoid(Activation):
    """y = 1 / (1 + exp(-x))."""


@record
class LeakyRelu(Activation):
    """y = x where x > 0, else negative_slope * x  (Maas, Hannun & Ng 2013)."""

    negative_slope: float = setting(0.01, least=0, below=1)


@record
class Prelu(Activation):
    """y = max(0, x) + alpha * min(0, x), alpha learned and not decayed (He, Zhang, Ren & Sun 2015, section 2.1).

    alpha      what every alpha starts with
    shared     one alpha [1] for the layer; else one for each channel [C]
    """

    alpha: float = setting(0.25)
    shared: bool = setting(False)


@record
class Elu(Activation):
    """y = x where x > 0, else alpha * (exp(x) - 1)  (Clevert, Unterthiner & Hochreiter 2016, eq. 15)."""

    alpha: float = setting(1.0, above=0)


@record
class Gelu(Activation):
    """y = x * Phi(x), Phi the normal distribution function (Hendrycks & Gimpel 2016, section 2).

    approximate  none: Phi(x) = (1 + erf(x / sqrt(2))) / 2
                 tanh: (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) / 2 in its place, which brings y within 5e-4
    """

    approximate: Literal["tanh", "none"] = setting("tanh")


@record
class Silu(Activation):
    """y = x / (1 + exp(-x))  (Elfwing, Uchibe & Doya 2018)."""


@record
class Softplus(Activation):
    """y = log(1 + exp(x))  (Dugas et al. 2001)."""


@record
class Softmax(Activation):
    """y = exp(x) / sum of exp(x) over the last axis, with the largest x taken out of the exponentials (Bridle 1990)."""


def _leaky_relu(b: Builder, node: LayerNode, x: str) -> str:
    falling = b.add("mul", x, b.value(f"{node.name}.negative_slope"))
    return b.add("where", b.add("greater", x, b.constant(0.0)), x, falling, name="leaky_relu")


def _leaky_relu_values(node: LayerNode) -> dict[str, Value]:
    assert isinstance(node.record, LeakyRelu)
    return {f"{node.name}.negative_slope": node.record.negative_slope}


def _prelu_parameters(record: Prelu, name: str, shapes: tuple[Shape, ...]) -> tuple[Parameter, ...]:
    """alpha, [C] or [1]."""
    return (Parameter(name=f"{name}.alpha", shape=(1,) if record.shared else shapes[0][-1:], initial=record.alpha),)


def _prelu(b: Builder, node: LayerNode, x: str) -> str:
    (alpha,) = (b.input(p.name, p.shape, "state") for p in node.parameters)
    return b.add("where", b.add("greater", x, b.constant(0.0)), x, b.add("mul", x, alpha), name="prelu")


def _elu(b: Builder, node: LayerNode, x: str) -> str:
    zero = b.constant(0.0)
    above = b.add("greater", x, zero)
    # what the exponential does not see cannot overflow in it
    below = b.add("expm1", b.add("where", above, zero, x))
    return b.add("where", above, x, b.add("mul", below, b.value(f"{node.name}.alpha")), name="elu")


def _elu_values(node: LayerNode) -> dict[str, Value]:
    assert isinstance(node.record, Elu)
    return {f"{node.name}.alpha": node.record.alpha}


def _gelu(b: Builder, node: LayerNode, x: str) -> str:
    assert isinstance(node.record, Gelu)
    one = b.constant(1.0)
    if node.record.approximate == "none":
        spread = b.add("erf", b.add("mul", x, b.constant(math.sqrt(0.5))))
        return b.add("mul", b.add("mul", x, b.constant(0.5)), b.add("add", spread, one), name="gelu")
    cubic = b.add("mul", b.add("mul", x, x), b.constant(0.044715))
    inner = b.add("mul", b.add("mul", x, b.constant(math.sqrt(2.0 / math.pi))), b.add("add", cubic, one))
    return b.add("mul", b.add("mul", x, b.constant(0.5)), b.add("add", b.add("tanh", inner), one), name="gelu")


def _softmax(b: Builder, node: LayerNode, x: str) -> str:
    shape = b.shape(x)
    last, kept = (len(shape) - 1,), (*shape[:-1], 1)
    # no gradient flows through the maximum: the result does not depend on it
    powers = b.add("exp", b.add("sub", x, b.reshape(b.add("max", x, axes=last), kept)))
    return b.add("div", powers, b.reshape(b.add("sum", powers, axes=last), kept), name="softmax")


def _lower(emit: Callable[[Builder, LayerNode, str], str]) -> Callable[..., str]:
    """An activation does the same in training and evaluation."""

    def lower(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
        return emit(b, node, inputs[0])

    return lower


def _simple(prefix: str, emit: Callable[[Builder, LayerNode, str], str]) -> LayerKind:
    return LayerKind(prefix=prefix, lower=_lower(emit))


ACTIVATIONS: Family[Activation, LayerKind] = Family(
    "activation",
    {
        "identity": (Identity, None),
        "relu": (Relu, _simple("relu", lambda b, node, x: b.add("maximum", x, b.constant(0.0), name="relu"))),
        "leaky_relu": (LeakyRelu, LayerKind(prefix="leaky_relu", lower=_lower(_leaky_relu), values=_leaky_relu_values)),
        "prelu": (Prelu, LayerKind(prefix="prelu", lower=_lower(_prelu), parameters=_prelu_parameters)),
        "elu": (Elu, LayerKind(prefix="elu", lower=_lower(_elu), values=_elu_values)),
        "gelu": (Gelu, _simple("gelu", _gelu)),
        "silu": (Silu, _simple("silu", lambda b, node, x: b.add("mul", x, b.add("sigmoid", x), name="silu"))),
        "softplus": (Softplus, _simple("softplus", lambda b, node, x: b.add("softplus", x))),
        "maxout": (Maxout, MAXOUT),
        "softmax": (Softmax, _simple("softmax", _softmax)),
        "tanh": (Tanh, _simple("tanh", lambda b, node, x: b.add("tanh", x))),
        "sigmoid": (Sigmoid, _simple("sigmoid", lambda b, node, x: b.add("sigmoid", x))),
        "formula": (FormulaActivation, FORMULA),
    },
)
