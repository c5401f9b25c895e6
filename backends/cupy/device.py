"""What a plan needs of a GPU: memory, copies, kernels, and a sequence of launches recorded once and replayed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from backends.contract import Array
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

    def compile(self, source: Source) -> Code:
        """The kernels of `source`."""

    def record(self, launches: Launches) -> Launches:
        """What `launches` starts as one graph -> what replays it."""

    def free(self) -> int | None:
        """Bytes that can still be allocated; None where that is not known."""

    def timed(self, run: Launches) -> float | None:
        """The seconds that the device takes for what `run` asks of it; None where that says nothing."""
