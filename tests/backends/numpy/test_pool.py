"""The threads beside the calling one: jobs from several threads, after a fork, at the end of a process; and who does a short job."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from backends.numpy.threads.pool import AGAIN, TRIES, Choice, pool
from pipeline.config.spec import experiment
from pipeline.data import DataShape
from pipeline.program.make import compile_experiment
from pipeline.program.program import Program

STEPS, BATCH = 30, 128


def _program(threads: int) -> Program:
    layers = [{"kind": "dense", "units": 256}] * 2
    config = {"architecture": {"layers": layers}, "training": {"batch_size": BATCH}, "backend": {"kind": "numpy", "threads": threads}}
    return compile_experiment(experiment(config), DataShape(input_shape=(200,), classes=10))


def _losses(threads: int) -> bytes:
    """The losses of some steps, long enough that threads share them."""
    rng = np.random.default_rng(0)
    x, y, order = rng.random((256, 200), np.float32), rng.integers(0, 10, 256), rng.integers(0, 256, (STEPS, BATCH))
    return _program(threads).run(x, y, order).tobytes()


def test_more_threads_can_be_asked_for_later() -> None:
    assert _losses(2) == _losses(3) == _losses(2) == _losses(1)


def test_who_finds_the_pool_at_work_works_alone() -> None:
    alone = _losses(1)
    with ThreadPoolExecutor(4) as several:
        assert {f.result() for f in [several.submit(_losses, 2) for _ in range(4)]} == {alone}


def test_a_pool_that_was_shut_down_starts_again() -> None:
    before = _losses(2)
    pool().shut_down()
    assert _losses(2) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
def test_a_forked_process_has_a_pool_of_its_own() -> None:
    code = (
        "import os\nfrom tests.backends.numpy.test_pool import _losses\nbefore = _losses(2)\nchild = os.fork()\n"
        "if not child:\n    os._exit(0 if _losses(2) == before else 1)\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=120, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_process_ends_while_the_pool_waits() -> None:
    code = "from tests.backends.numpy.test_pool import _losses\n_losses(2)"
    done = subprocess.run([sys.executable, "-c", code], timeout=120, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def _rounds(choice: Choice, alone: float, together: float, count: int) -> list[bool]:
    ways = []
    for _ in range(count):
        way = choice.together()
        choice.took(way, together if way else alone)
        ways.append(way)
    return ways


@pytest.mark.parametrize(("alone", "together"), [(1.0, 2.0), (2.0, 1.0)])
def test_a_short_job_is_done_the_quicker_way(alone: float, together: float) -> None:
    ways = _rounds(Choice(), alone, together, AGAIN)
    assert set(ways[: 2 * TRIES]) == {False, True}
    assert set(ways[2 * TRIES :]) == {together < alone}


def test_the_other_way_is_tried_again() -> None:
    choice = Choice()
    assert not _rounds(choice, 1.0, 9.0, AGAIN)[-1]  # another process takes the core
    assert _rounds(choice, 1.0, 0.6, 2 * TRIES)[-1]  # it has ended
