"""The inside of a network over a few rows: values of its layers, gradients of its tensors, and what a step of training changes.

A look is taken at a twin, a program with a memory of its own, so that no look can change a bit of a training.
"""

# R rows looked at, B batch rows, C units of a dense layer or channels of an image
from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.compiler import lower
from pipeline.compiler.run_once import prepared
from pipeline.compiler.structure import Structure
from pipeline.errors import DivergedError
from pipeline.graph.values import Array
from pipeline.layers.activation import Elu, Sigmoid, Tanh
from pipeline.layers.graph import LayerGraph, LayerNode
from pipeline.layers.part import Activation
from pipeline.program.program import Program
from pipeline.recipe.course import Course
from pipeline.rows import Streamed
from pipeline.tracking.health import Health, Histogram, LayerHealth, TensorHealth

QUICK, QUICK_ROWS = 10**6, 64  # parameters of a dense network that the oracle looks at, and rows
ROWS, LEAST_ROWS = 256, 16
NUMBERS = 2**23  # of all layers' values in a look
BINS = 30
COUNTED = 2**14  # values of a histogram and of a mean
RANGES: Mapping[type, Callable[[Any], tuple[float, float]]] = {  # below the one and above the other a unit is at an end of its range
    Sigmoid: lambda record: (0.01, 0.99),
    Tanh: lambda record: (-0.99, 0.99),
    Elu: lambda record: (-0.99 * record.alpha, math.inf),
}


class Looker:
    """Looks at states of `program`, over a fixed sample of the training rows x [N, ...], y [N] or [N, T], weight [N].

    quick   a look needs no compiled program of its own: the oracle makes it
    """

    def __init__(self, program: Program, x: Array | Streamed, y: Array | Streamed, weight: Array | None = None) -> None:
        structure, config = program.structure, program.config
        nodes = structure.network.nodes
        numbers = sum(math.prod(node.shape) for node in nodes) or 1
        size = sum(math.prod(p.shape) for p in structure.network.parameters)
        self.quick = size <= QUICK and all(len(node.shape) == 1 for node in nodes)
        count = min(len(x), QUICK_ROWS if self.quick else max(LEAST_ROWS, min(ROWS, NUMBERS // numbers)))
        self._rows = np.linspace(0, len(x) - 1, count).astype(np.int64)
        self._batch = np.linspace(0, len(x) - 1, min(len(x), program.batch_size)).astype(np.int64)
        self._x, self._y, self._weight = x, y, weight
        network = Structure(config, structure.shape, structure.backend).network  # that of a trial of a stack has values of its own
        graph = structure.lowered("probe", count, weight is not None)
        values, backend = lower.values(network, config), "reference" if self.quick else structure.backend
        self._run = prepared(graph, values, seed=program.seed, backend=backend)
        self.twin = Program(structure, config, structure.allocate(1), network=_undrawn(network))

    def look(self, state: Mapping[str, Array], course: Course, *, epoch: int) -> Health:
        """What the network of `state` (fc1.weight [I, O]) makes of the rows in training, what its next step of `course` would change."""
        made = self._probe(state)
        trained = [p for p in self.twin.structure.network.parameters if p.trained]
        after = self._after(state, course)
        return Health(
            epoch=epoch,
            step=int(np.max(state["step"])),
            rows=len(self._rows),
            loss=float(made["loss"]),
            data_loss=float(np.mean(made["row_loss"], dtype=np.float64)),
            layers=tuple(_layer(node, made[f"layer:{node.name}"]) for node in self.twin.structure.network.nodes if _told(node)),
            tensors=tuple(
                _tensor(p.name, state[p.name], made.get(f"gradient:{p.name}"), None if after is None else after[p.name] - state[p.name])
                for p in trained
            ),
        )

    def _probe(self, state: Mapping[str, Array]) -> Mapping[str, Array]:
        """The outputs of the form `probe` over the rows looked at."""
        rows = self._rows
        given = {**state, "x": np.asarray(self._x[rows]), "y": np.asarray(self._y[rows])}
        return self._run(given if self._weight is None else {**given, "weight": self._weight[rows]})

    def _after(self, state: Mapping[str, Array], course: Course) -> Mapping[str, Array] | None:
        """The parameters after one more step, on a batch of the training; None where its loss is not finite."""
        rows, weight = self._batch, self._weight
        self.twin.load_state(state)
        self.twin.follow(course)
        try:
            self.twin.step(np.asarray(self._x[rows]), np.asarray(self._y[rows]), None if weight is None else weight[rows])
        except DivergedError:
            return None
        return self.twin.parameters()


def _undrawn(network: LayerGraph) -> LayerGraph:
    """Its parameters begin with 0: they are overwritten."""
    nodes = [replace(node, parameters=tuple(replace(p, initial=0.0) for p in node.parameters)) for node in network.nodes]
    return replace(network, nodes=tuple(nodes))


def _told(node: LayerNode) -> bool:
    """Layers that compute: what moves values about tells nothing new."""
    return isinstance(node.record, Activation) or bool(node.parameters)


def _layer(node: LayerNode, values: Array) -> LayerHealth:
    units = values.reshape(-1, values.shape[-1])
    least, most = units.min(axis=0), units.max(axis=0)
    some = _some(values)
    return LayerHealth(
        name=node.name,
        kind=node.kind,
        units=len(least),
        dead=int(np.sum(least == most)),
        alike=len(least) > 1 and bool(np.all(units == units[:, :1])),
        saturated=_saturated(node, some),
        mean=float(some.mean()),
        deviation=float(some.std()),
        values=histogram(some),
    )


def _saturated(node: LayerNode, some: npt.NDArray[np.float64]) -> float:
    if type(node.record) not in RANGES:
        return 0.0
    low, high = RANGES[type(node.record)](node.record)
    return float(np.mean((some < low) | (some > high)))


def _tensor(name: str, value: Array, gradient: Array | None, change: Array | None) -> TensorHealth:
    given = None if gradient is None else root_mean_square(gradient)
    return TensorHealth(
        name=name,
        size=value.size,
        scale=root_mean_square(value),
        gradient=given,
        update=None if given is None or change is None else root_mean_square(change),
        values=histogram(_some(value)),
    )


def root_mean_square(values: Array) -> float:
    """values [...] -> the root of the mean of their squares, in float64."""
    flat = np.asarray(values, np.float64).reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):  # of a training that diverged: infinite
        return float(np.sqrt(np.mean(np.square(flat)))) if flat.size else 0.0


def _some(values: Array) -> npt.NDArray[np.float64]:
    """At most COUNTED of the values, evenly over them -> [n]."""
    flat = values.reshape(-1)
    return np.asarray(flat[:: max(1, -(-flat.size // COUNTED))], np.float64)


def histogram(values: npt.NDArray[np.float64]) -> Histogram:
    """The finite ones of the values [n] in BINS equal bins."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Histogram(low=0.0, high=0.0, counts=())
    low, high = float(finite.min()), float(finite.max())
    if not high > low:
        return Histogram(low=low, high=high, counts=(int(finite.size),))
    counts, _ = np.histogram(finite, bins=BINS, range=(low, high))
    return Histogram(low=low, high=high, counts=tuple(counts.tolist()))
