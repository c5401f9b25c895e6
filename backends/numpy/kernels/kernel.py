"""What a kernel is: its name, how its work is cut, and how to emit it.

symbol(input pointers, output pointers, paths, scratch, begin, end) does the tiles begin <= t < end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

from llvmlite import ir

from backends.contract import Body, Call
from backends.numpy.emit.emitter import Module
from backends.numpy.machine.cache import key
from backends.numpy.machine.processor import Processor


class Sizes(ABC):
    """All that decides the code of a kernel: a frozen record whose text is part of the code's key, without the names of values."""

    @classmethod
    @abstractmethod
    def of(cls, call: Call, precision: str, cpu: Processor) -> Self:
        """The sizes of `call`."""

    @property
    @abstractmethod
    def tiles(self) -> int:
        """Into how many independent parts the work is cut."""

    @property
    @abstractmethod
    def work(self) -> float:
        """Operations of the whole call; of one that only moves numbers, how many it moves."""

    @property
    def scratch(self) -> int:
        """Bytes that a thread needs; they start with NOTHING (see `tiling`) before its first tiles of a call."""
        return 0

    @property
    def grain(self) -> int:
        """Tiles that a thread should take together."""
        return 1


class Emits(Protocol):
    """A class that emits the kernel `name` of some sizes into `module`."""

    def __init__(self, module: Module, name: str, sizes: Any) -> None: ...

    def emit(self) -> None:
        """Emits the whole kernel."""


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A kernel as a plan needs it: tiles, scratch, grain and flops are those of its sizes (see `Sizes`).

    paths: the layer paths of its random numbers; build: makes its module when the code is needed.
    """

    symbol: str
    tiles: int
    scratch: int
    paths: tuple[int, ...]
    flops: float
    build: Callable[[], ir.Module]
    grain: int = 1


def make(name: str, sizes: Sizes, emits: type[Emits], cpu: Processor, paths: tuple[int, ...] = ()) -> Kernel:
    """The kernel of some sizes; calls of equal sizes share its code."""
    symbol = f"{name}_{key(cpu, sizes)}"

    def build() -> ir.Module:
        module = Module(symbol, cpu)
        emits(module, symbol, sizes).emit()
        return module

    return Kernel(symbol=symbol, tiles=sizes.tiles, scratch=sizes.scratch, paths=paths, flops=sizes.work, build=build, grain=sizes.grain)


def anonymous(body: Body) -> Body:
    """The body with numbered values and without layer paths: bodies alike but for these share a kernel."""
    names = (*(name for name, _ in body.inputs), *(i.name for i in body.instructions))
    numbered = body.renamed({name: f"v{number}" for number, name in enumerate(names)})
    return replace(
        numbered,
        instructions=tuple(
            replace(i, attributes={**dict(sorted(i.attributes.items())), **({"path": 0} if i.draws else {})}) for i in numbered.instructions
        ),
    )
