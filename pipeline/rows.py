"""Rows that are read and prepared only when they are asked for: data larger than memory, or kept in memory as bytes.

A `Streamed` looks like the array that it would be if all its rows were made at once, and gives the same bits; only the rows of a
block exist at a time.  What it reads from may be a memory-mapped file.  Where nothing but shifts and factors stands between what is
stored and the numbers of a row, the rows are `raw`: the gather of a program's step takes them from the store and makes the numbers.
"""

# N rows of the view, M rows of the store, F... shape of one row, D numbers of one row
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from mmap import MADV_DONTNEED, PAGESIZE, mmap
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from backends.contract import STORED

Array = npt.NDArray[Any]
LARGE = 2**28  # bytes of a mapped file from which on its pages are given back as soon as its rows are copied
FEW = 2**10  # rows that are copied before the pages are given back
_FINITE: WeakValueDictionary[int, Array] = WeakValueDictionary()
Step = Callable[[Array], Array]  # rows [n, F...] (the first step: as stored) -> a new array of their values [n, G...], each row by itself


@dataclass(frozen=True, kw_only=True)
class Streamed:
    """The rows `rows` [N] of `store` [M, ...] (all of them when None), seen in `row_shape` and sent through `steps`.

    row_shape  of what comes out, and dtype its type;  stored_shape  of a row before the first step
    pairs      [P, 2, D] in that type: the steps are together (x - shift) * factor for each pair of a row as stored; None: they are more
    waits      in memory, and not made yet only because they are smaller as they are stored: not for want of room
    """

    store: Array
    rows: npt.NDArray[np.int64] | None
    stored_shape: tuple[int, ...]
    row_shape: tuple[int, ...]
    dtype: np.dtype[Any]
    steps: tuple[Step, ...] = ()
    pairs: Array | None = None
    waits: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, F...)."""
        return (len(self), *self.row_shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def raw(self) -> bool:
        """Whether a program can gather the rows from the store as it is."""
        known = str(self.store.dtype) in STORED or self.store.dtype == self.dtype
        return self.pairs is not None and known and self.store.flags.c_contiguous

    @property
    def mapped(self) -> bool:
        """Whether the rows lie in a file that is mapped into memory."""
        return file_of(self.store) is not None

    @property
    def large(self) -> bool:
        """Whether the file that the rows lie in is too large to stay in memory; see `give_back`."""
        mapping = file_of(self.store)
        return mapping is not None and len(mapping) > LARGE

    @property
    def row_bytes(self) -> int:
        """The size of a row: as stored where it is raw, else as made."""
        return math.prod(self.stored_shape) * self.store.itemsize if self.raw else math.prod(self.row_shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self.store) if self.rows is None else len(self.rows)

    def __getitem__(self, key: slice | npt.NDArray[np.int64]) -> Array:
        """The rows of a slice, or of row numbers [n] in any order -> a new array [n, F...]."""
        x = self._read(key)
        x = x.reshape(len(x), *self.stored_shape)
        for step in self.steps:
            x = step(x)
        if not self.steps:
            x = np.ascontiguousarray(x, self.dtype)
        assert x.dtype == self.dtype and x.shape[1:] == self.row_shape, f"a step made {x.dtype} {x.shape[1:]}"
        give_back(self.store)
        return x

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """All rows at once."""
        return self[:] if dtype is None else self[:].astype(dtype)

    def then(self, step: Step, row_shape: tuple[int, ...], dtype: npt.DTypeLike, pairs: Array | None = None) -> Streamed:
        """These rows, each block sent through one more step: [n, ...] -> [n, *row_shape] of `dtype`; `pairs` if it is no more."""
        own = None if self.steps else pairs
        return replace(self, steps=(*self.steps, step), row_shape=row_shape, dtype=np.dtype(dtype), pairs=own)

    def part(self, key: slice | npt.NDArray[np.int64]) -> Array | Streamed:
        """The rows of a slice or of row numbers [n] -> [n, F...]: raw ones are left where they are, others are made.

        Raw rows of a large file are copied, as they are stored: who gathers them would leave their pages in memory.
        """
        if not self.raw:
            return known_finite(self[key])
        if self.large:
            copied = np.array(self._read(key))
            give_back(self.store)
            return replace(self, store=copied, rows=None)
        if self.rows is not None:
            return replace(self, rows=self.rows[key])
        return replace(self, store=self.store[key]) if isinstance(key, slice) else replace(self, rows=key)

    def touch(self) -> None:
        """Brings the rows of a raw view into memory, so that nobody waits for the file later: reads a byte of each of their pages."""
        size = self.row_bytes
        places = np.arange(len(self.store)) if self.rows is None else np.sort(self.rows)  # a file is read forward
        within = np.append(np.arange(0, size, PAGESIZE), size - 1)
        np.take(np.asarray(self.store).reshape(-1).view(np.uint8), places[:, None] * size + within)

    def _read(self, key: slice | npt.NDArray[np.int64]) -> Array:
        if self.rows is None and isinstance(key, slice):
            return self.store[key]
        places = np.asarray(key) if self.rows is None else self.rows[key]
        if len(places) and isinstance(key, slice) and places[-1] - places[0] + 1 == len(places):
            return self.store[places[0] : places[-1] + 1]  # the rows of a part ascend
        if not self.large:
            return np.asarray(self.store[places])
        rows = np.empty((len(places), *self.store.shape[1:]), self.store.dtype)
        for start in range(0, len(places), FEW):  # each may bring the pages around it along
            rows[start : start + FEW] = self.store[places[start : start + FEW]]
            give_back(self.store)
        return rows


def give_back(array: Array) -> None:
    """array [M, ...] of a large mapped file: tells the system that no page of it is needed any more; a later read gets the same bytes.

    The file stays in the system's own cache as long as there is room, so that this costs little; the process no longer counts it as its
    own memory, which is bounded then however large the file is.
    """
    mapping = file_of(array)
    if mapping is not None and len(mapping) > LARGE:
        mapping.madvise(MADV_DONTNEED)


def file_of(array: Array) -> mmap | None:
    """The mapped file that array [N, ...] is a view of; None for one in memory."""
    owner: Any = array
    while isinstance(owner, np.ndarray | memoryview):
        owner = owner.base if isinstance(owner, np.ndarray) else owner.obj
    return owner if isinstance(owner, mmap) else None


def not_finite(x: Array) -> tuple[int, ...] | None:
    """The place (row, ...) of the first number of x [N, ...] that is NaN or infinite; None where all are finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        if math.isfinite(x.sum()):  # the quickest look at all of them, in one thread: what is not finite stays so in a sum
            return None
    finite = np.isfinite(x)
    return None if finite.all() else tuple(int(i) for i in np.argwhere(~finite)[0])


def shown_place(place: tuple[int, ...]) -> str:
    """`row 3, column 1`, `row 3, position (0, 7, 2)`, `row 3`."""
    row, *rest = place
    return f"row {row}" + (f", column {rest[0]}" if len(rest) == 1 else f", position {tuple(rest)}" if rest else "")


def known_finite(x: Array) -> Array:
    """x [N, ...] as a view that cannot be written to; nobody looks at its numbers again, that was done when they were read."""
    view = x.view()
    view.flags.writeable = False
    _FINITE[id(view)] = view
    return view


def is_known_finite(x: Array) -> bool:
    """Whether x [N, ...] is what `known_finite` gave."""
    return not x.flags.writeable and _FINITE.get(id(x)) is x


def kept(x: Array) -> Streamed:
    """Rows in memory [N, ...], to be prepared by whoever asks for them."""
    return Streamed(store=x, rows=None, stored_shape=x.shape[1:], row_shape=x.shape[1:], dtype=x.dtype, waits=True)


def arrays_of(x: Array | Streamed) -> Array:
    """What x [N, ...] takes in memory: itself, or what it is made of."""
    return x.store if isinstance(x, Streamed) else x


def kept_type(stored: np.dtype[Any]) -> np.dtype[Any]:
    """The type in which rows wait for the preprocessing: bytes stay bytes, a quarter of the numbers that they become."""
    return stored if stored == np.uint8 else loaded_type(stored)


@cache
def loaded_type(stored: np.dtype[Any]) -> np.dtype[Any]:
    """The type that numbers have in memory: float32, or float64 where they have more digits than float32 holds."""
    wide = stored.kind in "fiu" and stored.itemsize >= (8 if stored.kind == "f" else 4)  # whatever the order of its bytes
    return np.dtype(np.float64 if wide else np.float32)


def one_hot(y: Array) -> npt.NDArray[np.bool_]:
    """Whether each row of y [N, C] is a class written as one-hot, a single 1 among zeros ([0, 1, 0] for class 1 of three) -> bool [N]."""
    rows: npt.NDArray[np.bool_] = np.all((y == 0) | (y == 1), axis=1) & (np.sum(y == 1, axis=1) == 1)
    return rows
