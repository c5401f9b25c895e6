"""Who may change the state of programs that several threads use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self, TypeVar

T = TypeVar("T")


class Access:
    """The state of programs that lie in one memory: changed by one thread at a time, read by any number.

    A reader takes no lock.  It looks at the count of changes before and after; where a change was under way it reads again, alone.

        with access: ...                  changes the state
        access.read(lambda: ...)          what the state gave while nobody changed it
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._changes, self._depth = 0, 0  # the count is odd while a change is under way

    def __enter__(self) -> Self:
        self.lock.acquire()
        self._depth += 1
        self._changes += self._depth == 1
        return self

    def __exit__(self, *raised: object) -> None:
        self._changes += self._depth == 1
        self._depth -= 1
        self.lock.release()

    def read(self, look: Callable[[], T]) -> T:
        """What `look` finds in a state that is not half changed."""
        before = self._changes
        if not before & 1:
            found = look()
            if self._changes == before:
                return found
        with self.lock:
            return look()
