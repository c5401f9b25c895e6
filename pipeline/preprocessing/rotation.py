"""Principal components, whitening and ZCA: (x - mean) times a matrix made of the eigenvectors of the covariance.

With the covariance C = U diag(lambda) U^T of the training rows (divisor N, lambda descending, the largest entry of each column of U
positive, so that the signs do not hang on the linear algebra library):

    pca     (x - mean) U_k                                      k values a row, uncorrelated
    whiten  (x - mean) U_k / sqrt(lambda_k + epsilon)           k values a row, covariance I for epsilon 0
    zca     (x - mean) U / sqrt(lambda + epsilon) U^T           the shape of x; of all whitenings the closest to x

LeCun, Bottou, Orr & Mueller 1998, section 4.3; Bell & Sejnowski 1997 for ZCA.
"""

# N rows, D values of a row, k components
from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError, DataError
from pipeline.preprocessing.statistics import ROUNDING, Array, Arrays, Chunks

MOST_VALUES = 10_000  # of a row: the covariance of more takes over 800 MB and hours
BLOCK = 64  # rows of one product: always as many, so that a row gives the same bits alone and among others

Components = int | float | None
Fit = tuple[Arrays, list[str]]


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """mean [D], variances [D] descending, directions [D, D] in columns; `rank` directions vary by more than rounding."""

    mean: Array
    variances: Array
    directions: Array
    rank: int

    def share(self, count: int) -> float:
        """The share of the variance that the first `count` directions hold."""
        return float(self.variances[:count].sum() / self.variances.sum())


def pca(chunks: Chunks, *, components: Components = None) -> Fit:
    """The first components [k]: a number of them, or those that hold a share of the variance; None: all."""
    found = spectrum(chunks, "pca")
    count = _count(found, components)
    note = f"pca: {count} of {len(found.variances)} components hold {100 * found.share(count):.4g} % of the variance"
    return {"shift": found.mean, "basis": found.directions[:, :count].copy()}, [note]


def whiten(chunks: Chunks, *, components: Components = None, epsilon: float = 1e-5) -> Fit:
    """The first components, each divided by its deviation; those that do not vary become 0."""
    found = spectrum(chunks, "whiten")
    count = _count(found, components)
    note = f"whiten: {count} of {len(found.variances)} components hold {100 * found.share(count):.4g} % of the variance"
    return {"shift": found.mean, "basis": (found.directions * _factors(found, epsilon))[:, :count].copy()}, [note, *_flat("whiten", found)]


def zca(chunks: Chunks, *, epsilon: float = 1e-5) -> Fit:
    """Whitened and turned back: a row keeps its shape, an image still looks like one."""
    found = spectrum(chunks, "zca")
    basis = (found.directions * _factors(found, epsilon)) @ found.directions.T
    return {"shift": found.mean, "basis": (basis + basis.T) / 2}, _flat("zca", found)


def rotate(x: Array, arrays: Mapping[str, Array]) -> Array:
    """(x - shift) basis: x [n, F...] -> float64 [n, k]."""
    centered = x.astype(np.float64).reshape(len(x), -1) - arrays["shift"].reshape(-1)
    result = np.empty((len(x), arrays["basis"].shape[1]))
    block = np.zeros((BLOCK, centered.shape[1]))
    for start in range(0, len(x), BLOCK):
        size = min(BLOCK, len(x) - start)
        block[:size] = centered[start : start + size]
        result[start : start + size] = (block @ arrays["basis"])[:size]
    return result


def rotate_back(x: Array, arrays: Mapping[str, Array]) -> Array:
    """(x - shift) basis in the shape of x [n, F...]."""
    return rotate(x, arrays).reshape(x.shape)


def spectrum(chunks: Chunks, step: str) -> Spectrum:
    """The eigenvalues and eigenvectors of the covariance, in two passes over the rows.  Raises DataError."""
    count, total, row = 0, np.zeros(()), np.zeros(())
    for x in chunks():
        count, total, row = count + len(x), total + x.sum(axis=0), x[0]
    width = row.size
    if width > MOST_VALUES:
        rule = f"a row of {width} values has a covariance of {width} x {width}"
        raise DataError(f"preprocessing.steps = {step}: {rule}; use standardize, or rows of at most {MOST_VALUES} values")
    mean = total / count
    covariance = np.zeros((width, width))
    for x in chunks():
        flat = (x - mean).reshape(len(x), -1)
        covariance += flat.T @ flat
    values, vectors = np.linalg.eigh(covariance / count)
    variances, directions = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    largest = np.argmax(np.abs(directions), axis=0)
    directions = directions * np.where(directions[largest, np.arange(width)] < 0, -1.0, 1.0)
    rounding = max(width * float(np.finfo(np.float64).eps) * float(variances[0]), (ROUNDING * float(np.abs(mean).max())) ** 2)
    rank = int(np.count_nonzero(variances > rounding))
    if rank == 0:
        raise DataError(f"preprocessing.steps = {step}: no value of the rows varies in the training part; use preprocessing=none")
    return Spectrum(mean=mean, variances=variances, directions=directions, rank=rank)


def components_of(components: Components, width: int) -> int | None:
    """How many components of rows of `width` values are asked for; None where a share leaves it to the data.  Raises ConfigError."""
    if components is None:
        return width
    if isinstance(components, float):
        return None
    if components > width:
        rule = f"a row of the data has {width} values"
        raise ConfigError(at="preprocessing.components", got=components, rule=rule, hint=f"use at most {width}")
    return components


def check_components(components: object) -> None:
    """A whole number from 1, or a share of the variance.  Raises ConfigError."""
    count = isinstance(components, int) and not isinstance(components, bool) and components >= 1
    share = isinstance(components, float) and math.isfinite(components) and 0 < components <= 1
    if components is not None and not count and not share:
        rule = "must be a whole number of components, or a share of the variance above 0 and up to 1.0"
        raise ConfigError(at="preprocessing.components", got=components, rule=rule)


def _count(found: Spectrum, components: Components) -> int:
    wanted = components_of(components, len(found.variances))
    if wanted is not None:
        return wanted
    assert isinstance(components, float)
    held = np.cumsum(found.variances)
    return min(int(np.searchsorted(held, components * held[-1] * (1 - 1e-12))) + 1, found.rank)


def _factors(found: Spectrum, epsilon: float) -> Array:
    """1 / sqrt(lambda + epsilon); 0 for a direction that does not vary: there x would be rounding, magnified."""
    varies = np.arange(len(found.variances)) < found.rank
    return np.divide(1.0, np.sqrt(found.variances + epsilon), out=np.zeros(len(varies)), where=varies)


def _flat(step: str, found: Spectrum) -> list[str]:
    still = len(found.variances) - found.rank
    return [f"{step}: {still} of {len(found.variances)} directions do not vary in the training part and become 0"] if still else []
