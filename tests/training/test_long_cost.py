"""What an epoch costs does not grow with the number of epochs before it: counted, so that it holds on a busy machine too.

Counted of a whole training are calls of functions, bytes allocated at once, and bytes written and read; then the processor's time of an old
and a new training that take turns, which also sees what the interpreter does within one call.  `tests/faults/rate.py` measures the command.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

import pipeline
from pipeline.tracking.tracker import Tracker
from pipeline.training.checkpoint import Progress
from pipeline.training.history import History
from pipeline.training.loop import training
from pipeline.training.saving import Checkpoints
from pipeline.training.settings import Saving, Training
from pipeline.training.steps import Evaluation, Taken, evaluated
from tests.training.softmax_program import SoftmaxProgram, blobs, stored

EPOCHS, WINDOW = 400, 80
LONG = 50_000  # epochs of an old training


@contextmanager
def counting_calls() -> Iterator[list[int]]:
    """A list whose one entry is the number of calls in this thread, of functions in Python and in C."""
    calls = [0]

    def count(frame: Any, event: str, argument: Any) -> None:
        calls[0] += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def moved() -> tuple[int, int]:
    """Bytes that this process has written and read, files and pipes."""
    told = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(told["wchar"]), int(told["rchar"])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs Linux' count of bytes")
def test_an_epoch_costs_as_many_calls_and_bytes_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = [
        "data=iris",
        "architecture=mlp_small",
        "training=fixed",
        f"training.epochs={EPOCHS}",
        "training.batch_size=64",
        "tracking=none",
    ]
    words += ["backend.threads=1", "training.checkpoints.every_steps=40"]
    told: list[tuple[int, int, int, int]] = []  # after each epoch: calls, bytes of a peak in it, written, read
    metrics = Tracker.metrics
    with counting_calls() as calls:

        def counted(self: Tracker, step: int, values: Mapping[str, float], *, durable: bool = False) -> None:
            metrics(self, step, values, durable=durable)
            now, peak = tracemalloc.get_traced_memory()
            told.append((calls[0], peak - now, *moved()))
            tracemalloc.reset_peak()

        monkeypatch.setattr(Tracker, "metrics", counted)
        tracemalloc.start()
        try:
            pipeline.train(pipeline.compose(words), quiet=True)
        finally:
            tracemalloc.stop()
    each = np.array(told[:EPOCHS], np.int64)
    early, late = each[60 : 60 + WINDOW + 1], each[EPOCHS - WINDOW - 1 :]
    assert median(np.diff(late[:, 0])) <= 1.02 * median(np.diff(early[:, 0]))
    assert np.quantile(late[:, 1], 0.9) <= 1.1 * np.quantile(early[:, 1], 0.9)
    for kind in (2, 3):  # of most epochs: a checkpoint falls into every twentieth
        assert median(np.diff(late[:, kind])) <= 1.05 * median(np.diff(early[:, kind])) + 64


class Taking:
    """A training of a tiny program after `before` epochs, that goes on when it is asked to."""

    def __init__(self, folder: Path, before: int) -> None:
        values = {"loss/train": 0.5, "loss/validation": 0.5, "time/epoch_s": 0.001}
        self.program, history = SoftmaxProgram(), History(dict(values) for _ in range(before))
        progress = Progress(epoch=before, history=history, best=0.0, best_epoch=max(1, before))
        made = Checkpoints(folder, stored=stored(), settings=Saving(every_steps=10**9))
        settings = Training(epochs=10**9, batch_size=64)
        self.steps = training(self.program, blobs(), settings, seed=0, emit=lambda event: None, checkpoints=made, progress=progress)
        self.feed = next(self.steps)

    def seconds(self, calls: int) -> float:
        """Goes on for so many calls -> the seconds of the processor of one."""
        start = time.thread_time()
        for _ in range(calls):
            wanted = self.feed
            if isinstance(wanted, Evaluation):
                self.feed = self.steps.send(evaluated(self.program, wanted))
            else:
                self.feed = self.steps.send(Taken(losses=self.program.run(wanted.x, wanted.y, wanted.order), seconds=1e-4))
        return (time.thread_time() - start) / calls


def test_an_old_training_is_as_quick_as_a_new_one(tmp_path: Path) -> None:
    old, new = Taking(tmp_path / "old", LONG), Taking(tmp_path / "new", 0)
    pairs = [(old.seconds(30), new.seconds(30)) for _ in range(12)]
    assert median(a / b for a, b in pairs) < 1.2, pairs


def test_a_checkpoint_costs_no_more_after_a_long_history(tmp_path: Path) -> None:
    """Of what the first one after a resumption did not write: only what is new is written."""
    costs = []
    for before in (10, LONG):
        made = Checkpoints(tmp_path / str(before), stored=stored(), settings=Saving(keep=2))
        history = History({"loss/train": 0.5} for _ in range(before))
        taken = []
        for step in range(1, 12):
            history = history.plus({"loss/train": 0.5})
            state = {"weight": np.full(100, step, np.float32), "step": np.array(step)}
            written, start = moved()[0], time.thread_time()
            tracemalloc.start()
            made.save(state, Progress(epoch=len(history), history=history, best=1.0, best_epoch=1), None)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            taken.append((time.thread_time() - start, peak, moved()[0] - written))
        costs.append([median(kind) for kind in zip(*taken[1:], strict=True)])
    (few, few_peak, few_written), (many, many_peak, many_written) = costs
    assert many_written <= few_written + 200 and many_peak <= 1.1 * few_peak and many < 1.5 * few
