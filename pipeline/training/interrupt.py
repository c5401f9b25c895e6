"""Ctrl-C, SIGTERM and SIGHUP: the first asks the loop to stop well, the second stops at once, the third is the kernel's.

Outside a loop one of them ends the command: also while data are read, and between the jobs of a sweep.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from pipeline.errors import Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stopping() -> Iterator[None]:
    """While entered, SIGTERM and SIGHUP raise Stopped, as Ctrl-C raises KeyboardInterrupt; what is ignored (nohup) stays ignored."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number, f"stopped by {signal.Signals(number).name}")

    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, stop) for number in _heard(SIGNALS[1:])} if main else {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _heard(numbers: tuple[signal.Signals, ...]) -> list[signal.Signals]:
    """Those of the signals that are not ignored."""
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


class Interrupt:
    """While entered, notes the first SIGINT, SIGTERM or SIGHUP in `signal`; calling it tells whether one came.

    In a thread other than the main one Python allows no handlers: nothing is noted there.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Whether a signal came."""
        return self.signal is not None

    def ask(self) -> None:
        """Asks for a stop as SIGTERM does."""
        if self.signal is None:
            self.signal = signal.SIGTERM

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in _heard(SIGNALS)}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = number
            return
        for other in _heard(SIGNALS):
            signal.signal(other, signal.SIG_DFL)
        raise Stopped(self.signal, "stopped at once; the last checkpoint is the newest")
