"""Initial weights: (shape, fans, random words) -> host array.

Drawn on the host from the counter-based generator, so every backend starts from the same bits.
fan_in is the number of inputs that one output sums over, fan_out the number of outputs that one input feeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipeline import random
from pipeline.formula import host
from pipeline.formula.declared import Formula, WithFormulas, check_names, check_used
from pipeline.records import Family, record, setting

Array = npt.NDArray[np.float64]
Distribution = Literal["normal", "uniform"]
VarianceNorm = Literal["fan_in", "fan_out", "average"]
DRAWN = ("normal", "uniform", "fan_in", "fan_out")  # what a formula may name


@record
class Initialization:
    """The record of an initialization: how weights start, and the number that the biases of the hidden layers start with.

    A `bias_init` that is slightly positive keeps relu units alive at first.
    from_run: a run whose tensors are taken where it has one of that name, the shapes being the same; the others start as told here.
    """

    bias_init: float = setting(0.0)
    from_run: str | None = setting(None)


@record
class Zeros(Initialization):
    """Every weight 0: all units of a layer stay equal (Rumelhart, Hinton & Williams 1986)."""


@record
class Constant(Initialization):
    """Every weight `value`; the units of a layer stay equal, as with zeros."""

    value: float = setting(0.01)


@record
class Normal(Initialization):
    """w ~ N(0, std^2)."""

    std: float = setting(0.01, least=0)


@record
class Uniform(Initialization):
    """w ~ U(low, high)."""

    low: float = setting(-0.05)
    high: float = setting(0.05)


@record
class Lecun(Initialization):
    """Variance 1 / fan_in: normal, or uniform on +-sqrt(3 / fan_in) (LeCun, Bottou, Orr & Müller 1998, eq. 16)."""

    distribution: Distribution = setting("normal")


@record
class Xavier(Initialization):
    """Variance 2 / (fan_in + fan_out): normal, or uniform on +-sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16)."""

    distribution: Distribution = setting("normal")


@record
class He(Initialization):
    """Variance 2 / fan_in: normal, or uniform on +-sqrt(6 / fan_in) (He, Zhang, Ren & Sun 2015, eq. 10)."""

    distribution: Distribution = setting("normal")


@record
class CaffeXavier(Initialization):
    """U(-a, a) with a = sqrt(3 / n), variance 1 / n (Caffe's XavierFiller, Jia et al. 2014).

    n is fan_in, fan_out or their mean, by Caffe's definition: fan_in = count / outputs, fan_out = count / inputs of the weight's shape.
    """

    variance_norm: VarianceNorm = setting("fan_in")


@record
class CaffeMsra(Initialization):
    """N(0, 2 / n), n as in caffe_xavier (Caffe's MSRAFiller, Jia et al. 2014)."""

    variance_norm: VarianceNorm = setting("fan_in")


@record
class Orthogonal(Initialization):
    """gain times a random matrix [inputs, outputs] of orthonormal columns, or rows where these are fewer (Saxe et al. 2014)."""

    gain: float = setting(1.0, above=0)


@record
class Sparse(Initialization):
    """Each output has `connections` weights drawn from N(0, std^2), all others 0 (Martens 2010, section 5)."""

    connections: int = setting(15, least=1)
    std: float = setting(1.0, above=0)


@record
class Rand(Initialization):
    """An error of the course notes, kept to show it: scale * U(0, 1) where scale * N(0, 1) is meant; scale null is 1 / sqrt(fan_in).

    All weights are positive, so a unit's input is the sum of its inputs rather than a random mix: tanh layers saturate within a few.
    """

    scale: float | None = setting(None, above=0)


@record
class FormulaInitialization(Initialization, WithFormulas):
    """w = weight, a formula of independent draws `normal`, from N(0, 1), and `uniform`, from U(0, 1), of fan_in and of fan_out.

    values   numbers of the formula by name
    """

    weight: str = setting()
    values: Mapping[str, float] = setting({})

    def formulas(self) -> tuple[Formula, ...]:
        """The one formula."""
        return (Formula(field="weight", text=self.weight, numbers=(*DRAWN, *self.values)),)

    def check(self) -> None:
        """Whether it gives numbers.  Raises ConfigError."""
        (formula,) = self.formulas()
        check_names(self.values, DRAWN, at="values")
        formula.check(self.values)
        check_used(self.values, (formula,), at="values")
        self.drawn({"normal": np.array([-0.5, 0.5]), "uniform": np.array([0.25, 0.75]), "fan_in": 4.0, "fan_out": 2.0})

    def drawn(self, given: Mapping[str, host.Number]) -> Array:
        """The weights for these draws [n] and fans -> float64 [n].  Raises ConfigError where one is not finite."""
        (formula,) = self.formulas()
        made = np.asarray(host.evaluate(formula.tree, {**self.values, **given}))
        if not np.isfinite(made).all():
            formula.refuse(formula.tree, "is not finite for every draw", "a weight must be a number")
        return np.broadcast_to(made, np.shape(given["normal"])).copy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A tensor to draw: its shape, fans and name, the seed, and the axis of its outputs, -1 or -2."""

    shape: tuple[int, ...]
    fan_in: int
    fan_out: int
    seed: int
    name: str
    outputs: int

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def uniform(self) -> Array:
        """Independent draws from U(0, 1), float64 [count]."""
        return random.uniform(self.seed, random.INIT, self.name, 0, self.count)

    def normal(self) -> Array:
        """Independent draws from N(0, 1), float64 [count]."""
        return random.normal(self.seed, random.INIT, self.name, 0, self.count)


Draw = Callable[[Any, Drawn], Array]  # (record, tensor) -> its values, of its count


def draw(
    initialization: Initialization, shape: tuple[int, ...], *, fan_in: int, fan_out: int, seed: int, name: str, outputs: int = -1
) -> Array:
    """Initial values of the tensor `name` -> float64 [*shape].  They depend on seed, name and shape alone: no other layer shifts them.

    The last axis of `shape` is the outputs, the one before it the inputs.  `outputs` is -2 where it is the other way: for the sparse
    weights of a transposed convolution; the fillers of Caffe and orthogonal weights take the shape as that of the convolution it turns.
    """
    tensor = Drawn(shape=shape, fan_in=fan_in, fan_out=fan_out, seed=seed, name=name, outputs=outputs)
    return INITIALIZATIONS.rule(initialization)(initialization, tensor).reshape(shape)


def _spread(of: Callable[[Any, Drawn], tuple[float, str]]) -> Draw:
    """Draws of mean 0; of: (record, tensor) -> their standard deviation and distribution."""

    def drawn(initialization: Any, tensor: Drawn) -> Array:
        std, distribution = of(initialization, tensor)
        if std == 0:
            return np.zeros(tensor.shape)
        if distribution == "normal":
            return std * tensor.normal()
        limit = math.sqrt(3.0) * std  # the variance of uniform on +-limit is limit^2 / 3
        return limit * (2.0 * tensor.uniform() - 1.0)

    return drawn


def _caffe_n(variance_norm: VarianceNorm, shape: tuple[int, ...]) -> float:
    """Caffe's n of a weight [..., inputs, outputs]."""
    count = math.prod(shape)
    fan_in, fan_out = count / shape[-1], count / shape[-2]
    return {"fan_in": fan_in, "fan_out": fan_out, "average": (fan_in + fan_out) / 2}[variance_norm]


def _rand(initialization: Rand, tensor: Drawn) -> Array:
    return (1.0 / math.sqrt(tensor.fan_in) if initialization.scale is None else initialization.scale) * tensor.uniform()


def _orthogonal(initialization: Orthogonal, tensor: Drawn) -> Array:
    """QR of a normal matrix, the signs of R's diagonal taken into Q, which makes Q uniform over the group (Mezzadri 2007)."""
    outputs = tensor.shape[-1]
    matrix = tensor.normal().reshape(-1, outputs)
    tall = matrix if len(matrix) >= outputs else matrix.T
    q, r = np.linalg.qr(tall)
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return np.ascontiguousarray(initialization.gain * (q if len(matrix) >= outputs else q.T))


def _sparse(initialization: Sparse, tensor: Drawn) -> Array:
    """The places of the weights are those of the smallest of as many random numbers as a column has inputs."""
    outputs = tensor.shape[tensor.outputs]
    weights = initialization.std * tensor.normal().reshape(-1, outputs)
    keys = replace(tensor, name=f"{tensor.name}.places").uniform().reshape(-1, outputs)
    rank = np.argsort(np.argsort(keys, axis=0, kind="stable"), axis=0, kind="stable")
    drawn = np.where(rank < initialization.connections, weights, 0.0)
    others = [size for axis, size in enumerate(tensor.shape) if axis != tensor.outputs % len(tensor.shape)]
    return np.ascontiguousarray(np.moveaxis(drawn.reshape(*others, outputs), -1, tensor.outputs))


def _formula(initialization: FormulaInitialization, tensor: Drawn) -> Array:
    """The uniform draws are apart from the normal ones, so that a formula may have both."""
    uniform = replace(tensor, name=f"{tensor.name}.uniform").uniform()
    fans = {"fan_in": float(tensor.fan_in), "fan_out": float(tensor.fan_out)}
    return initialization.drawn({"normal": tensor.normal(), "uniform": uniform, **fans})


INITIALIZATIONS: Family[Initialization, Draw] = Family(
    "initialization",
    {
        "zeros": (Zeros, lambda r, tensor: np.zeros(tensor.shape)),
        "constant": (Constant, lambda r, tensor: np.full(tensor.shape, r.value)),
        "normal": (Normal, _spread(lambda r, tensor: (r.std, "normal"))),
        "uniform": (Uniform, lambda r, tensor: r.low + (r.high - r.low) * tensor.uniform()),
        "lecun": (Lecun, _spread(lambda r, tensor: (math.sqrt(1.0 / tensor.fan_in), r.distribution))),
        "xavier": (Xavier, _spread(lambda r, tensor: (math.sqrt(2.0 / (tensor.fan_in + tensor.fan_out)), r.distribution))),
        "he": (He, _spread(lambda r, tensor: (math.sqrt(2.0 / tensor.fan_in), r.distribution))),
        "caffe_xavier": (CaffeXavier, _spread(lambda r, tensor: (math.sqrt(1.0 / _caffe_n(r.variance_norm, tensor.shape)), "uniform"))),
        "caffe_msra": (CaffeMsra, _spread(lambda r, tensor: (math.sqrt(2.0 / _caffe_n(r.variance_norm, tensor.shape)), "normal"))),
        "orthogonal": (Orthogonal, _orthogonal),
        "sparse": (Sparse, _sparse),
        "rand": (Rand, _rand),
        "formula": (FormulaInitialization, _formula),
    },
)
