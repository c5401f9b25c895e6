from __future__ import annotations

import io

from pipeline.data.storage.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(stream: io.StringIO, seconds: float) -> str:
    now = iter([0.0, *(step * seconds / 4 for step in range(1, 5))])
    with Progress("a.csv", 4_000_000, stream, lambda: next(now)) as progress:
        for step in range(1, 5):
            progress.at(step * 1_000_000)
    return stream.getvalue()


def test_a_terminal_sees_one_line_that_goes_away() -> None:
    assert told(Terminal(), 2.0) == "".join(f"\r\x1b[Kreading a.csv: {share} % of 4 MB" for share in (50, 75, 100)) + "\r\x1b[K"
    assert told(Terminal(), 0.5) == ""


def test_a_pipe_sees_a_line_now_and_then() -> None:
    assert told(io.StringIO(), 44.0) == "".join(f"reading a.csv: {share} % of 4 MB\n" for share in (25, 50, 75, 100))
    assert told(io.StringIO(), 4.0) == ""


def test_a_line_is_not_said_twice() -> None:
    now, stream = iter([0.0, 11.0, 22.0, 33.0]), io.StringIO()
    with Progress("a.csv", 4_000_000, stream, lambda: next(now)) as progress:
        for place in (1_000_000, 1_000_000, 2_000_000):
            progress.at(place)
    assert stream.getvalue() == "reading a.csv: 25 % of 4 MB\nreading a.csv: 50 % of 4 MB\n"
