"""The state of K trials on the device: one slab a trial, every tensor at its offset."""

# K trials
from __future__ import annotations

from collections.abc import Iterable
from copy import copy

import numpy as np

from backends.contract import ALIGNMENT, Array, Buffer, Resident
from backends.cupy.device import Device


class Memory:
    """[K, stride] bytes; `address` is that of the first of its trials."""

    def __init__(self, device: Device, state: Iterable[Buffer], trials: int) -> None:
        self.trials, self._device = trials, device
        self._buffers = {buffer.name: buffer for buffer in state}
        size = max((b.offset + b.bytes for b in self._buffers.values()), default=0)
        self.stride = -(-size // ALIGNMENT) * ALIGNMENT
        self.room = device.allocate(max(ALIGNMENT, trials * self.stride))
        self.address = self.room.address

    def read(self, trial: int, name: str) -> Array:
        """A host copy of the state tensor `name` of `trial`, [*shape] of its buffer."""
        buffer = self._buffers[name]
        array = np.empty(buffer.shape, np.dtype(buffer.dtype))
        self._device.download(self._place(trial, buffer), array)
        return array

    def lies(self, trial: int, name: str) -> Resident:
        """The state tensor `name` of `trial` where it is, [*shape] of its buffer."""
        buffer = self._buffers[name]
        return Resident(address=self._place(trial, buffer), shape=buffer.shape, dtype=buffer.dtype, owner=self.room)

    def write(self, trial: int, name: str, value: Array | Resident) -> None:
        """Overwrites the state tensor `name` of `trial`, [*shape] of its buffer."""
        buffer = self._buffers[name]
        assert value.shape == buffer.shape, f"{name} has shape {buffer.shape}, not {value.shape}"
        if isinstance(value, Resident):
            assert value.dtype == buffer.dtype
            self._device.copy(self._place(trial, buffer), value.address, buffer.bytes)
            self._device.reached(self._device.mark())  # its owner may change it, or give it back
            return
        self._device.upload(self._place(trial, buffer), np.ascontiguousarray(value, np.dtype(buffer.dtype)))

    def part(self, first: int, count: int) -> Memory:
        """The memory of some of the trials: the same bytes."""
        part = copy(self)
        part.trials, part.address = count, self.address + first * self.stride
        return part

    def move(self, source: int, target: int) -> None:
        """Overwrites the state of a trial with that of another."""
        self._device.copy(self.address + target * self.stride, self.address + source * self.stride, self.stride)

    def _place(self, trial: int, buffer: Buffer) -> int:
        return self.address + trial * self.stride + buffer.offset
