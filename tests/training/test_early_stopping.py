"""Early stopping across interruptions: what was waited for, the best value and the best weights are in the checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.training import checkpoint, loop
from pipeline.training.events import Outcome
from pipeline.training.loop import train
from pipeline.training.settings import EarlyStopping, Training
from tests.training.resuming import train_on
from tests.training.softmax_program import SoftmaxProgram, blobs

LOSSES = [3.0, 1.0, 2.0, 0.5, 5.0, 0.7, 5.0, 5.0]  # of the validation part by epoch: the best is the fourth


class Scripted(SoftmaxProgram):
    """Trains as ever, and its validation loss is that of the script."""

    def evaluate(self, x: Any, y: Any, sample_weight: Any = None) -> Any:
        probabilities, losses = super().evaluate(x, y)
        return probabilities, (np.full(60, LOSSES[self.steps_done // 9 - 1]) if len(x) == 60 else losses)


def go_on(folder: Path, *, stop_after: int | None = None, **stopping: Any) -> tuple[Outcome, Scripted]:
    """Trains from the last checkpoint there is, to the end or for `stop_after` chunks."""
    made = Scripted()
    settings = Training(epochs=8, batch_size=16, early_stopping=EarlyStopping(**{"patience": 3, **stopping}))
    return train_on(made, folder, settings, stop_after=stop_after), made


def state_after(epochs: int) -> dict[str, Any]:
    made = SoftmaxProgram()
    train(made, blobs(), Training(epochs=epochs, batch_size=16), seed=3, emit=lambda event: None)
    return made.state()


@pytest.mark.parametrize("stop_after", [2, 17, 39, 40, 44, 61])
def test_a_run_that_was_stopped_ends_at_the_same_epoch_with_the_same_weights(
    tmp_path: Path, stop_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHUNK_SECONDS", 1e-12)  # every chunk is one step
    stopped, _ = go_on(tmp_path, stop_after=stop_after)
    assert stopped.status == "KILLED"
    outcome, made = go_on(tmp_path)
    assert outcome.message == "stopped early after epoch 7; the weights are those of epoch 4, the best by loss/validation"
    assert (outcome.epoch, outcome.best_epoch, len(outcome.history)) == (4, 4, 7)
    assert outcome.metrics["loss/validation"] == 0.5
    expected = state_after(4)
    for state in (made.state(), checkpoint.load(tmp_path).result):
        assert all(np.array_equal(value, state[name]) for name, value in expected.items())


def test_the_last_weights_are_the_result_where_the_config_wants_them(tmp_path: Path) -> None:
    outcome, made = go_on(tmp_path, weights="last")
    assert outcome.message == "stopped early after epoch 7" and (outcome.epoch, outcome.best_epoch) == (7, 4)
    assert outcome.metrics["loss/validation"] == 5.0
    for state in (made.state(), checkpoint.load(tmp_path).result):
        assert all(np.array_equal(value, state[name]) for name, value in state_after(7).items())


def test_what_was_waited_for_is_in_the_checkpoint(tmp_path: Path) -> None:
    go_on(tmp_path, patience=4)
    progress = checkpoint.load(tmp_path).progress
    assert (progress.best, progress.best_epoch, progress.waited) == (0.5, 4, 4)
