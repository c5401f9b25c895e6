"""The rows of a data set on the device: all of them, or, where it has no room for them, those of some steps at a time."""

# K trials, S steps, B batch rows
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from backends.contract import ALIGNMENT, Array, Resident
from backends.cupy.device import Device, Room


class Data:
    """The arrays of a data set on the device: one that nobody changes is sent once, any other at each run."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._held: dict[str, tuple[Array | None, Room]] = {}

    def holds(self, name: str, array: Array) -> bool:
        """Whether `array` [rows, ...] lies there, as `name`."""
        return name in self._held and self._held[name][0] is array

    def place(self, name: str, array: Array | Resident | None, *, fixed: bool) -> int:
        """Where `array` [rows, ...] lies now; 0 for none."""
        if array is None:
            return 0
        if isinstance(array, Resident):
            return array.address
        if fixed and self.holds(name, array):
            return self._held[name][1].address
        room = self._held[name][1] if name in self._held else None
        if room is None or room.size < array.nbytes:
            self._held.pop(name, None)  # what it held is free before more is asked for
            room = self.device.allocate(max(ALIGNMENT, array.nbytes))
        self.device.upload(room.address, array)
        self._held[name] = (array if fixed else None, room)
        return room.address


class Passing:
    """Rows of x on their way through two rooms of the device, those of `each` steps at a time.

    While the steps of one part run, the rows of the next are gathered into pinned memory and sent on a stream of their own.

    order   int64 [K, S, B]: for every step the places of its rows in its own part
    """

    def __init__(self, device: Device, x: Array, order: npt.NDArray[np.int64], each: int) -> None:
        self.device, self.x, self.each, self.steps = device, x, each, order.shape[1]
        found = [np.unique(order[:, first : first + each], return_inverse=True) for first in range(0, self.steps, each)]
        self._used = [used for used, _ in found]
        shapes = [(len(order), min(each, self.steps - n * each), order.shape[2]) for n in range(len(found))]
        self.order = np.concatenate([place.reshape(shape) for (_, place), shape in zip(found, shapes, strict=True)], axis=1)

    @property
    def bytes(self) -> int:
        """Of one of the rooms."""
        rows = max(map(len, self._used), default=0)
        return max(ALIGNMENT, rows * (self.x.nbytes // max(1, len(self.x))))

    def parts(self, rooms: Rooms) -> Iterator[tuple[int, int]]:
        """(where its rows lie, its steps) of one part after the other; the caller asks for its steps before it asks for the next."""
        sent = rooms.send(0, self.x, self._used[0])
        for number in range(len(self._used)):
            self.device.after(sent)
            yield rooms.address(number), min(self.each, self.steps - number * self.each)
            rooms.taken(number)
            if number + 1 < len(self._used):
                sent = rooms.send(number + 1, self.x, self._used[number + 1])


class Rooms:
    """Two rooms of the device with a pinned copy of each on the host, used in turn."""

    def __init__(self, device: Device, size: int) -> None:
        self.device, self.size = device, size
        self._rooms = [device.allocate(size) for _ in range(2)]
        self._pinned = [device.pinned(size) for _ in range(2)]
        self._sent: list[Any] = [None, None]
        self._free: list[Any] = [None, None]

    def address(self, number: int) -> int:
        """Of the room of part `number`."""
        return self._rooms[number % 2].address

    def send(self, number: int, x: Array, used: Sequence[int] | npt.NDArray[np.int64]) -> Any:
        """Gathers rows of x [N, ...] and starts to send them -> the mark that says that they are there."""
        place = number % 2
        if self._sent[place] is not None:
            self.device.reached(self._sent[place])  # what the pinned memory held has left
        rows = self._pinned[place][: len(used) * x[:1].nbytes].view(x.dtype).reshape(len(used), *x.shape[1:])
        np.take(x, used, axis=0, out=rows)
        self._sent[place] = self.device.send(self.address(number), rows, self._free[place])
        return self._sent[place]

    def taken(self, number: int) -> None:
        """All steps that read the room of part `number` have been asked for."""
        self._free[number % 2] = self.device.mark()
