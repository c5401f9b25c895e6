"""A line on the terminal while kernels are compiled, when that takes long enough to wonder."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

PATIENCE = 0.5  # seconds without a line


class Compiling:
    """Says on stderr what is compiled and how far it is, and leaves nothing behind; says nothing where stderr is no terminal.

    what: for the reader; total: kernels in all.
    """

    def __init__(self, what: str, total: int, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.what, self.total = what, total
        self.stream = stream or sys.stderr
        self.clock = clock
        self.begun = clock()
        self.shown = False

    def __enter__(self) -> Compiling:
        return self

    def done(self, count: int) -> None:
        """`count` kernels are there."""
        if self.stream.isatty() and self.clock() - self.begun >= PATIENCE:
            self.shown = True
            self.stream.write(f"\r\x1b[Kcompiling {self.what}: {count} of {self.total} kernels")
            self.stream.flush()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.shown:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
