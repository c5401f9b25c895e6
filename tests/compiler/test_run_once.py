"""A graph run once gives what its inputs, scalars and draws say, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

from backends.contract import Backend
from backends.numpy import NumpyBackend
from backends.reference import ReferenceBackend
from pipeline import random
from pipeline.compiler.run_once import run_once
from pipeline.graph.builder import Builder
from pipeline.ops import SHAPE_RULES


@pytest.mark.parametrize(
    "backend",
    ["reference", "numpy", NumpyBackend(threads=1), ReferenceBackend()],
    ids=["reference", "numpy", "a numpy backend", "a reference backend"],
)
def test_data_state_values_and_draws_come_in_by_name(backend: str | Backend) -> None:
    b = Builder("float64", SHAPE_RULES)
    x, w, rate = b.input("x", (4, 3), "data"), b.input("w", (3,), "state"), b.value("rate")
    high, low, seed = (b.input(name, (), "word", "uint32") for name in ("step_high", "step_low", "seed"))
    draw = b.add("uniform", seed, low, high, shape=(4, 3), stream=random.DROPOUT, path=5, dtype="float64")
    b.outputs = {"y": b.add("mul", b.add("add", x, w), rate), "draw": draw}
    given = {"x": np.arange(12.0).reshape(4, 3), "w": np.ones(3), "unread": np.zeros(2)}
    found = run_once(b.graph(), given, {"rate": lambda clock: clock.steps + 0.5}, seed=7, backend=backend)
    np.testing.assert_array_equal(found["y"], (given["x"] + 1) * 0.5)
    again = run_once(b.graph(), given, {"rate": 2.0}, seed=7, backend="reference")
    np.testing.assert_array_equal(found["draw"], again["draw"])
    assert (run_once(b.graph(), given, {"rate": 2.0}, seed=8)["draw"] != again["draw"]).any()
