"""Steps fitted on the training part: what they learned, and how it is applied to any other rows."""

# N rows, F... shape of one row (per feature; of an image, per pixel and channel)
from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, overload

import numpy as np

from pipeline.errors import DataError
from pipeline.preprocessing.affine import affine
from pipeline.preprocessing.settings import Preprocessing
from pipeline.preprocessing.statistics import Array, Arrays, Chunks
from pipeline.preprocessing.steps import ROW, STEPS, Shape
from pipeline.rows import Streamed, loaded_type

FLOAT64 = np.dtype(np.float64)
_dtype = cache(np.dtype[Any])
CHUNK_VALUES = 2**18  # 2 MiB of float64: a chunk stays in cache from the first step to the last


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """Fitted steps.  `arrays` and `restore` carry them through a checkpoint; precision is the type of what `apply` gives."""

    steps: tuple[str, ...]
    fitted: tuple[Arrays, ...]
    precision: str = "float32"
    notes: tuple[str, ...] = ()

    @overload
    def apply(self, x: Array) -> Array: ...

    @overload
    def apply(self, x: Array | Streamed) -> Array | Streamed: ...

    def apply(self, x: Array | Streamed) -> Array | Streamed:
        """x [N, F...] of any numeric type -> rows of `shape` in the program's precision; what is streamed stays so.  Raises DataError."""
        row = self.shape(x.shape[1:])
        return x.then(self._made, row, self.precision, self.pairs(row)) if isinstance(x, Streamed) else self._made(x)

    def pairs(self, row: Shape) -> Array | None:
        """(shift, factor) of each step for the numbers of a row [P, 2, D], in the program's precision; None where a step is more."""
        if any(STEPS[step].apply is not affine for step in self.steps):
            return None
        made = np.empty((len(self.steps), 2, math.prod(row)), self.precision)
        for pair, arrays in zip(made, self.fitted, strict=True):
            pair[:] = [np.broadcast_to(arrays[name].astype(self.precision), row).reshape(-1) for name in ("shift", "factor")]
        return made

    def _made(self, x: Array) -> Array:
        row = self.shape(x.shape[1:])
        wide = loaded_type(x.dtype) is FLOAT64  # keeps its digits until it is centered, whatever the precision
        if 0 < x.size <= CHUNK_VALUES and self._cast is not None:  # one chunk: a row that is predicted alone waits for nothing else
            steps = self.fitted if wide else self._cast
            made = _run(x.astype(FLOAT64 if wide else _dtype(self.precision), order="C"), self.steps, steps)
            return made.astype(_dtype(self.precision), copy=False)
        out = np.empty((len(x), *row), self.precision)
        apart = wide or any(STEPS[step].flattens or STEPS[step].own is not None for step in self.steps)
        for start, stop in _bounds(x):
            chunk = np.empty(x[start:stop].shape, np.float64 if wide else self.precision) if apart else out[start:stop]
            chunk[...] = x[start:stop]
            out[start:stop] = _run(chunk, self.steps, self.fitted)
        return out

    @cached_property
    def _cast(self) -> tuple[Arrays, ...] | None:
        """`fitted` in the program's precision, as `affine` takes it for a chunk of that precision; None where a step is more."""
        if any(STEPS[step].apply is not affine for step in self.steps):
            return None
        return tuple({name: array.astype(_dtype(self.precision)) for name, array in arrays.items()} for arrays in self.fitted)

    def shape(self, row: Shape) -> Shape:
        """What the steps make of a row of shape `row`.  Raises DataError when they were fitted on other rows."""
        for step, arrays in zip(self.steps, self.fitted, strict=True):
            if not STEPS[step].fits(row, arrays):
                known = arrays[ROW].tolist() if STEPS[step].own is not None else list(arrays["shift"].shape)
                rule = f"preprocessing was fitted on rows of shape {known}"
                raise DataError(f"x = rows of shape {list(row)}: {rule}; give rows of that shape")
            row = STEPS[step].row(row, arrays)
        return row

    def arrays(self) -> Arrays:
        """All arrays by `number.step.name`, e.g. 0.standardize.shift."""
        return {f"{i}.{step}.{name}": value for i, step in enumerate(self.steps) for name, value in self.fitted[i].items()}

    @classmethod
    def restore(cls, arrays: Mapping[str, Array], steps: tuple[str, ...] | list[str], precision: str = "float32") -> Fitted:
        """What `arrays` gave, by name, 0.standardize.shift [F...]; other names in the mapping are left alone."""
        prefixes = [f"{i}.{step}." for i, step in enumerate(steps)]
        fitted = tuple({k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)} for prefix in prefixes)
        assert all(fitted), f"no arrays for the steps {steps}"
        return cls(steps=tuple(steps), fitted=fitted, precision=precision)


def fit(config: Preprocessing, x: Array | Streamed, *, precision: str = "float32") -> Fitted:
    """The steps of `config` fitted on the training rows x [N, F...], in float64, chunk by chunk: no second copy of x."""
    fitted: list[Arrays] = []
    notes: list[str] = []
    for index, name in enumerate(config.steps):
        step = STEPS[name]
        settings = {field: getattr(config, field) for field in step.reads}
        arrays, said = step.fit(_chunks(x, config.steps[:index], tuple(fitted)), **settings)
        fitted.append(arrays)
        notes += said
    return Fitted(steps=config.steps, fitted=tuple(fitted), precision=precision, notes=tuple(notes))


def _chunks(x: Array | Streamed, steps: tuple[str, ...], fitted: tuple[Arrays, ...]) -> Chunks:
    """Passes over x after the steps fitted so far."""
    return lambda: (_run(x[start:stop].astype(np.float64), steps, fitted) for start, stop in _bounds(x))


def _run(chunk: Array, steps: tuple[str, ...], fitted: tuple[Arrays, ...]) -> Array:
    for step, arrays in zip(steps, fitted, strict=True):
        chunk = STEPS[step].apply(chunk, arrays)
    return chunk


def _bounds(x: Array | Streamed) -> Iterator[tuple[int, int]]:
    """First and last row of each chunk; fixed by the shape alone, so sums have one order."""
    rows = max(1, CHUNK_VALUES * len(x) // max(x.size, 1))
    return ((start, min(start + rows, len(x))) for start in range(0, len(x), rows))
