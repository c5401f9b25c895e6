"""Cores of a machine that processes who know nothing of each other divide: each takes some, by locks that its death releases."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def taken(count: int) -> Iterator[None]:
    """While entered, this process runs on `count` cores that no other has taken so; on all of its own where there are not so many left.

    A scheduler that counts cores and binds nobody to them would have each process start a thread on every one.
    """
    before = os.sched_getaffinity(0)
    with ExitStack() as held:
        free = list[int]()
        for core in sorted(before):
            if len(free) == count:
                break
            try:
                # of a folder where anybody may have put a link of this name
                path = Path(tempfile.gettempdir()) / f"caviar-core-{os.getuid()}-{core}.lock"
                file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
                held.callback(os.close, file)
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            free.append(core)
        if len(free) == count:
            os.sched_setaffinity(0, free)
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)
