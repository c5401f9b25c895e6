"""The schedules against closed forms and numbers worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.recipe import schedules
from pipeline.recipe.course import Course
from tests.program.configs import data, order, program

# schedule, step -> factor, over a training of 10 steps
HAND = [
    (schedules.Exponential(factor=0.5, every=2), {0: 1.0, 1: math.sqrt(0.5), 2: 0.5, 6: 0.125}),
    (schedules.InverseTime(decay=0.5, every=1), {0: 1.0, 1: 1 / 1.5, 2: 0.5, 6: 0.25}),
    (schedules.InverseTime(decay=1.0, every=4), {4: 0.5, 12: 0.25}),
    (schedules.InverseSqrt(every=1), {0: 1.0, 1: 1 / math.sqrt(2), 3: 0.5, 8: 1 / 3}),
    (schedules.InverseSqrt(every=5), {15: 0.5}),
    (schedules.Polynomial(), {0: 1.0, 5: 0.5, 9: 0.1, 10: 0.0, 11: 0.0}),
    (schedules.Polynomial(power=2.0, floor=0.2), {0: 1.0, 5: 0.2 + 0.8 * 0.25, 10: 0.2}),
    (schedules.OneCycle(rise=1 / 3, start=0.2, end=0.0), {0: 0.2, 3: 1.0, 6: 0.5, 9: 0.0, 12: 0.0}),
    (schedules.Cyclic(half_cycle=4, floor=0.2), {0: 0.2, 1: 0.4, 4: 1.0, 6: 0.6, 8: 0.2, 12: 1.0}),
    (schedules.Constant(warmup=4), {0: 0.25, 1: 0.5, 2: 0.75, 3: 1.0, 4: 1.0, 9: 1.0}),
    (schedules.Step(every=2, factor=0.1, warmup=2), {0: 0.5, 1: 1.0, 2: 1.0, 3: 1.0, 4: 0.1, 6: 0.01}),
    (schedules.Polynomial(warmup=2), {0: 0.5, 1: 1.0, 2: 1.0, 6: 0.5, 10: 0.0}),
    (schedules.Cosine(warmup=2), {1: 1.0, 2: 1.0, 6: 0.5, 10: 0.0}),
    (schedules.OneCycle(rise=4 / 7, start=0.2, end=0.0, warmup=2), {0: 0.1, 1: 0.2, 2: 0.2, 4: 0.6, 6: 1.0, 9: 0.0}),
]


@pytest.mark.parametrize(("schedule", "expected"), HAND, ids=str)
def test_factors_worked_out_by_hand(schedule: Any, expected: dict[int, float]) -> None:
    found = schedules.factor(schedule, np.array(list(expected)), 10)
    np.testing.assert_allclose(found, list(expected.values()), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("kind", schedules.SCHEDULES)
def test_a_schedule_is_a_function_of_the_step_within_0_and_1(kind: str) -> None:
    for warmup in (0, 3):
        own = {"factor": "1 / (1 + t)"} if kind == "formula" else {}
        schedule = schedules.SCHEDULES[kind](warmup=warmup, **own)
        together = schedules.factor(schedule, np.arange(25), 20)
        assert together.shape == (25,) and (together >= 0).all() and (together <= 1).all()
        assert [float(schedules.factor(schedule, step, 20)) for step in range(25)] == together.tolist()


@pytest.mark.parametrize("kind", ["exponential", "one_cycle"])
def test_a_schedule_touches_no_optimizer_state(kind: str) -> None:
    """With gradients that the weights do not change (a step of learning rate 1e-300), the moments are those of a constant rate."""
    x, y = data()
    made = []
    for schedule in ({"kind": "constant"}, {"kind": kind, "warmup": 2}):
        made.append(program(5, optimizer={"kind": "adam", "learning_rate": 1e-300}, schedule=schedule))
        made[-1].follow(Course(total_steps=8))
        made[-1].run(x, y, order(8))
    constant, moving = (one.state() for one in made)
    slots = [name for name in constant if name.startswith("adam.")]
    assert slots
    for name in slots:
        np.testing.assert_array_equal(moving[name], constant[name])


@pytest.mark.parametrize("kind", ["polynomial", "cosine", "one_cycle"])
def test_what_spans_the_training_must_know_its_length(kind: str) -> None:
    with pytest.raises(ConfigError) as caught:
        schedules.factor(schedules.SCHEDULES[kind](), 3, 0)
    hint = "call program.follow(Course(total_steps=...)) of pipeline.recipe.course"
    assert str(caught.value) == f"schedule.kind = {kind}: needs to know how many steps the training has; {hint}"
    with pytest.raises(ConfigError) as caught:
        schedules.factor(schedules.SCHEDULES[kind](warmup=10), 3, 10)
    assert str(caught.value) == "schedule.warmup = 10: must be shorter than the training, which has 10 steps"


def test_a_program_warms_up() -> None:
    made = program(5, optimizer={"kind": "sgd", "learning_rate": 0.2}, schedule={"kind": "inverse_time", "every": 1, "warmup": 2})
    assert [made.learning_rate(step) for step in range(5)] == pytest.approx([0.1, 0.2, 0.2, 0.1, 0.2 / 3])


@pytest.mark.parametrize("warmup", [0, 3])
def test_one_cycle_reaches_its_end_at_the_last_step(warmup: int) -> None:
    schedule = schedules.OneCycle(rise=0.3, start=0.04, end=1e-4, warmup=warmup)
    found = schedules.factor(schedule, np.arange(20 + warmup), 20 + warmup)
    assert found[-1] == pytest.approx(1e-4, rel=1e-9) and found[warmup] == pytest.approx(0.04)
    assert (found[-1] < found[:-1]).all() and float(schedules.factor(schedules.OneCycle(), 0, 1)) > 0
