"""A copy of a program, also one out of a pickle, is a program of its own at the same state."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.preprocessing import Preprocessing, fit
from pipeline.preprocessing.target_scale import TargetScale
from pipeline.program.make import compile_stack
from pipeline.program.model import Model
from pipeline.recipe.course import Course
from tests.program.configs import CLASSES, NUMBERS, config, data, order, program

WAYS: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda made: pickle.loads(pickle.dumps(made)),  # our own
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}
COPIED = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@COPIED
def test_a_copy_goes_on_alone(way: Callable[[Any], Any]) -> None:
    x, y = data()
    made = program(5, optimizer="adam", schedule="cosine")
    made.follow(Course(total_steps=20))
    made.run(x, y, order(4))
    other = way(made)
    assert other.digest == made.digest and other.steps_done == 4 and other.seed == made.seed
    np.testing.assert_array_equal(other.predict(x), made.predict(x))
    before = made.predict(x)
    losses = other.run(x, y, order(3))
    np.testing.assert_array_equal(made.predict(x), before)
    np.testing.assert_array_equal(made.run(x, y, order(3)), losses)
    np.testing.assert_array_equal(other.predict(x), made.predict(x))


@COPIED
def test_a_copy_of_a_model_has_its_preprocessing(way: Callable[[Any], Any]) -> None:
    x, y = data(shape=NUMBERS)
    scale = TargetScale.fit(y)
    made = Model(program=program(shape=NUMBERS), fitted=fit(Preprocessing(steps=("standardize",)), x), target_scale=scale)
    np.testing.assert_array_equal(way(made).predict(x), made.predict(x))


@COPIED
def test_a_copy_of_a_stack_and_of_a_program_in_it(way: Callable[[Any], Any]) -> None:
    x, y = data()
    stack = compile_stack([config(5), config(5, seed=1)], CLASSES)
    orders = np.stack([order(3), order(3)])
    stack.run(x, y, orders)
    other, alone = way(stack), way(stack.programs[1])
    losses = stack.run(x, y, orders)
    np.testing.assert_array_equal(other.run(x, y, orders), losses)
    np.testing.assert_array_equal(alone.run(x, y, orders[1]), losses[1])


def test_balanced_weights_are_copied_or_still_asked_for() -> None:
    x, y = data()
    made = program(loss={"kind": "auto", "class_weights": "balanced"})
    with pytest.raises(ConfigError, match="needs the training labels"):
        copy.deepcopy(made).step(x, y)
    made.balance(y)
    weights = copy.deepcopy(made).class_weights
    assert weights is not None and made.class_weights is not None
    np.testing.assert_array_equal(weights, made.class_weights)
