"""Memory of the NumPy backend: the state of trials, and room for the values of a step."""

# K trials
from __future__ import annotations

import ctypes
import threading
from copy import copy

import numpy as np

from backends.contract import ALIGNMENT, Array, Buffer


def aligned_bytes(count: int) -> Array:
    """[count] zero bytes that start at a multiple of the alignment."""
    raw = np.zeros(count + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + count]


def address(array: Array) -> int:
    """Where the numbers of a contiguous array [...] lie."""
    if array.flags.carray and array.size:
        return ctypes.addressof(ctypes.c_char.from_buffer(array.data))  # a third of the time of the other
    return int(array.ctypes.data)


class NumpyMemory:
    """The state of K trials: [K, slab] bytes, and the tensors in it as views."""

    def __init__(self, state: tuple[Buffer, ...], trials: int) -> None:
        self.trials = trials
        last = state[-1] if state else None
        size = last.offset + last.bytes if last else 0
        self.stride = max(ALIGNMENT, -(-size // ALIGNMENT) * ALIGNMENT)
        self.bytes = aligned_bytes(self.stride * trials)
        self.address = address(self.bytes)
        self.buffers = {b.name: b for b in state}

    def view(self, trial: int, name: str) -> Array:
        """The tensor itself, [*shape] of its buffer."""
        b = self.buffers[name]
        start = trial * self.stride + b.offset
        return self.bytes[start : start + b.bytes].view(b.dtype).reshape(b.shape)

    def read(self, trial: int, name: str) -> Array:
        """A copy of the tensor, [*shape] of its buffer."""
        return self.view(trial, name).copy()

    def write(self, trial: int, name: str, value: Array) -> None:
        """Overwrites the tensor, [*shape] of its buffer."""
        self.view(trial, name)[...] = value

    def part(self, first: int, count: int) -> NumpyMemory:
        """The memory of some of the trials: the same bytes."""
        part = copy(self)
        part.trials, part.address = count, self.address + first * self.stride
        part.bytes = self.bytes[first * self.stride : (first + count) * self.stride]
        return part

    def move(self, source: int, target: int) -> None:
        """Overwrites the state of a trial with that of another."""
        slabs = self.bytes[: self.trials * self.stride].reshape(self.trials, self.stride)
        slabs[target] = slabs[source]


class Arena:
    """Room for the values of a step, for what threads pack, and for the barrier at which they meet, grown when a plan needs more.

    One call at a time has it, by its `lock`.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.moves = 0  # how often something came to lie elsewhere
        self.work = self.scratch = aligned_bytes(0)
        self.work_address = self.scratch_address = 0
        self._barrier = aligned_bytes(ALIGNMENT)
        self._barrier_address = address(self._barrier)
        self._counters, self._counters_address = aligned_bytes(0), 0

    def reserve(self, work: int, scratch: int) -> None:
        """At least so many bytes of each."""
        self.moves += self.work.size < work or self.scratch.size < scratch
        if self.work.size < work:
            self.work = aligned_bytes(0)  # given back first, so that the old and the new never take memory together
            self.work = aligned_bytes(work)
            self.work_address = address(self.work)
        if self.scratch.size < scratch:
            self.scratch = aligned_bytes(scratch)
            self.scratch_address = address(self.scratch)

    def barrier(self) -> int:
        """The address of a barrier that nobody has come to yet."""
        self._barrier.fill(0)
        return self._barrier_address

    def counters(self, count: int) -> int:
        """The address of `count` bytes of counters at zero."""
        if not count:
            return 0
        if self._counters.size < count:
            self._counters = aligned_bytes(count)
            self._counters_address = address(self._counters)
            self.moves += 1
        self._counters[:count] = 0
        return self._counters_address


class Arenas:
    """The arenas that the executables of a backend share: one for each call that is under way, at most as many as there are cores.

    The first that is free is taken, so that one thread finds its own values in the cache; where none is, a call waits.
    """

    def __init__(self, count: int) -> None:
        self._arenas = [Arena() for _ in range(max(1, count))]

    def take(self) -> Arena:
        """An arena, whose lock the caller releases."""
        for arena in self._arenas:
            if arena.lock.acquire(blocking=False):
                return arena
        last = self._arenas[-1]
        last.lock.acquire()
        return last
