"""Where a training went out of range: replays the step that could not be taken, op by op on the reference backend."""

# B batch rows
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from backends.contract import Feed, Target
from pipeline.compiler.run_once import run_fed
from pipeline.compiler.structure import Structure
from pipeline.errors import DivergedError
from pipeline.graph.ir import Graph
from pipeline.graph.values import Array
from pipeline.passes import compile_passes

State = Mapping[str, Array]


def diverged(structure: Structure, state: State, feed: Feed, *, learning_rate: float, losses: Array) -> DivergedError:
    """The error for the step of `feed`, before which training stands at `state`: names the step and the first layer out of range.

    losses   [steps] of those that the call took before it
    """
    step = int(state["step"])
    where = next(_tensors(structure, state), None) or next(_layers(structure, state, feed), "the loss")
    message = (
        f"training diverged at step {step + 1}: the loss is not finite; the first non-finite value is in {where}; "
        f"lower optimizer.learning_rate = {learning_rate:g}"
    )
    return DivergedError(message, step=step, losses=tuple(float(loss) for loss in losses))


def _tensors(structure: Structure, state: State) -> Iterator[str]:
    """Layers with a tensor that is not finite, in order."""
    for node in structure.network.nodes:
        for parameter in node.parameters:
            if not np.isfinite(state[parameter.name]).all():
                yield f"layer {node.name} ({parameter.name})"


def _layers(structure: Structure, state: State, feed: Feed) -> Iterator[str]:
    """Layers whose values leave the range of the program's precision, in order."""
    batch, weighted = feed.order.shape[2], len(feed.weight) > 0
    graph = _observed(structure, batch, weighted=weighted)
    tables = structure.compiled("train", batch, weighted).plan
    values = feed.values[:, :, [tables.values.index(i.name) for i in graph.inputs if i.kind == "value"]]
    words = feed.words[:, :, [tables.words.index(i.name) for i in graph.inputs if i.kind == "word"]]
    results = run_fed(graph, state, replace(feed, values=values, words=words))
    limit = np.finfo(structure.precision).max  # the replay is in float64: beyond this a float32 is infinite
    layers = {node.name for node in structure.network.nodes}
    for name, array in results.items():
        layer = name.split("/")[0]
        if not (np.abs(array) <= limit).all():
            yield f"layer {layer}" if layer in layers else "the loss"


def _observed(structure: Structure, batch: int, *, weighted: bool) -> Graph:
    """The training loss written out in simple ops, with every number of it as an output."""
    lowered = structure.lowered("gradient", batch, weighted)
    graph, _ = compile_passes(lowered.replace(outputs={"loss": lowered.outputs["loss"]}), Target())
    made = [name for node in graph.nodes for name in node.outputs if graph.types[name].dtype == graph.precision]
    return graph.replace(outputs={name: name for name in made})
