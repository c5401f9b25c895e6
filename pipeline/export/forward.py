"""What a trained model computes from a row to its prediction, as a graph that others can write down in their own language."""

# B rows of a batch
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.compiler.lower import values
from pipeline.errors import RunError
from pipeline.graph.ir import Graph, Node
from pipeline.graph.values import Array, Clock
from pipeline.program.model import Model
from pipeline.recipe.averaging import average_name, measured_tensors
from pipeline.records import record

ROWS = 7919  # stands for any number of rows: a prime that no width, height or channel is a multiple of


@record
class Forward:
    """nodes      from x to the prediction, in order; those that only the loss needs are left out
    result     the name of the prediction
    tensors    what was trained, by name: fc1.weight [I, O], bn1.mean [C]
    scalars    numbers of the recipe that the nodes read: an epsilon, a slope
    graph      whose types the names have, with ROWS for the rows
    """

    nodes: tuple[Node, ...]
    result: str
    tensors: Mapping[str, Array]
    scalars: Mapping[str, float]
    graph: Graph

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a value, ROWS for the rows."""
        return self.graph.types[name].shape


def forward(model: Model) -> Forward:
    """The way of a row through the network of `model`, without its preprocessing.  Raises RunError."""
    program = model.program
    graph = program.structure.lowered("evaluate", ROWS)
    graph = graph.with_inputs({average_name(p.name): p.name for p in program.structure.averaged})
    result = graph.outputs["prediction"]
    reached = _needed(graph, result)
    nodes = tuple(node for node in graph.nodes if reached.intersection(node.outputs))
    state, table = measured_tensors(program.state()), values(program.structure.network, program.config)
    read = [entry for entry in graph.inputs if entry.name in reached]
    clock = Clock(steps=np.array([program.steps_done], np.int64))
    scalars = {}
    for entry in read:
        if entry.kind == "value":
            value = table[entry.name]
            scalars[entry.name] = float(value(clock)[0] if callable(value) else value)
        elif entry.kind == "word" or entry.name == "y":
            raise RunError(f"{entry.name}: the prediction of this network needs it, and a file has only x; it cannot be exported")
    tensors = {entry.name: state[entry.name] for entry in read if entry.kind == "state"}
    return Forward(nodes=nodes, result=result, tensors=tensors, scalars=scalars, graph=graph)


def _needed(graph: Graph, result: str) -> set[str]:
    """`result` and all that it is made of; the probabilities of a loss are made of the logits alone."""
    reached = {result}
    for node in reversed(graph.nodes):
        if reached.intersection(node.outputs):
            reached.update(node.inputs[:1] if node.op == "softmax_cross_entropy" else node.inputs)
    return reached


def rows(shape: tuple[int, ...]) -> list[int]:
    """A shape with -1 where the number of rows decides."""
    return [-1 if size % ROWS == 0 else size for size in shape]


def refused(node: Node, language: str, why: str = "") -> RunError:
    """The error for an op that `language` has no word for."""
    return RunError(f"{node.outputs[0]}: the op {node.op}{why} cannot be said in {language}; export the arrays with format=safetensors")


def attributes(node: Node, language: str, *names: str) -> tuple[Any, ...]:
    """The attributes `names` of a node, in that order.  Raises RunError where it has others: they would be silently ignored."""
    strange = set(node.attributes) - set(names)
    if strange:
        raise refused(node, language, f" with {', '.join(sorted(strange))}")
    return tuple(node.attributes.get(name) for name in names)
