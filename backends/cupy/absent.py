"""A device that is not there: plans are made source for a reader, and nothing runs."""

from __future__ import annotations

from dataclasses import dataclass

from backends.contract import Array, Resident
from backends.cost import Machine
from backends.cupy.device import Launches
from backends.cupy.source.program import Source


@dataclass(kw_only=True)
class _Nowhere:
    address: int
    size: int


class AbsentDevice:
    """Holds nothing: what is written is gone, and what would be read or run is a mistake of the caller."""

    name = "none"

    def allocate(self, size: int) -> _Nowhere:
        """A place without bytes."""
        return _Nowhere(address=0, size=size)

    def upload(self, address: int, array: Array) -> None:
        """Forgotten, whatever its shape [...]."""

    def download(self, address: int, array: Array) -> None:
        """Impossible, whatever the shape [...]."""
        raise AssertionError("a program for a reader holds no numbers")

    def copy(self, target: int, source: int, size: int) -> None:
        """Nothing."""

    def clear(self, address: int, size: int) -> None:
        """Nothing."""

    def pinned(self, size: int) -> Array:
        """Impossible, whatever the size [...]."""
        raise AssertionError("nothing is sent to a device that is not there")

    def send(self, address: int, array: Array, free: object) -> None:
        """Impossible, whatever the shape [...]."""
        raise AssertionError("nothing is sent to a device that is not there")

    def mark(self) -> None:
        """Nothing is asked for."""

    def after(self, mark: object) -> None:
        """Nothing is asked for."""

    def reached(self, mark: object) -> None:
        """Nothing is asked for."""

    def borrow(self, x: object) -> None:
        """No x [...] lies there."""

    def first_not_finite(self, x: Resident) -> None:
        """No x [...] lies there."""

    def compile(self, source: Source) -> AbsentDevice:
        """Not compiled."""
        return self

    def launch(self, kernel: str, blocks: tuple[int, int], arguments: object) -> None:
        """Impossible."""
        raise AssertionError("a program for a reader does not run")

    def record(self, launches: Launches) -> Launches:
        """Impossible."""
        raise AssertionError("a program for a reader does not run")

    def machine(self) -> Machine:
        """None to speak of."""
        raise AssertionError("a device that is not there does nothing in any time")

    def free(self) -> None:
        """Not known."""

    def timed(self, run: Launches) -> None:
        """Nothing runs."""
