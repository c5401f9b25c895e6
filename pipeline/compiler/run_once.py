"""A graph compiled to be run once: for what is looked at a single time, in checks, predictions of variance, replays and tests."""

# B batch rows
from __future__ import annotations

from collections.abc import Callable, Mapping
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
    return prepared(graph, values, seed=seed, backend=backend)(inputs)


def prepared(
    graph: Graph, values: Mapping[str, Value] = NONE, *, seed: int = 0, backend: str | Backend = "reference"
) -> Callable[[Mapping[str, Array]], dict[str, Array]]:
    """As `run_once`, compiled: inputs, data [B, ...] -> outputs [...], for several states of one graph."""
    named = _named(graph, "data")
    run = _loaded(graph, backend, graph.types[named[0]].shape[0] if named else 1)
    clock = Clock(steps=np.zeros(1, np.int64))
    tables = value_table(_named(graph, "value"), values, clock), word_table(_named(graph, "word"), seed, clock)

    def outputs(inputs: Mapping[str, Array]) -> dict[str, Array]:
        data = {name: np.asarray(inputs[name]) for name in named}
        rows = len(next(iter(data.values()), [0]))
        given: dict[str, Any] = {"x": np.zeros((1, 1)), "y": np.zeros(1), **data}
        return run(inputs, Feed(**given, order=np.arange(rows)[None, None], values=tables[0][None], words=tables[1][None]))

    return outputs


def run_fed(graph: Graph, state: Mapping[str, Array], feed: Feed, *, backend: str | Backend = "reference") -> dict[str, Array]:
    """The outputs of `graph`, by name, for the one step of `feed`, whose tables [1, values] have the graph's scalars in its order."""
    return _loaded(graph, backend, feed.order.shape[2])(state, feed)


def _loaded(graph: Graph, backend: str | Backend, batch: int) -> Callable[[Mapping[str, Array], Feed], dict[str, Array]]:
    chosen = backends.load(backend) if isinstance(backend, str) else backend
    final, _ = compile_passes(graph, chosen.target)
    plan = make_plan(final, name="once", batch=batch, state=state_layout([graph]))
    memory, executable = chosen.allocate(plan.state, 1), chosen.load(plan)

    def run(state: Mapping[str, Array], feed: Feed) -> dict[str, Array]:
        for buffer in plan.state:
            memory.write(0, buffer.name, state[buffer.name])
        return {name: value[0, 0] for name, value in executable.run(memory, feed).outputs.items()}

    return run


def _named(graph: Graph, kind: Kind) -> list[str]:
    return [i.name for i in graph.inputs if i.kind == kind]
