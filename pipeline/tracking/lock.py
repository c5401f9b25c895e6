"""One process at a time: a lock on a run folder, held for the life of the work in it and released by the death of the process.

A process id alone cannot tell: ids are used again, and two machines or containers may share a folder.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Self

FILE = ".lock"


class Lock:
    """The lock of a run folder.  `with` releases it; so does `release`, which may be called again."""

    def __init__(self, file: int) -> None:
        self._file = file

    def release(self) -> None:
        """Another may take it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.release()


def take(folder: Path) -> Lock | None:
    """The lock of `folder`, None where somebody has it.  Where the file system knows no locks, or takes no file, it is anyone's."""
    try:
        file = os.open(folder / FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    except OSError:
        return Lock(-1)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    except OSError:
        os.close(file)
        return Lock(-1)
    return Lock(file)


def held(folder: Path) -> bool:
    """Whether some process works in `folder` now."""
    lock = take(folder)
    if lock is not None:
        lock.release()
    return lock is None
