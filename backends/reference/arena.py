"""Where the reference keeps tensors: one slab of bytes a trial, every buffer a view at its offset.

Floats are float64 whatever the plan says.  In a float32 plan every float takes twice its planned bytes, so every offset doubles;
buffers that share bytes in the plan share them here too, and a wrong lifetime in the plan shows as a wrong number.
"""

# K trials
from __future__ import annotations

import math
from collections.abc import Iterable
from copy import copy

import numpy as np

from backends.contract import Array, Buffer

DTYPES = {"float32": np.float64, "float64": np.float64, "int32": np.int32, "uint32": np.uint32, "bool": np.bool_}


class Slabs:
    """K slabs of `size` planned bytes; `widening` is 2 for plans of float32, else 1."""

    def __init__(self, trials: int, size: int, widening: int) -> None:
        self._bytes = np.zeros((trials, size * widening), np.uint8)
        self._widening = widening

    def view(self, trial: int, buffer: Buffer) -> Array:
        """The tensor of `buffer`, [*shape] of it, in the slab of `trial`; writing to it writes to the slab."""
        dtype = np.dtype(DTYPES[buffer.dtype])
        start = buffer.offset * self._widening
        stop = start + math.prod(buffer.shape) * dtype.itemsize
        return self._bytes[trial, start:stop].view(dtype).reshape(buffer.shape)

    def part(self, first: int, count: int) -> Slabs:
        """Some of the slabs: the same bytes."""
        part = copy(self)
        part._bytes = self._bytes[first : first + count]
        return part

    def move(self, source: int, target: int) -> None:
        """Overwrites a slab with another."""
        self._bytes[target] = self._bytes[source]


class Memory:
    """The state of K trials."""

    def __init__(self, state: Iterable[Buffer], trials: int) -> None:
        self.trials = trials
        self._buffers = {buffer.name: buffer for buffer in state}
        size = max((b.offset + b.bytes for b in self._buffers.values()), default=0)
        widening = 2 if any(b.dtype == "float32" for b in self._buffers.values()) else 1
        self._slabs = Slabs(trials, size, widening)

    def read(self, trial: int, name: str) -> Array:
        """A copy of the state tensor `name` of `trial`, [*shape]; floats are float64, so that reading and writing it loses nothing."""
        return self._slabs.view(trial, self._buffers[name]).copy()

    def write(self, trial: int, name: str, value: Array) -> None:
        """Overwrites the state tensor `name` of `trial`, [*shape] of its buffer."""
        target = self._slabs.view(trial, self._buffers[name])
        assert np.shape(value) == target.shape, f"{name} has shape {target.shape}, not {np.shape(value)}"
        target[...] = value

    def part(self, first: int, count: int) -> Memory:
        """The memory of some of the trials: the same bytes."""
        part = copy(self)
        part.trials, part._slabs = count, self._slabs.part(first, count)
        return part

    def move(self, source: int, target: int) -> None:
        """Overwrites the state of a trial with that of another."""
        self._slabs.move(source, target)

    def view(self, trial: int, buffer: Buffer) -> Array:
        """The state tensor of `buffer` itself, [*shape] of it."""
        return self._slabs.view(trial, buffer)
