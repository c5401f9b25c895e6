"""The pattern of a graph changes when, and only when, a unit goes over its kink."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.checks.kinks import loss_and_pattern
from pipeline.compiler.run_once import run_once
from pipeline.graph.builder import Builder
from pipeline.ops import SHAPE_RULES


def pattern(op: str, x: np.ndarray, kind: str) -> float:
    """The pattern of sum(op(x))."""
    b = Builder("float64", SHAPE_RULES)
    given = b.input("x", x.shape, "data")
    match op:
        case "maximum":
            y = b.add(op, given, b.constant(0.0))
        case "max_pool":
            y = b.add(op, given, window=(2, 2), stride=(2, 2), padding=(0, 0, 0, 0))
        case "greater":
            y = b.add("where", b.add(op, given, b.constant(0.0)), given, b.constant(0.0))
        case "max":
            y = b.add(op, given, axes=(1,))
        case _:
            y = b.add(op, given)
    b.outputs = {"loss": b.add("sum", y, axes=tuple(range(len(b.shape(y)))))}
    return float(run_once(loss_and_pattern(b.graph()), {"x": x}, backend=kind).get("pattern", 0.0))


@pytest.mark.parametrize("kind", ["reference", "numpy"])
@pytest.mark.parametrize("op", ["maximum", "abs", "greater", "max", "max_pool"])
def test_the_pattern_tells_the_sides_and_nothing_else(op: str, kind: str) -> None:
    x = np.array([-3.0, 1.0, 2.0, -0.5, 4.0, -1.0, 0.25, 3.0] * 2).reshape((1, 4, 4, 1) if op == "max_pool" else (4, 4))
    scaled, turned = x * 1.5, x.copy()
    turned.reshape(-1)[4] = -4.0  # from the upper to the lower side
    here = pattern(op, x, kind)
    assert here > 0
    assert pattern(op, scaled, kind) == here
    assert pattern(op, turned, kind) != here


def test_a_smooth_op_has_no_pattern() -> None:
    assert pattern("tanh", np.ones((2, 2)), "reference") == pattern("tanh", -np.ones((2, 2)), "reference") == 0.0
