"""What a call becomes: some blocks of a phase's kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backends.contract import Buffer, Call
from backends.cupy.source.text import TYPES, Names

THREADS = 256  # of a block
LANES = 16  # partial sums of a reduction over neighbours
SHARED = 40 * 1024  # bytes of shared memory that a block takes at most: below the 48 KiB that every GPU gives without being asked


@dataclass(frozen=True, kw_only=True)
class Piece:
    """blocks   of THREADS threads that do the call
    lines    what a block does; its number is `block`
    before   what must stand before the kernel: sizes, and what follows a product
    shared   bytes of shared memory of a block
    scratch  bytes of memory that the call needs beside the plan's; `lines` find it at `scratch`
    """

    blocks: int
    lines: Sequence[str]
    before: Sequence[str] = ()
    shared: int = 0
    scratch: int = 0


def blocks_for(count: int) -> int:
    """Blocks where each thread does one of `count` things."""
    return max(1, -(-count // THREADS))


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where a call stands: its number in the plan, the precision, and the names in use."""

    call: Call
    number: int
    precision: str
    names: Names

    @property
    def size(self) -> int:
        """Bytes of a number."""
        return 4 if self.precision == "float32" else 8

    def pointers(self, buffers: Mapping[str, Buffer], written: Sequence[str] = ()) -> list[str]:
        """The lines that declare where each buffer lies, by its name in C."""
        return [pointer(name, buffer, constant=name not in written) for name, buffer in buffers.items()]

    def operands(self) -> tuple[list[str], list[str]]:
        """Pointers to the inputs and the outputs of a call without a body, as expressions."""
        return [address(b) for b in self.call.inputs], [address(b, constant=False) for b in self.call.outputs]


def address(buffer: Buffer, *, constant: bool = True) -> str:
    """Where a buffer lies."""
    if buffer.region in ("values", "words"):
        return f"{buffer.region} + {buffer.offset}"
    return f"({'const ' if constant else ''}{TYPES[buffer.dtype]}*)({buffer.region} + {buffer.offset})"


def pointer(name: str, buffer: Buffer, *, constant: bool) -> str:
    """The declaration of a pointer called `name`."""
    return f"{'const ' if constant else ''}{TYPES[buffer.dtype]}* const {name} = {address(buffer, constant=constant)};"
