"""Where a training went out of range: replays the step that could not be taken, op by op on the reference backend."""

# B batch rows
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

import backends
from pipeline.compiler.lower import forward
from pipeline.errors import DivergedError
from pipeline.graph.ir import Graph
from pipeline.graph.values import Array
from pipeline.passes import compile_passes
from pipeline.plan import make_plan
from pipeline.rows import Streamed

if TYPE_CHECKING:
    from pipeline.program.program import Program


def diverged(
    program: Program, x: Array | Streamed, y: Array, batch: npt.NDArray[np.int64], losses: Array, weight: Array | None = None
) -> DivergedError:
    """The error for the step on rows `batch`, before which `program` stands: names the step and the first layer with a non-finite value."""
    rate = program.learning_rate(program.steps_done)
    where = next(_tensors(program), None) or next(_layers(program, x, y, batch, weight), "the loss")
    message = (
        f"training diverged at step {program.steps_done + 1}: the loss is not finite; the first non-finite value is in {where}; "
        f"lower optimizer.learning_rate = {rate:g}"
    )
    return DivergedError(message, step=program.steps_done, losses=tuple(float(loss) for loss in losses))


def _tensors(program: Program) -> Iterator[str]:
    """Layers with a tensor that is not finite, in order."""
    state = program.state()
    for node in program.structure.network.nodes:
        for parameter in node.parameters:
            if not np.isfinite(state[parameter.name]).all():
                yield f"layer {node.name} ({parameter.name})"


def _layers(program: Program, x: Array | Streamed, y: Array, batch: npt.NDArray[np.int64], weight: Array | None) -> Iterator[str]:
    """Layers whose values leave the range of the program's precision, in order."""
    graph = _observed(program, len(batch), weighted=weight is not None)
    plan = make_plan(graph, name="replay", batch=len(batch), state=program.structure.state)
    reference = backends.load("reference")
    memory = reference.allocate(program.structure.state, 1)
    state = program.state()
    for buffer in program.structure.state:
        memory.write(0, buffer.name, state[buffer.name])
    own = None if weight is None else weight[batch]
    feed = program.feed("train", x[batch], y[batch], np.arange(len(batch))[None], own)
    tables = program.structure.compiled("train", len(batch), weight is not None).plan
    values = feed.values[:, :, [tables.values.index(name) for name in plan.values]]
    words = feed.words[:, :, [tables.words.index(name) for name in plan.words]]
    results = reference.load(plan).run(memory, replace(feed, values=values, words=words))
    limit = np.finfo(program.structure.precision).max  # the replay is in float64: beyond this a float32 is infinite
    layers = {node.name for node in program.structure.network.nodes}
    for name, array in results.outputs.items():
        layer = name.split("/")[0]
        if not (np.abs(array) <= limit).all():
            yield f"layer {layer}" if layer in layers else "the loss"


def _observed(program: Program, batch: int, *, weighted: bool) -> Graph:
    """The training loss written out in simple ops, with every number of it as an output."""
    structure = program.structure
    graph = forward(structure.network, batch=batch, precision=structure.precision, weighted=weighted, augmented=structure.augmentation)
    graph, _ = compile_passes(graph, keeps=frozenset(), fuses=False)
    made = [name for node in graph.nodes for name in node.outputs if graph.types[name].dtype == graph.precision]
    return graph.replace(outputs={name: name for name in made})
