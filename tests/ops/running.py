"""Runs a graph on a backend: passes, plan, memory, feed."""

# K trials, S steps
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backends.contract import Array, Backend, Buffer, Feed, Plan, Results
from pipeline.graph.builder import Builder
from pipeline.graph.ir import Graph
from pipeline.ops import SHAPE_RULES
from pipeline.passes import compile_passes
from pipeline.plan import make_plan, state_layout
from tests.cases import Case, Example


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """An example of an op as part of a graph: the names of its inputs and of its results."""

    example: Example
    inputs: tuple[str, ...]
    results: tuple[str, ...]


def builder(precision: str) -> Builder:
    """An empty graph."""
    return Builder(precision, SHAPE_RULES)


def apply_case(b: Builder, case: Case) -> tuple[list[Applied], dict[str, Array]]:
    """Adds every example of `case` to `b`, its tensors as state and its words as words -> the examples and the input arrays."""
    rng = np.random.default_rng(list(case.op.encode()))
    arrays: dict[str, Array] = {}
    applied = []
    for number, example in enumerate(case.examples):
        names = []
        for place, (domain, shape) in enumerate(zip(case.domains, example.shapes, strict=True)):
            value = domain(rng, shape)
            dtype = b.precision if value.dtype == np.float64 else str(value.dtype)
            names.append(b.input(f"{case.op}{number}.{place}", shape, "word" if dtype == "uint32" else "state", dtype))
            arrays[names[-1]] = value
        attributes = {k: b.precision if v == "precision" else v for k, v in example.attributes.items()}
        types = SHAPE_RULES[case.op](*(b.types[n] for n in names), **attributes)
        results = b.add_many(case.op, *names, names=tuple(f"{case.op}{number}.y{i}" for i in range(len(types))), **attributes)
        applied.append(Applied(example=example, inputs=tuple(names), results=results))
    return applied, arrays


def plan_for(backend: Backend, graph: Graph, *, batch: int = 1, state: tuple[Buffer, ...] | None = None) -> Plan:
    """The plan of `graph` as `backend` wants it."""
    compiled, _ = compile_passes(graph, backend.target)
    return make_plan(compiled, name="test", batch=batch, state=state_layout([graph]) if state is None else state)


def run_graph(backend: Backend, graph: Graph, trials: Sequence[Mapping[str, Array]]) -> Mapping[str, Array]:
    """One step of `graph` for every mapping of input arrays (one a trial) -> public name -> [K, ...]."""
    plan = plan_for(backend, graph)
    memory = backend.allocate(plan.state, len(trials))
    for trial, arrays in enumerate(trials):
        for buffer in plan.state:
            memory.write(trial, buffer.name, arrays[buffer.name])
    words = np.array([[[arrays[name] for name in plan.words]] for arrays in trials], np.uint32)
    values = np.zeros((len(trials), 1, len(plan.values)), plan.precision)
    nothing = np.zeros((1, 1), plan.precision)
    feed = Feed(x=nothing, y=nothing, order=np.zeros((len(trials), 1, 1), np.int64), values=values, words=words)
    results: Results = backend.load(plan).run(memory, feed)
    assert (results.done == 1).all()
    return {name: value[:, 0] for name, value in results.outputs.items()}


def distance(value: Array, expected: Array) -> float:
    """The largest difference over the larger of 1 and the largest expected value; infinite when one is not a number."""
    difference = np.max(np.abs(np.asarray(value, np.float64) - np.asarray(expected, np.float64)), initial=0.0)
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    return float(difference / scale) if np.isfinite(difference) else float("inf")
