"""What a reader of the terminal sees while kernels are compiled, and what a pipe sees."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from backends.numpy import NumpyBackend
from backends.numpy.machine import processor
from backends.numpy.machine.cache import ObjectCache
from backends.numpy.machine.progress import Compiling
from pipeline.passes import compile_passes
from pipeline.plan import make_plan, state_layout
from tests.networks import training_graph


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _compile(stream: io.StringIO, seconds: float) -> str:
    """Three kernels of `seconds` each."""
    now = [0.0]
    with Compiling("train, batch 8", 3, stream, lambda: now[0]) as progress:
        for number in range(3):
            progress.done(number)
            now[0] += seconds
    return stream.getvalue()


def test_a_long_compile_is_shown_and_the_line_is_taken_away_again() -> None:
    lines = [f"\r\x1b[Kcompiling train, batch 8: {number} of 3 kernels" for number in (1, 2)]
    assert _compile(_Terminal(), 0.6) == "".join(lines) + "\r\x1b[K"


def test_a_short_one_is_not_shown() -> None:
    assert _compile(_Terminal(), 0.2) == ""


def test_a_pipe_sees_nothing() -> None:
    assert _compile(io.StringIO(), 5.0) == ""


def test_a_cold_compile_tells_of_each_kernel_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(Compiling, "done", lambda self, count: told.append((count, self.total)))
    graph = training_graph(B=8, D=7, H=21, C=3)
    backend = NumpyBackend(threads=1, processor=processor.host(), cache=ObjectCache(tmp_path))
    compiled, _ = compile_passes(graph, backend.target)
    kernels = backend.load(make_plan(compiled, name="train", batch=8, state=state_layout([graph]))).kernels
    count = len({kernel.symbol for kernel in kernels.values()}) + 1  # and the gather of x
    assert told == [(number, count) for number in range(count)]
