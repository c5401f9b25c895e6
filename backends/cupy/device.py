"""What a plan needs of a GPU: memory, copies, kernels, and a sequence of launches recorded once and replayed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from backends.contract import Array, Resident
from backends.cost import Machine
from backends.cupy.source.program import Source

Launches = Callable[[], None]


class Room(Protocol):
    """A run of bytes of the device; it is given back when nobody holds it any more."""

    address: int
    size: int


class Code(Protocol):
    """The compiled kernels of a source."""

    def launch(self, kernel: str, blocks: tuple[int, int], arguments: Sequence[Any]) -> None:
        """Starts `kernel` on blocks of 256 threads: Python ints are pointers or 64 bits wide, numpy.int32 are 32."""


class Device(Protocol):
    """A GPU, or what stands for one in a test; all it is asked for happens in that order."""

    name: str

    def allocate(self, size: int) -> Room:
        """Bytes that are zero."""

    def upload(self, address: int, array: Array) -> None:
        """The bytes of a contiguous array [...] to the device."""

    def download(self, address: int, array: Array) -> None:
        """Bytes of the device into a contiguous array [...], when all before it is done."""

    def copy(self, target: int, source: int, size: int) -> None:
        """Bytes of the device to another place on it."""

    def clear(self, address: int, size: int) -> None:
        """Zeros."""

    def pinned(self, size: int) -> Array:
        """Bytes [size] of the host that copies to the device are made from while both sides work."""

    def send(self, address: int, array: Array, free: Any) -> Any:
        """Starts to copy pinned memory [...] to the device, when the mark `free` is reached (None: at once) -> the mark of its end.

        It goes beside what else was asked for; nobody changes the array before that mark is reached.
        """

    def mark(self) -> Any:
        """A mark that is reached when all that has been asked for is done."""

    def after(self, mark: Any) -> None:
        """What is asked for from now on waits for `mark`."""

    def reached(self, mark: Any) -> None:
        """The host waits for `mark`."""

    def borrow(self, x: Any) -> Resident | None:
        """x [...] as it lies on this device, dense and in the order of C; None where it lies on the host.

        Raises Unavailable where it lies on another device.
        """

    def first_not_finite(self, x: Resident) -> tuple[int, ...] | None:
        """The place of the first number of x [...] that is not finite, None without one: looked for on the device."""

    def compile(self, source: Source) -> Code:
        """The kernels of `source`."""

    def record(self, launches: Launches) -> Launches:
        """What `launches` starts as one graph -> what replays it."""

    def machine(self) -> Machine:
        """What it can do, for the model of the cost of a step."""

    def free(self) -> int | None:
        """Bytes that can still be allocated; None where that is not known."""

    def timed(self, run: Launches) -> float | None:
        """The seconds that the device takes for what `run` asks of it; None where that says nothing."""
