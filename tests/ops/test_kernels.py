"""Every op on every backend against the reference."""

from __future__ import annotations

import numpy as np
import pytest

from backends.contract import Array, Backend
from tests.cases import CASES, Case
from tests.ops.running import apply_case, builder, distance, run_graph


def results(backend: Backend, case: Case, precision: str) -> dict[str, Array]:
    """Every result of every example of an op, by name."""
    b = builder(precision)
    applied, arrays = apply_case(b, case)
    for example in applied:
        for name in example.results:
            # truth values and column numbers leave as floats: outputs are what a host reads, and that is always a float
            b.outputs[name] = name if b.types[name].dtype == precision else b.add("cast", name, dtype=precision)
    outputs = run_graph(backend, b.graph(), [arrays])
    assert {n: v.shape[1:] for n, v in outputs.items()} == {n: b.types[n].shape for n in b.outputs}
    return {name: value[0] for name, value in outputs.items()}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.op)
def test_op_agrees_with_the_reference(case: Case, precision: str, other: Backend, reference: Backend) -> None:
    expected = results(reference, case, precision)
    for name, value in results(other, case, precision).items():
        assert value.dtype == np.dtype(precision)
        assert distance(value, expected[name]) <= case.tolerance(precision), name


BINARY = ("add", "sub", "mul", "div", "maximum")
NAN_PASSES = (*BINARY, "neg", "exp", "expm1", "log", "log1p", "sqrt", "tanh", "sigmoid", "erf", "abs", "sum", "max", "softplus")


@pytest.mark.parametrize("op", NAN_PASSES)
def test_nan_passes_through_so_that_the_guard_sees_it(op: str, backend: Backend) -> None:
    b = builder("float64")
    inputs = [b.input(name, (2, 9), "state") for name in ("x", "z")]
    operands = inputs if op in BINARY else inputs[:1]
    y = b.add(op, *operands, axes=(0, 1)) if op in ("sum", "max") else b.add(op, *operands)
    b.outputs["y"] = y
    holed = np.ones((2, 9))
    holed[1, 8] = np.nan
    whole = np.ones((2, 9))
    for trial in ({"x": holed, "z": whole}, {"x": whole, "z": holed})[: len(operands)]:
        found = run_graph(backend, b.graph(), [trial])["y"][0]
        assert np.isnan(found).sum() == 1, trial
