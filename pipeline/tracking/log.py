"""The log of a run, log.txt in its folder: what its terminal showed, line by line, each with its time; for people, nothing reads it."""

from __future__ import annotations

import time
from pathlib import Path

from pipeline.text import leaving

FILE = "log.txt"
SECONDS = 1.0  # between two writings: a sweep has many runs


class Log:
    """Appends lines; a disk that refuses them ends the log, and never the run."""

    def __init__(self, folder: Path) -> None:
        self._path, self._waiting = folder / FILE, list[str]()
        self._over, self._written = False, 0.0

    def __call__(self, text: str) -> None:
        """One line, or several of a table."""
        now = time.time()
        stamp = time.strftime("%Y-%m-%d %H:%M:%S  ", time.localtime(now))
        self._waiting += [f"{stamp}{leaving(line)}\n" for line in text.splitlines() or [""]]
        if now - self._written > SECONDS:
            self.close()
            self._written = now

    def close(self) -> None:
        """Writes what waits; more may follow."""
        if self._waiting and not self._over:
            try:
                with self._path.open("a", encoding="utf-8", errors="replace") as file:
                    file.write("".join(self._waiting))
            except (OSError, ValueError):
                self._over = True
        self._waiting = []
