"""Random graphs of element-wise ops and reductions: whatever the fusion pass makes of them, the numbers stay those of the reference."""

# R rows, C columns
from __future__ import annotations

import numpy as np
import pytest

from backends.contract import Array, Backend
from pipeline.graph.builder import Builder
from pipeline.graph.ir import Graph
from tests.ops.running import builder, distance, run_graph

SHAPES = ((8, 5), (4, 4), (1, 6), (6, 1), (3, 40))
UNARY = ("neg", "tanh", "sigmoid", "abs")
BINARY = ("add", "sub", "mul", "maximum")


def draw(seed: int, *, length: int = 14) -> tuple[Graph, dict[str, Array]]:
    """A graph over tensors of shape [R, C], [C], [R, 1] and []; every value that nothing reads is an output, and some that are read."""
    rng = np.random.default_rng(seed)
    rows, columns = SHAPES[seed % len(SHAPES)]
    b = builder("float64")
    inputs = [b.input(f"x{i}", shape, "state") for i, shape in enumerate(((rows, columns), (columns,), (rows, 1), (), (rows, columns)))]
    arrays = {name: rng.normal(size=b.shape(name)) for name in inputs}
    values = list(inputs)
    for _ in range(length):
        values.append(_grow(b, rng, values))
    read = {name for node in b.nodes for name in node.inputs}
    b.outputs = {v: v for v in values if v not in inputs and (v not in read or rng.random() < 0.2)}
    return b.graph(), arrays


def _grow(b: Builder, rng: np.random.Generator, values: list[str]) -> str:
    x, z = (values[int(i)] for i in rng.integers(0, len(values), 2))
    kind = rng.integers(0, 8)
    if kind < 4:
        return b.add(str(rng.choice(BINARY)), x, z)
    if kind == 4:
        return b.add("where", b.add("greater", x, z), x, b.constant(0.5))
    rank = len(b.shape(x))
    if kind == 5 or rank == 0:
        return b.add(str(rng.choice(UNARY)), x)
    axes = (tuple(range(rank)), (0,), (rank - 1,))[int(rng.integers(0, 3))]
    # a mean rather than a sum, so that repeated reductions do not grow without bound
    reduced = b.add("mul", b.add("sum", x, axes=axes), b.constant(0.125)) if kind == 6 else b.add("max", x, axes=axes)
    return b.reshape(reduced, (b.shape(x)[0], 1)) if rank == 2 and axes == (1,) else reduced


@pytest.mark.parametrize("seed", range(20))
def test_a_random_graph_gives_the_numbers_of_the_reference(seed: int, other: Backend, reference: Backend) -> None:
    graph, arrays = draw(seed)
    expected = run_graph(reference, graph, [arrays])
    for name, value in run_graph(other, graph, [arrays]).items():
        assert distance(value, expected[name]) < 1e-11, name
