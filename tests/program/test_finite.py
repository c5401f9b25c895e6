"""Numbers from Python that are not finite are refused with their place, wherever rows go in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pipeline.data.load import load
from pipeline.data.prepared import prepared
from pipeline.data.settings import Data
from pipeline.errors import DataError
from pipeline.preprocessing import Preprocessing, fit
from pipeline.program.make import compile_stack
from pipeline.program.model import Model
from pipeline.rows import is_known_finite, known_finite, not_finite
from tests.program.configs import NUMBERS, config, data, program
from tests.refusal import refused

ORDER = np.arange(8).reshape(2, 4)
CALLS: dict[str, Callable[[Any, Any, Any], object]] = {
    "predict": lambda p, x, y: p.predict(x),
    "layer_values": lambda p, x, y: p.layer_values(x),
    "evaluate": lambda p, x, y: p.evaluate(x, y),
    "loss": lambda p, x, y: p.loss(x, y),
    "training loss": lambda p, x, y: p.loss(x, y, training=True),
    "gradients": lambda p, x, y: p.gradients(x, y),
    "step": lambda p, x, y: p.step(x, y),
    "run": lambda p, x, y: p.run(x, y, ORDER),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_x_is_refused_with_row_and_column(call: str, value: float) -> None:
    made, (x, y) = program(shape=NUMBERS, initialization={"kind": "zeros"}), data(shape=NUMBERS)
    x[5, 2] = value
    for given in (x, x.astype(np.float32)):
        with refused(f"x: row 5, column 2 is {value}; every number must be finite", DataError):
            CALLS[call](made, given, y)
    with refused(f"x: row 0, column 2 is {value}; every number must be finite", DataError):
        made.predict(x[5:6])


@pytest.mark.parametrize("call", [name for name in CALLS if name not in ("predict", "layer_values")])
def test_targets_are_refused_with_row_and_column(call: str) -> None:
    made, (x, y) = program(shape=NUMBERS), data(shape=NUMBERS)
    y[3, 0] = np.nan
    with refused("y: row 3, column 0 is nan; every number must be finite", DataError):
        CALLS[call](made, x, y)


def test_a_model_names_the_column_that_was_given_not_one_of_a_rotation() -> None:
    x, _ = data(shape=NUMBERS)
    fitted = fit(Preprocessing(steps=("center", "pca")), x)
    model = Model(program=program(shape=NUMBERS), fitted=fitted, target_scale=None)
    x[4, 3] = np.nan
    with refused("x: row 4, column 3 is nan; every number must be finite", DataError):
        model.predict(x)


def test_run_looks_at_the_rows_that_it_trains_on() -> None:
    made, (x, y) = program(shape=NUMBERS), data(shape=NUMBERS)
    x[9, 1] = np.nan
    made.run(x, y, ORDER)
    with refused("x: row 9, column 1 is nan; every number must be finite", DataError):
        made.run(x, y, ORDER + 2)
    stack = compile_stack([config()], NUMBERS)
    stack.run(x, y, ORDER[None])
    with refused("x: row 9, column 1 is nan; every number must be finite", DataError):
        stack.run(x, y, ORDER[None] + 2)


def test_large_numbers_are_finite_and_images_have_a_position() -> None:
    assert not_finite(np.full((3, 2), np.finfo(np.float32).max)) is None
    images = np.zeros((3, 2, 2, 1))
    images[1, 0, 1, 0] = np.inf
    assert not_finite(images) == (1, 0, 1, 0)


def test_what_was_read_from_a_file_is_not_looked_at_again() -> None:
    ready = prepared(load(Data(kind="diabetes"), seed=0), Preprocessing(steps=("standardize",)))
    assert isinstance(ready.train.x, np.ndarray) and isinstance(ready.train.targets, np.ndarray)
    assert is_known_finite(ready.train.x) and is_known_finite(ready.train.targets)
    mine = np.zeros((2, 2))
    assert not is_known_finite(mine) and is_known_finite(known_finite(mine))
