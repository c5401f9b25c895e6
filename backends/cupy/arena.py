"""Device memory: one slab of bytes a trial, every buffer a view at its offset."""

# K trials
from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Any

import numpy as np

from backends.contract import ALIGNMENT, Array, Buffer


class Slabs:
    """K slabs in one allocation [K, slab]."""

    def __init__(self, xp: Any, trials: int, size: int) -> None:
        self._bytes = xp.zeros((trials, -(-size // ALIGNMENT) * ALIGNMENT), np.uint8)

    def view(self, trial: int, buffer: Buffer) -> Any:
        """The tensor of `buffer` in the slab of `trial`; writing to it writes to the slab."""
        part = self._bytes[trial, buffer.offset : buffer.offset + buffer.bytes]
        return part.view(np.dtype(buffer.dtype)).reshape(buffer.shape)

    def part(self, first: int, count: int) -> Slabs:
        """Some of the slabs: the same bytes."""
        part = copy(self)
        part._bytes = self._bytes[first : first + count]
        return part

    def move(self, source: int, target: int) -> None:
        """Overwrites a slab with another."""
        self._bytes[target] = self._bytes[source]


class Memory:
    """The state of K trials on the device."""

    def __init__(self, xp: Any, state: Iterable[Buffer], trials: int) -> None:
        self.trials = trials
        self._xp = xp
        self._buffers = {buffer.name: buffer for buffer in state}
        self._slabs = Slabs(xp, trials, max((b.offset + b.bytes for b in self._buffers.values()), default=0))

    def read(self, trial: int, name: str) -> Array:
        """A host copy of the state tensor `name` of `trial`, [*shape] of its buffer."""
        return host(self._xp, self.view(trial, self._buffers[name])).copy()

    def write(self, trial: int, name: str, value: Array) -> None:
        """Overwrites the state tensor `name` of `trial`, [*shape] of its buffer."""
        buffer = self._buffers[name]
        assert np.shape(value) == buffer.shape, f"{name} has shape {buffer.shape}, not {np.shape(value)}"
        self.view(trial, buffer)[...] = self._xp.asarray(value)

    def part(self, first: int, count: int) -> Memory:
        """The memory of some of the trials: the same bytes."""
        part = copy(self)
        part.trials, part._slabs = count, self._slabs.part(first, count)
        return part

    def move(self, source: int, target: int) -> None:
        """Overwrites the state of a trial with that of another."""
        self._slabs.move(source, target)

    def view(self, trial: int, buffer: Buffer) -> Any:
        """The state tensor of `buffer` itself."""
        return self._slabs.view(trial, buffer)


def host(xp: Any, array: Any) -> Array:
    """`array` [...] on the host, in the same shape."""
    copied: Array = np.asarray(array) if xp is np else xp.asnumpy(array)
    return copied
