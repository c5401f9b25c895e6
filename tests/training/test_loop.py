from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline import random
from pipeline.data.prepared import Prepared
from pipeline.errors import ConfigError, DataError, DivergedError
from pipeline.training import loop
from pipeline.training.events import Advanced, EpochEnded, Event, Noted, Outcome, Started
from pipeline.training.loop import train
from pipeline.training.settings import EarlyStopping, Training
from tests.training.softmax_program import SoftmaxProgram, blobs, in_two_parts

TIMES = "time/epoch_s"


def trained(settings: Training, *, data: Prepared | None = None, **changes: Any) -> tuple[Outcome, SoftmaxProgram, list[Event]]:
    program, events = SoftmaxProgram(), []
    outcome = train(program, data or blobs(), settings, seed=3, emit=events.append, **changes)
    return outcome, program, events


def curves(outcome: Outcome) -> list[dict[str, float]]:
    return [{name: value for name, value in values.items() if name != TIMES} for values in outcome.history]


def test_each_epoch_trains_every_row_of_the_epochs_permutation_but_those_that_fill_no_batch() -> None:
    seen: list[np.ndarray[Any, Any]] = []

    class Spy(SoftmaxProgram):
        def run(self, x: Any, y: Any, order: Any, sample_weight: Any = None) -> Any:
            seen.append(order)
            return super().run(x, y, order)

    train(Spy(), blobs(rows=150), Training(epochs=2, batch_size=32), seed=3, emit=lambda event: None)
    rows = np.concatenate(seen).reshape(2, 4 * 32)
    assert np.array_equal(rows, [random.permutation(3, random.ORDER, epoch, 150)[:128] for epoch in (0, 1)])


def test_the_rows_left_out_are_told_once() -> None:
    _, _, events = trained(Training(epochs=3, batch_size=32))
    notes = [event.text for event in events if isinstance(event, Noted)]
    assert notes == ["each epoch leaves out 22 of 150 rows, others each time: they fill no batch of 32"]
    _, _, events = trained(Training(epochs=3, batch_size=50))
    assert not [event for event in events if isinstance(event, Noted)]


def test_the_loss_falls_and_the_metrics_are_those_of_a_direct_computation() -> None:
    outcome, program, _ = trained(Training(epochs=8, batch_size=16))
    probabilities, losses = program.evaluate(blobs().validation.x, blobs().validation.y)
    assert outcome.status == "FINISHED" and outcome.epoch == 8 and outcome.message == "trained 8 epochs"
    assert outcome.metrics["loss/validation"] == losses.mean()
    assert outcome.metrics["accuracy/validation"] == (probabilities.argmax(axis=1) == blobs().validation.y).mean()
    assert outcome.history[-1]["loss/train"] < outcome.history[0]["loss/train"]


def test_the_chunking_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Training(epochs=3, batch_size=8)
    monkeypatch.setattr(loop, "CHUNK_SECONDS", 1e-12)
    one_by_one, first, _ = trained(settings)
    monkeypatch.setattr(loop, "CHUNK_SECONDS", 100.0)
    many, second, _ = trained(settings)
    assert set(first.calls) == {1} and max(second.calls) > 5
    assert curves(one_by_one) == curves(many)
    assert all(np.array_equal(value, second.state()[name]) for name, value in first.state().items())


def test_a_chunk_lasts_about_a_tenth_of_a_second() -> None:
    program = SoftmaxProgram(pause=0.01)
    train(program, blobs(rows=150), Training(epochs=1, batch_size=2), seed=3, emit=lambda event: None)
    assert 3 <= max(program.calls) <= 12


def test_events_come_in_order() -> None:
    _, _, events = trained(Training(epochs=2, batch_size=75))
    assert events[0] == Started(epochs=2, total=4, steps_per_epoch=2, epoch=0, step=0)
    steps = [(event.epoch, event.step) for event in events if isinstance(event, Advanced)]
    assert steps[-1] == (2, 2) and (1, 2) in steps
    ends = [event for event in events if isinstance(event, EpochEnded)]
    assert [end.epoch for end in ends] == [1, 2] and ends[0].best


def test_the_learning_rate_is_that_of_the_epochs_last_step_and_the_program_knows_the_total() -> None:
    outcome, program, _ = trained(Training(epochs=2, batch_size=50), learning_rate=lambda step: 10.0 * step)
    assert [values["learning_rate"] for values in outcome.history] == [20.0, 50.0]
    assert program.course.total_steps == 6


def test_without_a_validation_part_only_the_training_is_told() -> None:
    outcome, _, _ = trained(Training(epochs=2), data=blobs(validation=0))
    assert sorted(outcome.metrics) == ["accuracy/train", "loss/train", TIMES]


def test_regression_metrics_are_those_of_scikit_learn() -> None:
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    from pipeline.training import metrics

    generator = np.random.default_rng(0)
    target, value = generator.normal(size=(40, 2)), generator.normal(size=(40, 2))
    found = metrics.measure("regression", value, np.ones(40), target, "test")
    assert found["r2/test"] == pytest.approx(sklearn_metrics.r2_score(target, value), rel=1e-12)
    assert found["rmse/test"] == pytest.approx(sklearn_metrics.mean_squared_error(target, value) ** 0.5, rel=1e-12)
    assert found["mae/test"] == pytest.approx(sklearn_metrics.mean_absolute_error(target, value), rel=1e-12)
    assert "r2/test" not in metrics.measure("regression", value, np.ones(40), np.ones((40, 2)), "test")


class Overfitting(SoftmaxProgram):
    """Its validation losses are 3, 1, 2, 0.5, 5, 5, ... whatever is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.losses = iter([3.0, 1.0, 2.0, 0.5] + [5.0] * 20)

    def evaluate(self, x: Any, y: Any, sample_weight: Any = None) -> Any:
        probabilities, losses = super().evaluate(x, y)
        return probabilities, (np.full(60, next(self.losses)) if len(x) == 60 else losses)


def stopped_early(min_delta: float) -> tuple[Outcome, Overfitting]:
    program = Overfitting()
    settings = Training(epochs=10, batch_size=50, train_rows=0, early_stopping=EarlyStopping(patience=2, min_delta=min_delta))
    return train(program, blobs(), settings, seed=3, emit=lambda event: None), program


def test_early_stopping_restores_the_best_weights() -> None:
    outcome, program = stopped_early(min_delta=0.0)
    assert len(outcome.history) == 6 and outcome.epoch == outcome.best_epoch == 4
    assert outcome.message == "stopped early after epoch 6; the weights are those of epoch 4, the best by loss/validation"
    assert outcome.metrics["loss/validation"] == 0.5
    _, alone, _ = trained(Training(epochs=4, batch_size=50))
    assert all(np.array_equal(value, program.state()[name]) for name, value in alone.state().items())


def test_an_improvement_below_min_delta_does_not_count() -> None:
    outcome, _ = stopped_early(min_delta=0.6)
    assert len(outcome.history) == 4 and outcome.epoch == 2


def test_early_stopping_on_accuracy_takes_the_highest() -> None:
    settings = Training(epochs=6, batch_size=16, early_stopping=EarlyStopping(metric="accuracy/validation", patience=6))
    outcome, _, _ = trained(settings)
    accuracies = [values["accuracy/validation"] for values in outcome.history]
    assert outcome.epoch == accuracies.index(max(accuracies)) + 1


def test_a_batch_larger_than_the_training_part_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        trained(Training(batch_size=256), data=blobs(rows=142))
    assert str(caught.value) == "training.batch_size = 256: larger than the 142 rows of the training part; use at most 142"


def test_early_stopping_on_an_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        trained(Training(early_stopping=EarlyStopping(metric="acuracy/validation")))
    assert (
        str(caught.value)
        == "training.early_stopping.metric = acuracy/validation: no metric of classification; did you mean accuracy/validation?"
    )


def test_early_stopping_without_a_validation_part_says_so() -> None:
    with pytest.raises(ConfigError) as caught:
        trained(Training(early_stopping=EarlyStopping()), data=blobs(validation=0))
    expected = "training.early_stopping.metric = loss/validation: the validation part is empty; "
    assert str(caught.value) == expected + "set data.split.validation above 0 or use loss/train"


def test_a_diverging_step_ends_training_with_the_programs_own_sentence() -> None:
    with pytest.raises(DivergedError, match="training diverged at step 5: the first value that is not finite is in layer head"):
        train(SoftmaxProgram(diverges_at=5), blobs(), Training(epochs=5, batch_size=50), seed=3, emit=lambda event: None)


def test_a_stop_that_was_asked_for_ends_after_the_chunk() -> None:
    asked = iter([False, False, True])
    program = SoftmaxProgram()
    outcome = train(program, blobs(), Training(epochs=50, batch_size=50), seed=3, emit=lambda event: None, stop=lambda: next(asked))
    assert outcome.status == "KILLED" and outcome.message.startswith("stopped ") and program.steps_done < 10


def test_a_part_is_anything_with_x_and_y() -> None:
    data = in_two_parts((np.zeros((4, 4)), np.zeros(4, np.int32)), (np.zeros((0, 4)), np.zeros(0, np.int32)))
    outcome, _, _ = trained(Training(epochs=1, batch_size=4), data=data)
    assert outcome.metrics["loss/train"] == pytest.approx(np.log(3))
