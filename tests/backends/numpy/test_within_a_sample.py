"""The kernels of group norm and of the error function: the same bits for any number of threads, in a stack, and on narrower vectors."""

# K trials
from __future__ import annotations

import numpy as np
import pytest

from backends.contract import Array, Feed
from backends.numpy import NumpyBackend
from backends.numpy.machine import processor
from pipeline.graph.ir import Graph
from tests.ops.running import builder, plan_for

SHAPES = [((5, 3, 4, 70), 7), ((9, 4, 4, 6), 1), ((2, 7, 5, 33), 33)]


def _graph(shape: tuple[int, ...], groups: int, precision: str) -> Graph:
    """Group norm of an image, the gradient of it, and the error function of that."""
    b = builder(precision)
    x, g = b.input("x", shape, "state"), b.input("g", shape, "state")
    gamma, beta, epsilon = b.input("gamma", shape[-1:], "state"), b.input("beta", shape[-1:], "state"), b.input("epsilon", (), "state")
    y, mean, inverse = b.add_many("group_norm", x, gamma, beta, epsilon, groups=groups, names=("y", "mean", "inverse"))
    dx, d_gamma, d_beta = b.add_many("group_norm_gradient", x, gamma, mean, inverse, g, names=("dx", "d_gamma", "d_beta"))
    b.outputs = {"y": y, "dx": dx, "gamma": d_gamma, "beta": d_beta, "erf": b.add("erf", y)}
    return b.graph()


def _run(backend: NumpyBackend, graph: Graph, trials: int = 1, first: int = 0, *, threads: int | None = None) -> dict[str, Array]:
    plan = plan_for(backend, graph)
    memory, executable = backend.allocate(plan.state, trials), backend.load(plan)
    executable.threads = threads or executable.threads  # also where they do not pay
    for trial in range(trials):
        rng = np.random.default_rng(first + trial)
        for buffer in plan.state:
            memory.write(trial, buffer.name, np.asarray(rng.uniform(0.1, 3, buffer.shape) * rng.choice([-1, 1], buffer.shape)))
        memory.write(trial, "epsilon", np.asarray(1e-5))
    nothing = np.zeros((1, 1), plan.precision)
    tables = np.zeros((trials, 1, 0), plan.precision), np.zeros((trials, 1, 0), np.uint32)
    feed = Feed(x=nothing, y=nothing, order=np.zeros((trials, 1, 1), np.int64), values=tables[0], words=tables[1])
    return dict(executable.run(memory, feed).outputs)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "groups"), SHAPES, ids=str)
def test_threads_and_trials(shape: tuple[int, ...], groups: int, precision: str) -> None:
    graph = _graph(shape, groups, precision)
    alone = _run(NumpyBackend(threads=1), graph)
    for threads in (2, 3):
        again = _run(NumpyBackend(threads=threads), graph, threads=threads)
        assert all(again[name].tobytes() == value.tobytes() for name, value in alone.items()), threads
    stack = _run(NumpyBackend(threads=2), graph, 3)
    for trial in range(3):
        single = _run(NumpyBackend(threads=1), graph, first=trial)
        assert all(stack[name][trial].tobytes() == value[0].tobytes() for name, value in single.items()), trial


@pytest.mark.parametrize("narrow", ["avx2", "plain"])
def test_narrower_vectors(narrow: str) -> None:
    if processor.host().name not in ("AVX-512", "AVX2"):
        pytest.skip(f"this processor ({processor.host().name}) is not one that runs all three")
    graph, older = _graph(*SHAPES[0], "float32"), getattr(processor, narrow)()
    wide = _run(NumpyBackend(threads=1), graph)
    other = _run(NumpyBackend(threads=1, processor=older), graph)
    for name, value in wide.items():
        np.testing.assert_allclose(other[name], value, rtol=1e-5, atol=1e-6)
        assert not older.multiplies_and_adds or other[name].tobytes() == value.tobytes()
