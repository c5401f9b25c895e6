"""Another process on one of the cores costs a step its fair share, not a factor of ten."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from backends.numpy.machine import processor
from pipeline.config.spec import experiment
from pipeline.data import DataShape
from pipeline.program.make import compile_experiment
from pipeline.program.program import Program

LAYERS = [{"kind": "dense", "units": 256, "normalization": {"kind": "batch"}}] * 2
STEPS, TURNS = 40, 15


@contextmanager
def _burning(core: int) -> Iterator[None]:
    """A process that does nothing but use `core`."""
    code = f"import os; os.sched_setaffinity(0, {{{core}}}); print(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None and process.stdout.readline()  # it runs now
            yield
        finally:
            process.kill()


def _seconds(program: Program) -> float:
    """The median time of some steps."""
    rng = np.random.default_rng(0)
    x, y, order = rng.random((256, 200), np.float32), rng.integers(0, 10, 256), rng.integers(0, 256, (STEPS, 128))
    times = []
    for _ in range(TURNS):
        start = time.perf_counter()
        program.run(x, y, order)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or processor.usable_cores() < 2, reason="needs two cores, and a system that pins processes"
)
def test_a_busy_core_costs_its_share() -> None:
    plain = {"architecture": {"layers": LAYERS}, "training": {"batch_size": 128}, "backend": {"kind": "numpy", "threads": 2}}
    program = compile_experiment(experiment(plain), DataShape(input_shape=(200,), classes=10))
    executable = program.structure.executable("train", 128)
    assert getattr(executable, "threads", 1) == 2, "the network is too small to be shared by two threads"
    _seconds(program)
    quiet = _seconds(program)
    with _burning(min(os.sched_getaffinity(0))):
        busy = _seconds(program)
    assert busy <= 4 * max(quiet, _seconds(program)), f"{busy / quiet:.1f} times as long"
