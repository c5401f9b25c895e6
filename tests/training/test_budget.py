"""What ends a training beside training.epochs: 150 rows, so that batches of 16 make 9 steps an epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.config.spec import experiment
from pipeline.errors import ConfigError
from pipeline.training import checkpoint
from pipeline.training.budget import Budget, end
from pipeline.training.events import EpochEnded, Event, Noted, Outcome, Started
from pipeline.training.loop import train
from pipeline.training.settings import EarlyStopping, Training
from tests.refusal import refused
from tests.training.resuming import train_on
from tests.training.softmax_program import SoftmaxProgram, blobs


def go_on(folder: Path, budget: Budget, *, pause: float = 0.0, **settings: Any) -> tuple[Outcome, SoftmaxProgram, list[Event]]:
    """Trains from the checkpoint of `folder`, if there is one, to the end of the budget."""
    made, events = SoftmaxProgram(pause=pause), []
    training = Training(**{"epochs": None, "batch_size": 16, **settings})
    outcome = train_on(made, folder, training, every=5.0, emit=events.append, learning_rate=float, budget=budget)
    return outcome, made, events


def same_state(one: SoftmaxProgram, other: SoftmaxProgram) -> bool:
    return all(np.array_equal(value, other.state()[name]) for name, value in one.state().items())


@pytest.mark.parametrize(
    ("training", "budget", "steps", "at"),
    [
        ({"epochs": 4}, {}, 36, "training.epochs"),
        ({"epochs": 4}, {"epochs": 3, "steps": 30}, 27, "budget.epochs"),
        ({"epochs": 4}, {"steps": 30, "samples": 600}, 30, "budget.steps"),
        ({"epochs": None}, {"samples": 600, "steps": 40}, 37, "budget.samples"),
        ({"epochs": 4}, {"steps": 100}, 36, "training.epochs"),
        ({"epochs": None}, {"seconds": 3.0}, None, ""),
    ],
    ids=str,
)
def test_the_first_limit_ends_the_training(training: dict[str, Any], budget: dict[str, Any], steps: int | None, at: str) -> None:
    found = end(Training(batch_size=16, **training), Budget(**budget), 9)
    assert (found.steps, found.at) == (steps, at)


def test_batch_size_times_steps_is_the_same_for_every_batch_size(tmp_path: Path) -> None:
    for batch, steps in ((10, 60), (25, 24), (150, 4)):
        _, made, _ = go_on(tmp_path / str(batch), Budget(samples=600), batch_size=batch)
        assert made.steps_done == steps and made.course.total_steps == steps


def test_a_budget_may_end_within_an_epoch_and_its_part_is_measured(tmp_path: Path) -> None:
    outcome, made, events = go_on(tmp_path, Budget(steps=22))
    assert outcome.status == "FINISHED" and made.steps_done == 22
    assert outcome.message == "trained 2 epochs and 4 of the 9 steps of the next, to the end of budget.steps = 22"
    assert [event.epoch for event in events if isinstance(event, EpochEnded)] == [1, 2, 3]
    _, losses = made.evaluate(blobs().validation.x, blobs().validation.y)
    assert outcome.epoch == 3 and outcome.metrics["loss/validation"] == losses.mean()
    assert outcome.metrics["learning_rate"] == 21.0
    assert events[0] == Started(epochs=3, total=22, steps_per_epoch=9, epoch=0, step=0)


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ({"steps": 9}, "trained 1 epoch, to the end of budget.steps = 9"),
        ({"epochs": 2}, "trained 2 epochs, to the end of budget.epochs = 2"),
        ({"steps": 4}, "trained 4 of the 9 steps of an epoch, to the end of budget.steps = 4"),
        ({"samples": 300}, "trained 2 epochs, to the end of budget.samples = 300"),
    ],
    ids=str,
)
def test_the_message_says_how_far_it_went_and_what_ended_it(tmp_path: Path, budget: dict[str, Any], message: str) -> None:
    outcome, _, _ = go_on(tmp_path, Budget(**budget))
    assert outcome.message == message and len(outcome.history) == outcome.epoch


@pytest.mark.parametrize("first", [4, 9, 22])
def test_a_larger_budget_goes_on_as_if_planned_from_the_start(tmp_path: Path, first: int) -> None:
    go_on(tmp_path / "parts", Budget(steps=first))
    assert checkpoint.load(tmp_path / "parts").progress.step == first % 9
    resumed, one, _ = go_on(tmp_path / "parts", Budget(steps=40))
    whole, other, _ = go_on(tmp_path / "whole", Budget(steps=40))
    assert same_state(one, other) and resumed.message == whole.message
    for mine, theirs in zip(resumed.history, whole.history, strict=True):
        assert {k: v for k, v in mine.items() if k != "time/epoch_s"} == {k: v for k, v in theirs.items() if k != "time/epoch_s"}


def test_the_clock_ends_a_training_at_the_end_of_a_block_and_counts_what_was_before(tmp_path: Path) -> None:
    outcome, made, events = go_on(tmp_path, Budget(seconds=0.3), pause=0.01)
    assert outcome.status == "FINISHED" and 3 < made.steps_done < 60
    assert outcome.message.endswith(", to the end of budget.seconds = 0.3")
    assert isinstance(events[0], Started) and events[0].epochs is None and events[0].total is None and made.course.total_steps == 0
    again, untouched, _ = go_on(tmp_path, Budget(seconds=0.3))
    assert untouched.steps_done == made.steps_done and again.message == outcome.message
    more, further, _ = go_on(tmp_path, Budget(seconds=1e6, steps=70))
    assert further.steps_done == 70 and more.message.endswith("to the end of budget.steps = 70")
    _, whole, _ = go_on(tmp_path / "whole", Budget(steps=70))
    assert same_state(further, whole)


def test_a_part_of_an_epoch_is_no_candidate_for_the_best(tmp_path: Path) -> None:
    stopping = EarlyStopping(patience=50)
    outcome, made, _ = go_on(tmp_path, Budget(steps=22), early_stopping=stopping)
    assert outcome.epoch == outcome.best_epoch <= 2
    assert outcome.message.endswith(f"the weights are those of epoch {outcome.epoch}, the best by loss/validation")
    assert all(np.array_equal(value, made.state()[name]) for name, value in checkpoint.load(tmp_path).result.items())
    first, _, _ = go_on(tmp_path / "short", Budget(steps=4), early_stopping=stopping)
    assert first.epoch == 1 and first.message == "trained 4 of the 9 steps of an epoch, to the end of budget.steps = 4"


def test_early_stopping_comes_before_a_budget_that_is_not_used_up(tmp_path: Path) -> None:
    stopping = EarlyStopping(metric="accuracy/validation", patience=1, min_delta=0.5)
    outcome, _, _ = go_on(tmp_path, Budget(steps=90), early_stopping=stopping)
    assert outcome.message.startswith("stopped early after epoch 2; the weights are those of epoch 1")


def test_epochs_that_end_before_the_budget_are_told(tmp_path: Path) -> None:
    _, _, events = go_on(tmp_path, Budget(samples=100_000), epochs=2, batch_size=50)
    notes = [event.text for event in events if isinstance(event, Noted)]
    first = "training.epochs = 2 ends the training before the budget does, after 6 steps"
    assert notes == [f"{first}; training.epochs=null leaves the end to the budget"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"budget": {"steps": 0}}, "budget.steps = 0: must be at least 1"),
        ({"budget": {"epochs": -1}}, "budget.epochs = -1: must be at least 1"),
        ({"budget": {"samples": -5}}, "budget.samples = -5: must be at least 1"),
        ({"budget": {"steps": 2.5}}, "budget.steps = 2.5: must be a whole number"),
        ({"budget": {"seconds": 0}}, "budget.seconds = 0: must be above 0"),
        ({"budget": {"seconds": -3}}, "budget.seconds = -3: must be above 0"),
        ({"training": {"epochs": 0}}, "training.epochs = 0: must be at least 1"),
        (
            {"training": {"epochs": None}},
            "training.epochs = null: nothing ends the training; give it, or budget.epochs, budget.steps, budget.samples or budget.seconds",
        ),
        (
            {"budget": {"samples": 63}},
            "budget.samples = 63: is less than one batch of 64 rows; give more, or a smaller training.batch_size",
        ),
        (
            {"training": {"epochs": None}, "budget": {"seconds": 9}, "schedule": "cosine"},
            "schedule.kind = cosine: needs to know how many steps the training has, and only budget.seconds ends it; "
            "give training.epochs or budget.steps too",
        ),
    ],
    ids=str,
)
def test_budgets_that_cannot_be_are_refused(changes: dict[str, Any], sentence: str) -> None:
    with refused(sentence):
        experiment(changes)


def test_the_loop_refuses_a_training_without_an_end() -> None:
    with pytest.raises(ConfigError, match=r"training\.epochs = null: nothing ends the training"):
        train(SoftmaxProgram(), blobs(), Training(epochs=None), seed=3, emit=lambda event: None)
