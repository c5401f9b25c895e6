"""Checkpoints written beside the steps: these go on, failures are told, the former one stays."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import RunError
from pipeline.training import checkpoint
from pipeline.training.checkpoint import Progress
from pipeline.training.events import Event, Noted, Saved
from pipeline.training.loop import train
from pipeline.training.saving import SHARE, Checkpoints
from pipeline.training.settings import Saving, Training
from tests.training.softmax_program import SoftmaxProgram, blobs, stored


def trained(
    folder: Path, *, settings: Saving, epochs: int = 6, pause: float = 0.0, every: float = 0.0
) -> tuple[SoftmaxProgram, list[Event]]:
    made, events = SoftmaxProgram(pause=pause), list[Event]()
    asked = Training(epochs=epochs, batch_size=30, checkpoints=settings)
    saving = Checkpoints(folder, stored=stored(), settings=settings, every=every)
    train(made, blobs(), asked, seed=3, emit=events.append, checkpoints=saving)
    return made, events


def test_checkpoints_counted_in_steps_lie_at_their_multiples_and_change_no_bit(tmp_path: Path) -> None:
    plain, _ = trained(tmp_path / "plain", settings=Saving())
    made, _ = trained(tmp_path / "counted", settings=Saving(keep=4, every_steps=7))  # 5 steps an epoch
    assert all(np.array_equal(made.arrays[name], value) for name, value in plain.arrays.items())
    for step in (14, 21, 28, 30):
        found = checkpoint.load(tmp_path / "counted", step=step)
        assert int(found.state["step"]) == step and found.progress.steps(5) == step


def test_the_steps_go_on_while_a_slow_disk_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes 0.3 s for each fsync holds no step up: the thread waits for it."""
    real, main = os.fsync, threading.main_thread()

    def slow(descriptor: int) -> None:
        assert threading.current_thread() is not main or ended, "the training waits for the disk"
        time.sleep(0.3)
        real(descriptor)

    ended: list[bool] = []
    monkeypatch.setattr(os, "fsync", slow)
    made, saving = SoftmaxProgram(pause=0.002), Checkpoints(tmp_path, stored=stored(), every=0.01)

    def emit(event: Event) -> None:
        ended.extend([True] * (getattr(event, "epoch", 0) == 60))

    train(made, blobs(), Training(epochs=60, batch_size=30), seed=3, emit=emit, checkpoints=saving)
    assert int(checkpoint.load(tmp_path).state["step"]) == 300


def test_what_the_copy_takes_puts_the_next_one_off_a_hundredfold(tmp_path: Path) -> None:
    saving = Checkpoints(tmp_path, stored=stored(), every=0.001)
    saving.begin({"a": np.zeros(3), "step": np.array(5)}, Progress(), None, since=time.monotonic() - 0.05)
    saving.wait()
    assert not saving.due(6) and saving._due - time.monotonic() > 0.05 * SHARE * 0.8


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_checkpoint_that_cannot_be_written_is_told_once_and_the_former_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    trained(tmp_path, settings=Saving())
    real, fails = os.fsync, [True]

    def failing(descriptor: int) -> None:
        if fails:
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    events: list[Event] = []
    found = checkpoint.load(tmp_path)
    made = SoftmaxProgram(pause=0.001)
    made.load_state(found.state)

    def emit(event: Event) -> None:
        events.append(event)
        if getattr(event, "epoch", 0) == 30:
            assert int(checkpoint.load(tmp_path).state["step"]) == 30
            fails.clear()

    saving = Checkpoints(tmp_path, stored=stored(), every=0.0)
    train(made, blobs(), Training(epochs=40, batch_size=30), seed=3, emit=emit, checkpoints=saving, progress=found.progress)
    told = [event.text for event in events if isinstance(event, Noted) and "no checkpoint" in event.text]
    assert len(told) == 1 and os.strerror(number).lower() in told[0] and "the one before it is kept; training goes on" in told[0]
    assert any(isinstance(event, Saved) for event in events) and int(checkpoint.load(tmp_path).state["step"]) == 200


def test_the_last_checkpoint_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(descriptor: int) -> Any:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(RunError, match="cannot be written"):
        trained(tmp_path, settings=Saving(), every=1000.0)


def test_without_the_best_epoch_its_state_is_not_written(tmp_path: Path) -> None:
    trained(tmp_path, settings=Saving(best=False))
    assert checkpoint.load(tmp_path).best_state is None and len(list(tmp_path.glob("*.safetensors"))) == 1


def test_old_arrays_that_cannot_be_deleted_now_are_deleted_by_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What random faults found: the thread died of it."""
    trained(tmp_path, settings=Saving(best=False))
    saving, real = Checkpoints(tmp_path, stored=stored(), settings=Saving(best=False)), os.unlink

    def failing(*arguments: Any, **named: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "unlink", failing)
    saving.begin({"a": np.zeros(3), "step": np.array(99)}, Progress(), None, since=time.monotonic())
    saving.wait()
    assert isinstance(saving.finished(), Path) and len(list(tmp_path.glob("*.safetensors"))) == 2
    monkeypatch.setattr(os, "unlink", real)
    saving.save({"a": np.ones(3), "step": np.array(100)}, Progress(), None)
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
