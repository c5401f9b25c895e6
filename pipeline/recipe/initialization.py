"""Initial weights: (shape, fans, random words) -> host array.

Drawn on the host from the counter-based generator, so every backend starts from the same bits.
fan_in is the number of inputs that one output sums over, fan_out the number of outputs that one input feeds.
Every record has `bias_init`, the number that the biases of the hidden layers start with: slightly positive keeps relu units alive at first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipeline import random
from pipeline.records import record, setting

Array = npt.NDArray[np.float64]
Distribution = Literal["normal", "uniform"]
VarianceNorm = Literal["fan_in", "fan_out", "average"]


@record
class Zeros:
    """Every weight 0: all units of a layer stay equal (Rumelhart, Hinton & Williams 1986)."""

    bias_init: float = setting(0.0)


@record
class Constant:
    """Every weight `value`; the units of a layer stay equal, as with zeros."""

    value: float = setting(0.01)
    bias_init: float = setting(0.0)


@record
class Normal:
    """w ~ N(0, std^2)."""

    std: float = setting(0.01, least=0)
    bias_init: float = setting(0.0)


@record
class Uniform:
    """w ~ U(low, high)."""

    low: float = setting(-0.05)
    high: float = setting(0.05)
    bias_init: float = setting(0.0)


@record
class Lecun:
    """Variance 1 / fan_in: normal, or uniform on +-sqrt(3 / fan_in) (LeCun, Bottou, Orr & Müller 1998, eq. 16)."""

    distribution: Distribution = setting("normal")
    bias_init: float = setting(0.0)


@record
class Xavier:
    """Variance 2 / (fan_in + fan_out): normal, or uniform on +-sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16)."""

    distribution: Distribution = setting("normal")
    bias_init: float = setting(0.0)


@record
class He:
    """Variance 2 / fan_in: normal, or uniform on +-sqrt(6 / fan_in) (He, Zhang, Ren & Sun 2015, eq. 10)."""

    distribution: Distribution = setting("normal")
    bias_init: float = setting(0.0)


@record
class CaffeXavier:
    """U(-a, a) with a = sqrt(3 / n), variance 1 / n (Caffe's XavierFiller, Jia et al. 2014).

    n is fan_in, fan_out or their mean, by Caffe's definition: fan_in = count / outputs, fan_out = count / inputs of the weight's shape.
    """

    variance_norm: VarianceNorm = setting("fan_in")
    bias_init: float = setting(0.0)


@record
class CaffeMsra:
    """N(0, 2 / n), n as in caffe_xavier (Caffe's MSRAFiller, Jia et al. 2014)."""

    variance_norm: VarianceNorm = setting("fan_in")
    bias_init: float = setting(0.0)


@record
class Orthogonal:
    """gain times a random matrix [inputs, outputs] of orthonormal columns, or rows where these are fewer (Saxe et al. 2014)."""

    gain: float = setting(1.0, above=0)
    bias_init: float = setting(0.0)


@record
class Sparse:
    """Each output has `connections` weights drawn from N(0, std^2), all others 0 (Martens 2010, section 5)."""

    connections: int = setting(15, least=1)
    std: float = setting(1.0, above=0)
    bias_init: float = setting(0.0)


@record
class Rand:
    """An error of the course notes, kept to show it: scale * U(0, 1) where scale * N(0, 1) is meant; scale null is 1 / sqrt(fan_in).

    All weights are positive, so a unit's input is the sum of its inputs rather than a random mix: tanh layers saturate within a few.
    """

    scale: float | None = setting(None, above=0)
    bias_init: float = setting(0.0)


INITIALIZATIONS: dict[str, type] = {
    "zeros": Zeros,
    "constant": Constant,
    "normal": Normal,
    "uniform": Uniform,
    "lecun": Lecun,
    "xavier": Xavier,
    "he": He,
    "caffe_xavier": CaffeXavier,
    "caffe_msra": CaffeMsra,
    "orthogonal": Orthogonal,
    "sparse": Sparse,
    "rand": Rand,
}


def draw(initialization: Any, shape: tuple[int, ...], *, fan_in: int, fan_out: int, seed: int, name: str, outputs: int = -1) -> Array:
    """Initial values of the tensor `name` -> float64 `shape`.  They depend on seed, name and shape alone: no other layer shifts them.

    The last axis of `shape` is the outputs, the one before it the inputs.  `outputs` is -2 where it is the other way: for the sparse
    weights of a transposed convolution; the fillers of Caffe and orthogonal weights take the shape as that of the convolution it turns.
    """
    count = math.prod(shape)
    match initialization:
        case Zeros():
            return np.zeros(shape)
        case Constant():
            return np.full(shape, initialization.value)
        case Uniform():
            spread = initialization.high - initialization.low
            return (initialization.low + spread * random.uniform(seed, random.INIT, name, 0, count)).reshape(shape)
        case Rand():
            scale = 1.0 / math.sqrt(fan_in) if initialization.scale is None else initialization.scale
            return (scale * random.uniform(seed, random.INIT, name, 0, count)).reshape(shape)
        case Orthogonal():
            return _orthogonal(initialization, shape, random.normal(seed, random.INIT, name, 0, count))
        case Sparse():
            drawn = _sparse(
                initialization, (*shape[: outputs % len(shape)], *shape[outputs % len(shape) + 1 :], shape[outputs]), seed, name
            )
            return np.ascontiguousarray(np.moveaxis(drawn, -1, outputs))
    std, distribution = _SPREADS[type(initialization)](initialization, shape, fan_in, fan_out)
    if std == 0:
        return np.zeros(shape)
    if distribution == "normal":
        return (std * random.normal(seed, random.INIT, name, 0, count)).reshape(shape)
    limit = math.sqrt(3.0) * std  # the variance of uniform on +-limit is limit^2 / 3
    return (limit * (2.0 * random.uniform(seed, random.INIT, name, 0, count) - 1.0)).reshape(shape)


def _caffe_n(variance_norm: VarianceNorm, shape: tuple[int, ...]) -> float:
    """Caffe's n of a weight [..., inputs, outputs]."""
    count = math.prod(shape)
    fan_in, fan_out = count / shape[-1], count / shape[-2]
    return {"fan_in": fan_in, "fan_out": fan_out, "average": (fan_in + fan_out) / 2}[variance_norm]


# (record, shape, fan_in, fan_out) -> the standard deviation of the weights and their distribution
_SPREADS: dict[type, Callable[[Any, tuple[int, ...], int, int], tuple[float, str]]] = {
    Normal: lambda r, shape, fan_in, fan_out: (r.std, "normal"),
    Lecun: lambda r, shape, fan_in, fan_out: (math.sqrt(1.0 / fan_in), r.distribution),
    Xavier: lambda r, shape, fan_in, fan_out: (math.sqrt(2.0 / (fan_in + fan_out)), r.distribution),
    He: lambda r, shape, fan_in, fan_out: (math.sqrt(2.0 / fan_in), r.distribution),
    CaffeXavier: lambda r, shape, fan_in, fan_out: (math.sqrt(1.0 / _caffe_n(r.variance_norm, shape)), "uniform"),
    CaffeMsra: lambda r, shape, fan_in, fan_out: (math.sqrt(2.0 / _caffe_n(r.variance_norm, shape)), "normal"),
}


def _orthogonal(initialization: Orthogonal, shape: tuple[int, ...], normal: Array) -> Array:
    """QR of a normal matrix, the signs of R's diagonal taken into Q, which makes Q uniform over the group (Mezzadri 2007)."""
    outputs = shape[-1]
    matrix = normal.reshape(-1, outputs)
    tall = matrix if len(matrix) >= outputs else matrix.T
    q, r = np.linalg.qr(tall)
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return np.ascontiguousarray(initialization.gain * (q if len(matrix) >= outputs else q.T)).reshape(shape)


def _sparse(initialization: Sparse, shape: tuple[int, ...], seed: int, name: str) -> Array:
    """The places of the weights are those of the smallest of as many random numbers as a column has inputs."""
    count, outputs = math.prod(shape), shape[-1]
    weights = initialization.std * random.normal(seed, random.INIT, name, 0, count).reshape(-1, outputs)
    keys = random.uniform(seed, random.INIT, f"{name}.places", 0, count).reshape(-1, outputs)
    rank = np.argsort(np.argsort(keys, axis=0, kind="stable"), axis=0, kind="stable")
    return np.where(rank < initialization.connections, weights, 0.0).reshape(shape)
