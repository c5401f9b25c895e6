"""Every gradient rule by the inner-product test: <gradient, v> is the derivative along v."""

from __future__ import annotations

import numpy as np
import pytest

from backends.contract import Array, Backend
from pipeline.compiler.autodiff import gradients
from pipeline.graph.builder import Builder
from pipeline.ops import OPS
from tests.cases import CASES, Case
from tests.ops.running import Applied, apply_case, builder, run_graph

STEP = 5e-4
# f'(0) to fourth order: (f(-2h) - 8 f(-h) + 8 f(h) - f(2h)) / 12 h
STENCIL = ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0))


def _losses(b: Builder, case: Case) -> tuple[list[Applied], dict[str, Array]]:
    """A scalar <w, y> for each example, y the op's first result, as output `loss0`, `loss1`, ..."""
    rng = np.random.default_rng(7)
    applied, arrays = apply_case(b, case)
    checked = [a for a in applied if a.example.gradient]
    for number, a in enumerate(checked):
        y = a.results[0]
        w = b.input(f"w{number}", b.shape(y), "state")
        arrays[w] = rng.uniform(-1, 1, b.shape(y))
        weighted = b.add("mul", w, y)
        axes = tuple(range(len(b.shape(y))))
        b.outputs[f"loss{number}"] = b.add("sum", weighted, axes=axes) if axes else weighted
    return checked, arrays


@pytest.mark.parametrize("case", [case for case in CASES if OPS[case.op].gradient], ids=lambda case: case.op)
def test_gradient_is_the_directional_derivative(case: Case, backend: Backend, reference: Backend) -> None:
    b = builder("float64")
    checked, arrays = _losses(b, case)
    wanted = [a.inputs[place] for a in checked for place in case.wanted]
    rng = np.random.default_rng(8)
    direction = {name: rng.uniform(-1, 1, b.shape(name)) for name in wanted}
    moved = [{**arrays, **{n: arrays[n] + STEP * at * v for n, v in direction.items()}} for at, _ in STENCIL]
    values = run_graph(reference, b.graph(), moved)

    losses = list(b.outputs.values())
    total = losses[0]
    for loss in losses[1:]:
        total = b.add("add", total, loss)
    b.outputs = gradients(b, total, wanted)
    found = run_graph(backend, b.graph(), [arrays])
    for number, a in enumerate(checked):
        numeric = sum(c * values[f"loss{number}"][k] for k, (_, c) in enumerate(STENCIL)) / (12 * STEP)
        analytic = sum(np.vdot(found[a.inputs[p]][0], direction[a.inputs[p]]) for p in case.wanted)
        assert abs(analytic - numeric) / max(1.0, abs(numeric)) < 1e-7, a.example
