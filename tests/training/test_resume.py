from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import Stopped
from pipeline.training import checkpoint
from pipeline.training.events import Outcome
from pipeline.training.interrupt import Interrupt
from tests.training.softmax_program import SoftmaxProgram
from tests.training.train_forever import go_on

ROOT = Path(__file__).parents[2]
EPOCHS = 30


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, SoftmaxProgram]:
    return go_on(tmp_path_factory.mktemp("unbroken"), epochs=EPOCHS)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.training.train_forever", str(tmp_path), str(EPOCHS), "0.001", "0.0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        yield started
        if started.poll() is None:
            started.kill()


def assert_same(found: tuple[Outcome, SoftmaxProgram], wanted: tuple[Outcome, SoftmaxProgram]) -> None:
    """Same weights, same metrics of every epoch, to the last bit."""
    for name, value in wanted[1].state().items():
        assert np.array_equal(found[1].state()[name], value), name
    for one, other in zip(found[0].history, wanted[0].history, strict=True):
        assert {k: v for k, v in one.items() if k != "time/epoch_s"} == {k: v for k, v in other.items() if k != "time/epoch_s"}
    assert (found[0].epoch, found[0].message) == (wanted[0].epoch, wanted[0].message)


def first_lines(process: subprocess.Popen[str], count: int) -> None:
    assert process.stdout is not None
    for _ in range(count):
        process.stdout.readline()


def test_more_epochs_after_the_end_are_as_if_planned_from_the_start(tmp_path: Path, unbroken: Any) -> None:
    go_on(tmp_path, epochs=11)
    found = go_on(tmp_path, epochs=EPOCHS)
    assert {k: v.tobytes() for k, v in found[1].state().items()} == {k: v.tobytes() for k, v in unbroken[1].state().items()}


@pytest.mark.parametrize("seed", range(4))
def test_kill_9_at_any_moment_then_resume_is_bit_identical(tmp_path: Path, unbroken: Any, seed: int) -> None:
    moments = random.Random(seed)
    for _ in range(3):
        command = [sys.executable, "-m", "tests.training.train_forever", str(tmp_path), str(EPOCHS), "0.0005", "0.0"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            first_lines(process, moments.randrange(1, 60))
            time.sleep(moments.random() * 0.01)
            process.kill()
    assert checkpoint.exists(tmp_path)
    assert_same(go_on(tmp_path, epochs=EPOCHS), unbroken)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_chunk_saves_and_resume_is_bit_identical(tmp_path: Path, process: Any, unbroken: Any, number: int) -> None:
    first_lines(process, 20)
    sent = time.monotonic()
    os.kill(process.pid, number)
    process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert time.monotonic() - sent < 2
    progress = checkpoint.load(tmp_path).progress
    assert 0 < progress.epoch < EPOCHS
    assert_same(go_on(tmp_path, epochs=EPOCHS), unbroken)


def test_a_stop_within_an_epoch_keeps_the_losses_of_its_steps(tmp_path: Path, unbroken: Any) -> None:
    asks = iter([False] * 4 + [True])
    stopper: Any = lambda: next(asks)  # noqa: E731
    outcome, _ = go_on(tmp_path, epochs=EPOCHS, pause=0.06, interrupt=stopper)
    progress = checkpoint.load(tmp_path).progress
    assert outcome.status == "KILLED" and progress.step > 0 and len(progress.losses) == progress.step
    assert outcome.message == f"stopped in epoch {progress.epoch + 1} after {progress.step} of 9 steps"
    assert_same(go_on(tmp_path, epochs=EPOCHS), unbroken)


def test_the_second_signal_stops_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupt() as interrupt:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupt() and interrupt.signal == signal.SIGTERM
        with pytest.raises(Stopped) as caught:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
    assert caught.value.exit_code == 143
    assert signal.getsignal(signal.SIGINT) is before
