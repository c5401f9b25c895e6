"""The log of a run, log.txt in its folder: what its terminal showed, line by line, each with its time; for people, nothing reads it."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from pipeline.text import leaving

FILE = "log.txt"
SECONDS = 1.0  # between two writings: a sweep has many runs


class Log:
    """Appends lines; a disk that refuses them ends the log, and never the run."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._file: IO[str] | None = None
        self._over, self._written = False, 0.0

    def __call__(self, text: str) -> None:
        """One line, or several of a table."""
        if self._over:
            return
        now = time.time()
        stamp = time.strftime("%Y-%m-%d %H:%M:%S  ", time.localtime(now))
        try:
            if self._file is None:
                self._file = self._path.open("a", encoding="utf-8", errors="replace")
            self._file.write("".join(f"{stamp}{leaving(line)}\n" for line in text.splitlines() or [""]))
            if now - self._written > SECONDS:
                self._file.flush()
                self._written = now
        except (OSError, ValueError):
            self.close()
            self._over = True

    def close(self) -> None:
        """Writes what is left; a later line opens it again."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None
