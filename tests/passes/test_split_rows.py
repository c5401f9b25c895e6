"""Sums over all numbers of a tensor: in runs where they are many, exact to the type, and nothing lost at any edge."""

# N numbers
from __future__ import annotations

import numpy as np
import pytest

import backends
from backends.contract import RUN, Array, Backend
from backends.cupy import CupyBackend
from pipeline.graph.ir import Graph
from pipeline.passes.split_rows import MANY
from tests.cuda.beside import needs_compiler
from tests.cuda.shim import ShimDevice
from tests.ops.running import builder, plan_for, run_graph

EDGES = (1, MANY - 1, MANY, 5 * RUN + 63, 40_961)


def _sums(count: int, precision: str) -> Graph:
    """Of squares, the largest number, a sum of something that is kept, and what is made of all three."""
    b = builder(precision)
    x = b.input("x", (count,), "state")
    squares = b.add("sum", b.add("mul", x, x), axes=(0,))
    most = b.add("max", x, axes=(0,))
    kept = b.add("exp", x)
    whole = b.add("sum", kept, axes=(0,))
    b.outputs.update(squares=squares, most=most, kept=kept, mixed=b.add("add", b.add("sqrt", squares), b.add("mul", most, whole)))
    return b.graph()


def _numbers(count: int) -> Array:
    return np.random.default_rng(count).normal(size=count)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("count", EDGES)
def test_sums_in_runs_are_the_sums(count: int, precision: str) -> None:
    found, wanted = (run_graph(backends.load(kind), _sums(count, precision), [{"x": _numbers(count)}]) for kind in ("numpy", "reference"))
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=3e-6 if precision == "float32" else 1e-13, err_msg=name)


@needs_compiler
@pytest.mark.integration
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("count", [MANY - 1, MANY, 7 * RUN + 65])
def test_sums_in_runs_have_the_same_bits_in_cuda(count: int, precision: str) -> None:
    def bits(backend: Backend) -> dict[str, bytes]:
        trials = [{"x": _numbers(count)}, {"x": 3 - _numbers(count)}, {"x": np.full(count, 0.1)}]
        return {name: value.tobytes() for name, value in run_graph(backend, _sums(count, precision), trials).items()}

    assert bits(CupyBackend(ShimDevice())) == bits(backends.load("numpy"))


def test_a_sum_of_few_numbers_is_one_kernel_and_one_of_very_many_has_runs_of_runs() -> None:
    def calls(count: int) -> int:
        return len(plan_for(backends.load("numpy"), _sums(count, "float32")).calls)

    assert calls(MANY) == calls(MANY - 1) + 1 == calls(RUN * (MANY - 1)) == calls(RUN * MANY) - 1


def test_the_square_of_16_million_weights_is_exact_to_six_digits_in_float32() -> None:
    """In 16 chains it was 4e-4 low."""
    count = 16_000_003
    b = builder("float32")
    x = b.input("x", (count,), "state")
    b.outputs["squares"] = b.add("sum", b.add("mul", x, x), axes=(0,))
    weights = _numbers(count).astype(np.float32)
    found = run_graph(backends.load("numpy"), b.graph(), [{"x": weights}])["squares"][0]
    exact = float((weights.astype(np.float64) ** 2).sum())
    assert abs(found / exact - 1) < 1e-6
