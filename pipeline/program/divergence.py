"""Where a training went out of range: replays the step that could not be taken, op by op on the reference backend."""

# B batch rows
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from backends.contract import Feed, Target
from pipeline.compiler.lower import Form
from pipeline.compiler.run_once import run_fed
from pipeline.compiler.structure import Structure
from pipeline.errors import DivergedError
from pipeline.graph.ir import Graph
from pipeline.graph.values import Array
from pipeline.passes import compile_passes

State = Mapping[str, Array]


def diverged(
    structure: Structure, state: State, feed: Feed, *, learning_rate: float, losses: Array, after: State | None = None
) -> DivergedError:
    """The error for the step of `feed`, before which training stands at `state`: names the step and the first op out of range.

    losses   [steps] of those that the call took before it
    after    the state that the step makes, where that is not finite and the loss is
    """
    step = int(state["step"])
    form: Form = "gradient" if after is None else "train"
    if after is None:
        what, last = "the loss is not finite", "the loss"
    else:
        tensor = next(name for name, value in after.items() if not np.isfinite(value).all())
        what, last = f"the loss is finite, and {tensor} would not be", f"the update of {tensor}"
    where = next(_tensors(structure, state), None) or next(_places(structure, state, feed, form), last)
    message = (
        f"training diverged at step {step + 1}: {what}; the first non-finite value is in {where}; "
        f"lower optimizer.learning_rate = {learning_rate:g}"
    )
    return DivergedError(message, step=step, losses=tuple(float(loss) for loss in losses))


def _tensors(structure: Structure, state: State) -> Iterator[str]:
    """Layers with a tensor that is not finite, in order."""
    for node in structure.network.nodes:
        for parameter in node.parameters:
            if not np.isfinite(state[parameter.name]).all():
                yield f"layer {node.name} ({parameter.name})"


def _places(structure: Structure, state: State, feed: Feed, form: Form) -> Iterator[str]:
    """Where values leave the range of the program's precision, in the order of the step: `layer fc1 (op matmul)`."""
    batch, weighted = feed.order.shape[2], len(feed.weight) > 0
    graph = _observed(structure, form, batch, weighted=weighted)
    tables = structure.compiled("train", batch, weighted).plan
    values = feed.values[:, :, [tables.values.index(i.name) for i in graph.inputs if i.kind == "value"]]
    words = feed.words[:, :, [tables.words.index(i.name) for i in graph.inputs if i.kind == "word"]]
    results = run_fed(graph, state, replace(feed, values=values, words=words))
    limit = np.finfo(structure.precision).max  # the replay is in float64: beyond this a float32 is infinite
    layers = {node.name for node in structure.network.nodes}
    ops = {name: node.op for node in graph.nodes for name in node.outputs}
    for name, array in results.items():
        if not (np.abs(array) <= limit).all():
            yield f"{_spoken(name, layers)} (op {ops[name]})"


def _spoken(name: str, layers: set[str]) -> str:
    """What a value of the graph belongs to."""
    half, _, rest = name.partition("/")
    layer = rest.partition("/")[0]
    if half == "average":
        return f"the average of {layer}"
    if half == "update":
        return f"the update of {layer}"
    if half == "gradient":
        return f"the gradient of layer {layer}" if layer in layers else "the gradient of the loss"
    return f"layer {half}" if half in layers else "the loss"


def _observed(structure: Structure, form: Form, batch: int, *, weighted: bool) -> Graph:
    """A form written out in simple ops, the training loss alone or the whole step, with every number of it as an output."""
    lowered = structure.lowered(form, batch, weighted)
    if form == "gradient":
        lowered = lowered.replace(outputs={"loss": lowered.outputs["loss"]})
    graph, _ = compile_passes(lowered, Target())
    made = [name for node in graph.nodes for name in node.outputs if graph.types[name].dtype == graph.precision]
    return graph.replace(outputs={name: name for name in made}, updates={}, guard=None)
