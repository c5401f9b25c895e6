"""A device that runs nothing and writes down all that is asked of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backends.contract import Array, Resident
from backends.cost import Machine, graphics
from backends.cupy.source.program import ARGUMENTS, Source


@dataclass(frozen=True)
class Launch:
    """A launch: the kernel, its blocks, its arguments by name."""

    kernel: str
    blocks: tuple[int, int]
    arguments: dict[str, int]


@dataclass
class RecordedRoom:
    """Bytes that do not exist, at an address of their own."""

    address: int
    size: int


@dataclass
class RecordingDevice:
    """rooms: what was allocated; launches: what was started, those inside a graph too;
    uploads: (address, bytes); downloads: bytes; copies within it: (target, source, bytes); room: bytes that are free;
    marks: (launches before it, what was asked for: send, mark, after, reached; its arguments), its number is the mark"""

    name: str = "recording"
    rooms: list[RecordedRoom] = field(default_factory=list)
    launches: list[Launch] = field(default_factory=list)
    uploads: list[tuple[int, int]] = field(default_factory=list)
    room: int | None = None
    downloads: list[int] = field(default_factory=list)
    copies: list[tuple[int, int, int]] = field(default_factory=list)
    marks: list[tuple[Any, ...]] = field(default_factory=list)
    recorded: int = 0
    recording: bool = False

    def allocate(self, size: int) -> RecordedRoom:
        """A new place, far from the others."""
        assert not self.recording, "a graph owns no memory"
        room = RecordedRoom(address=(len(self.rooms) + 1) << 40, size=size)
        self.rooms.append(room)
        return room

    def upload(self, address: int, array: Array) -> None:
        """Written down."""
        assert not self.recording, "a copy from the host is no part of a graph"
        self.uploads.append((address, array.nbytes))

    def download(self, address: int, array: Array) -> None:
        """Zeros; of the counts of steps, what a sound run would give."""
        assert not self.recording
        self.downloads.append(array.nbytes)
        array.fill(0)

    def copy(self, target: int, source: int, size: int) -> None:
        """Written down."""
        self.copies.append((target, source, size))

    def clear(self, address: int, size: int) -> None:
        """Written down."""
        self.uploads.append((address, size))

    def pinned(self, size: int) -> Array:
        """Bytes of the host."""
        return np.zeros(size, np.uint8)

    def send(self, address: int, array: Array, free: Any) -> int:
        """Written down."""
        self.uploads.append((address, array.nbytes))
        return self._said("send", address, free)

    def mark(self) -> int:
        """Written down."""
        return self._said("mark")

    def after(self, mark: int) -> None:
        """Written down."""
        assert not self.recording
        self._said("after", mark)

    def reached(self, mark: int) -> None:
        """Written down."""
        self._said("reached", mark)

    def _said(self, *what: Any) -> int:
        self.marks.append((len(self.launches), *what))
        return len(self.marks) - 1

    def borrow(self, x: Any) -> Resident | None:
        """What says that it lies on a device."""
        told = getattr(x, "__cuda_array_interface__", None)
        if told is None:
            return None
        assert told.get("strides") is None
        return Resident(address=told["data"][0], shape=told["shape"], dtype=str(np.dtype(told["typestr"])), owner=x)

    def first_not_finite(self, x: Resident) -> None:
        """Its numbers do not exist."""

    def compile(self, source: Source) -> RecordingDevice:
        """Nothing."""
        return self

    def launch(self, kernel: str, blocks: tuple[int, int], arguments: Sequence[Any]) -> None:
        """Written down."""
        names = ("clock", "steps") if kernel == "advance" else tuple(name for _, name in ARGUMENTS)
        for value in arguments:
            assert type(value) is int or type(value) is np.int32, "CuPy passes an int as 64 bits and an int32 as 32"
        self.launches.append(Launch(kernel, blocks, dict(zip(names, map(int, arguments), strict=True))))

    def record(self, launches: Callable[[], None]) -> Callable[[], None]:
        """What the graph holds, once; a replay starts the same again."""
        before = len(self.launches)
        self.recording = True
        launches()
        self.recording = False
        graph = self.launches[before:]
        del self.launches[before:]
        self.recorded += 1
        return lambda: self.launches.extend(graph)

    def machine(self) -> Machine:
        """An H200, by its data sheet."""
        return graphics(
            "H200", multiprocessors=132, clock=1.98e9, lanes=128, double=2, bandwidth=4.8e12, cache=50 * 2**20,
        )  # fmt: skip

    def free(self) -> int | None:
        """As the test says."""
        return self.room

    def timed(self, run: Callable[[], None]) -> None:
        """Runs it; a time would say nothing of a GPU."""
        run()

    def holds(self, address: int, size: int = 1) -> bool:
        """Whether the bytes lie in one room."""
        return any(room.address <= address and address + size <= room.address + room.size for room in self.rooms)
