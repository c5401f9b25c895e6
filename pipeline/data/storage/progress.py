"""How far the reading of a long file is, on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

PATIENCE = 1.0  # seconds without a line
EVERY = 10.0  # seconds between the lines where standard error is no terminal


class Progress:
    """Says which file is read and what share of it has been; a terminal sees one line that goes away at the end.

    what: for the reader; total: bytes of the file.
    """

    def __init__(self, what: str, total: int, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.what, self.total = what, max(total, 1)
        self.stream = stream or sys.stderr
        self.clock = clock
        self.begun = self.told = clock()
        self.shown, self.last = False, ""

    def __enter__(self) -> Progress:
        return self

    def at(self, place: int) -> None:
        """So many bytes are read."""
        now = self.clock()
        line = f"reading {self.what}: {min(100 * place // self.total, 100)} % of {self.total / 1e6:,.0f} MB"
        if self.stream.isatty() and now - self.begun >= PATIENCE:
            self.shown = True
            self.stream.write(f"\r\x1b[K{line}")
            self.stream.flush()
        elif not self.stream.isatty() and now - self.told >= EVERY and line != self.last:
            self.told, self.last = now, line
            print(line, file=self.stream, flush=True)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.shown:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
