"""reduce_on_plateau, and what resetting the optimizer's state at a change of the learning rate does."""

# S steps
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.config.spec import experiment
from pipeline.errors import ConfigError
from pipeline.program.make import compile_stack
from pipeline.program.program import Program
from pipeline.recipe.course import Course
from pipeline.recipe.plateau import Plateau, ReduceOnPlateau, after_epoch
from pipeline.training.events import Noted, Outcome
from pipeline.training.loop import train
from pipeline.training.settings import Training
from tests.program.configs import CLASSES, config, data, order, program
from tests.refusal import refused
from tests.training.resuming import train_on
from tests.training.softmax_program import SoftmaxProgram, blobs


def scales(schedule: ReduceOnPlateau, losses: list[float], *, learning_rate: float = 0.1) -> list[float]:
    """The scale in force after each epoch of 10 steps."""
    now, found = Plateau(), []
    for epoch, loss in enumerate(losses, start=1):
        now = after_epoch(schedule, now, loss, steps=10 * epoch, learning_rate=learning_rate)
        found.append(now.scale)
    return found


def test_the_rate_falls_when_patience_epochs_brought_no_lower_loss() -> None:
    schedule = ReduceOnPlateau(factor=0.5, patience=2, threshold=0.0)
    assert scales(schedule, [3, 2, 2, 2, 1, 1.5, 1.2, 1, 1]) == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]


def test_a_fall_within_the_threshold_is_none_and_nan_is_never_one() -> None:
    schedule = ReduceOnPlateau(factor=0.5, patience=1, threshold=0.1)
    assert scales(schedule, [1.0, 0.91, 0.89, float("nan"), 0.7]) == [1, 0.5, 0.5, 0.25, 0.25]


def test_epochs_of_the_cooldown_are_not_counted() -> None:
    schedule = ReduceOnPlateau(factor=0.5, patience=1, cooldown=2)
    assert scales(schedule, [1.0] * 8) == [1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]


def test_the_rate_stops_at_its_minimum_and_no_change_follows() -> None:
    schedule = ReduceOnPlateau(factor=0.1, patience=1, minimum=0.004)
    assert scales(schedule, [1.0] * 5) == pytest.approx([1, 0.1, 0.04, 0.04, 0.04])
    now = Plateau(scale=0.04, changed=30, best=1.0)
    assert after_epoch(schedule, now, 1.0, steps=60, learning_rate=0.1).changed == 30


def test_epochs_within_the_warm_up_are_not_counted() -> None:
    schedule = ReduceOnPlateau(factor=0.5, patience=1, warmup=25)
    assert scales(schedule, [1.0] * 5) == [1, 1, 0.5, 0.25, 0.125]


def test_the_scale_and_the_warm_up_multiply_the_learning_rate() -> None:
    made = program(optimizer={"kind": "sgd", "learning_rate": 0.2}, schedule={"kind": "reduce_on_plateau", "warmup": 4})
    assert [made.learning_rate(step) for step in range(6)] == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.2, 0.2])
    made.follow(Course(plateau=Plateau(scale=0.1)))
    assert [made.learning_rate(step) for step in (0, 9)] == pytest.approx([0.005, 0.02])
    x, y = data()
    before, gradient = made.parameters(), made.gradients(x, y)
    made.steps_done = 9
    made.run(x, y, np.arange(40)[None])
    for name, value in made.parameters().items():
        np.testing.assert_allclose(value, before[name] - 0.02 * gradient[name], rtol=1e-12)


def halved(kind: str, state: str, **changes: Any) -> Program:
    return program(5, optimizer=kind, schedule={"kind": "step", "every": 4, "factor": 0.5, "state_on_change": state}, **changes)


def slots(made: Program) -> dict[str, Any]:
    return {name: value for name, value in made.state().items() if "/" in name}


@pytest.mark.parametrize("backend", ["reference", "numpy"])
@pytest.mark.parametrize("kind", ["momentum", "adam", "nadam", "amsgrad", "rmsprop", "adagrad"])
def test_reset_is_a_new_optimizer_at_each_change_and_keep_is_not(kind: str, backend: str) -> None:
    x, y = data()
    steps = order(8)
    made = halved(kind, "reset", backend={"kind": backend})
    losses = made.run(x, y, steps)
    first = program(5, optimizer=kind, backend={"kind": backend})
    rate = made.learning_rate(4)
    np.testing.assert_array_equal(first.run(x, y, steps[:4]), losses[:4])
    renewed = program(5, optimizer={"kind": kind, "learning_rate": rate}, backend={"kind": backend})
    renewed.load_parameters(first.parameters())
    np.testing.assert_allclose(renewed.run(x, y, steps[4:]), losses[4:], rtol=1e-13)
    for name, value in made.state().items():
        if name != "step":
            np.testing.assert_allclose(value, renewed.state()[name], rtol=1e-12, atol=1e-15)
    kept = halved(kind, "keep", backend={"kind": backend})
    assert not np.allclose(kept.run(x, y, steps)[6:], losses[6:], rtol=1e-6)


def test_a_schedule_that_keeps_the_state_has_the_structure_of_any_other() -> None:
    assert halved("adam", "keep").digest == program(5).digest == program(5, schedule="reduce_on_plateau").digest
    assert halved("adam", "reset").digest == program(5, schedule={"kind": "reduce_on_plateau", "state_on_change": "reset"}).digest
    assert halved("adam", "reset").digest != program(5).digest


def test_a_step_schedule_is_reset_in_a_stack_in_pieces_and_after_the_warm_up() -> None:
    x, y = data()
    schedule = {"kind": "step", "every": 3, "factor": 0.5, "state_on_change": "reset", "warmup": 2}
    changes: dict[str, Any] = {"optimizer": "momentum", "schedule": schedule, "backend": {"kind": "numpy"}}
    whole = program(5, **changes).run(x, y, order(12))
    pieces = program(5, **changes)
    np.testing.assert_array_equal(np.concatenate([pieces.run(x, y, part) for part in np.split(order(12), [1, 5, 7])]), whole)
    stack = compile_stack([config(5, **changes), config(5, **changes, seed=1)], CLASSES)
    np.testing.assert_array_equal(stack.run(x, y, np.stack([order(12)] * 2))[0], whole)
    at = np.arange(12)
    tables = program(5, **changes).tables
    keep = tables._values["optimizer.keep"](tables.clock(at))  # type: ignore[operator]
    np.testing.assert_array_equal(keep, [0, 1, 1, 1, 1, 0, 1, 1, 0, 1, 1, 0])


def test_a_plateau_that_resets_sets_the_slots_back_at_the_step_of_the_change() -> None:
    x, y = data()
    made = program(5, optimizer="adam", schedule={"kind": "reduce_on_plateau", "state_on_change": "reset"})
    made.run(x, y, order(5))
    renewed = program(5, optimizer={"kind": "adam", "learning_rate": 1e-4})
    renewed.load_parameters(made.parameters())
    made.follow(Course(plateau=Plateau(scale=0.1, changed=5)))
    np.testing.assert_allclose(made.run(x, y, order(6)), renewed.run(x, y, order(6)), rtol=1e-13)


def go_on(folder: Path, *, epochs: int, stop_after: int | None = None) -> tuple[Outcome, SoftmaxProgram, list[float]]:
    """Trains from the last checkpoint there is, to the end or for `stop_after` chunks; gives the learning rates of the epochs too."""
    schedule, made = ReduceOnPlateau(factor=0.5, patience=1, threshold=0.02), SoftmaxProgram(learning_rate=0.5)
    outcome = train_on(
        made,
        folder,
        Training(epochs=epochs, batch_size=16),
        stop_after=stop_after,
        learning_rate=lambda step: made.learning_rate * made.course.plateau.scale,
        schedule=lambda now, loss, steps: after_epoch(schedule, now, loss, steps=steps, learning_rate=0.5),
    )
    return outcome, made, [values["learning_rate"] for values in outcome.history]


@pytest.mark.parametrize("stop_after", [3, 10, 17])
def test_a_run_that_was_stopped_goes_on_with_the_rate_it_had(tmp_path: Path, stop_after: int) -> None:
    _, unbroken, wanted = go_on(tmp_path / "one", epochs=12)
    assert len(set(wanted)) > 3
    stopped, _, _ = go_on(tmp_path / "two", epochs=12, stop_after=stop_after)
    assert stopped.status == "KILLED"
    _, resumed, rates = go_on(tmp_path / "two", epochs=12)
    assert rates == wanted and resumed.course == unbroken.course
    assert all(np.array_equal(value, resumed.state()[name]) for name, value in unbroken.state().items())


def test_a_change_is_told() -> None:
    schedule, made, events = ReduceOnPlateau(factor=0.5, patience=1, threshold=0.9), SoftmaxProgram(), []
    train(
        made,
        blobs(),
        Training(epochs=2, batch_size=50),
        seed=3,
        emit=events.append,
        learning_rate=lambda step: 0.1 * made.course.plateau.scale,
        schedule=lambda now, loss, steps: after_epoch(schedule, now, loss, steps=steps, learning_rate=0.1),
    )
    notes = [event.text for event in events if isinstance(event, Noted)]
    assert notes == ["learning rate lowered to 0.05 after epoch 2: loss/validation has not fallen"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"factor": 1.0}, "schedule.factor = 1.0: must be below 1"),
        ({"patience": 0}, "schedule.patience = 0: must be at least 1"),
        ({"minimum": 0.5}, "schedule.minimum = 0.5: must be below optimizer.learning_rate, which is 0.001"),
        ({"state_on_change": "rest"}, "schedule.state_on_change = rest: unknown choice; use one of keep, reset"),
    ],
    ids=str,
)
def test_a_plateau_that_cannot_be_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with refused(sentence):
        experiment({"schedule": {"kind": "reduce_on_plateau", **changes}})


def test_only_schedules_that_change_in_steps_have_a_state_on_change() -> None:
    with pytest.raises(ConfigError) as caught:
        experiment({"schedule": {"kind": "cosine", "state_on_change": "reset"}})
    assert str(caught.value) == "schedule.state_on_change = reset: cosine has no such key; it belongs to step, reduce_on_plateau"
