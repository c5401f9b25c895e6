"""A graph compiled to be run once: for what is looked at a single time, in checks, predictions of variance, replays and tests."""

# B batch rows
from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

import backends
from backends.contract import Backend, Feed
from pipeline.graph.ir import Graph, Kind
from pipeline.graph.values import Array, Clock, Value, value_table, word_table
from pipeline.passes import compile_passes
from pipeline.plan import make_plan, state_layout

NONE: Mapping[str, Value] = MappingProxyType({})


def run_once(
    graph: Graph, inputs: Mapping[str, Array], values: Mapping[str, Value] = NONE, *, seed: int = 0, backend: str | Backend = "reference"
) -> dict[str, Array]:
    """The outputs of the first step of `graph`, by name.

    inputs   its tensors by name: the state, and the data [B, ...], whose rows are the step's batch
    values   its scalars by name, numbers or functions of the clock
    seed     of its random numbers
    """
    data = {name: np.asarray(inputs[name]) for name in _named(graph, "data")}
    rows = len(next(iter(data.values()), [0]))
    clock = Clock(steps=np.zeros(1, np.int64))
    tables = value_table(_named(graph, "value"), values, clock), word_table(_named(graph, "word"), seed, clock)
    given: dict[str, Any] = {"x": np.zeros((1, 1)), "y": np.zeros(1), **data}
    feed = Feed(**given, order=np.arange(rows)[None, None], values=tables[0][None], words=tables[1][None])
    return run_fed(graph, inputs, feed, backend=backend)


def run_fed(graph: Graph, state: Mapping[str, Array], feed: Feed, *, backend: str | Backend = "reference") -> dict[str, Array]:
    """The outputs of `graph`, by name, for the one step of `feed`, whose tables [1, values] have the graph's scalars in its order."""
    chosen = backends.load(backend) if isinstance(backend, str) else backend
    final, _ = compile_passes(graph, chosen.target)
    plan = make_plan(final, name="once", batch=feed.order.shape[2], state=state_layout([graph]))
    memory = chosen.allocate(plan.state, 1)
    for buffer in plan.state:
        memory.write(0, buffer.name, state[buffer.name])
    results = chosen.load(plan).run(memory, feed)
    return {name: value[0, 0] for name, value in results.outputs.items()}


def _named(graph: Graph, kind: Kind) -> list[str]:
    return [i.name for i in graph.inputs if i.kind == kind]
