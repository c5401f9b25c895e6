"""The layer graph: what a config and the shape of the data amount to, layer by layer, before any op is chosen."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.layers.part import Part
from pipeline.recipe.initialization import Initialization
from pipeline.recipe.losses import LOSSES, Loss
from pipeline.recipe.regularization import Regularization


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A tensor of a layer that lives from step to step.

    initial         an initialization record to draw from, or the number that every element starts with
    fan_in, fan_out  of a drawn tensor: inputs that one output sums over, outputs that one input feeds
    trained         whether it is what training is about; running statistics are not
    frozen          whether the optimizer leaves it as it is all the same
    regularization  what decays it; None for biases, gamma, beta and running statistics
    outputs         of a drawn tensor: the axis of its units, the last one or, in a transposed convolution, the one before it
    """

    name: str
    shape: tuple[int, ...]
    initial: Initialization | float
    fan_in: int = 0
    fan_out: int = 0
    trained: bool = True
    regularization: Regularization | None = None
    outputs: int = -1
    frozen: bool = False

    @property
    def learns(self) -> bool:
        """Whether the optimizer changes it."""
        return self.trained and not self.frozen

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerNode:
    """One layer: `record` is its config with every slot filled; shapes are without the batch axis."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    record: Part
    parameters: tuple[Parameter, ...] = ()

    @property
    def parameter_count(self) -> int:
        """Number of trained numbers."""
        return sum(p.count for p in self.parameters if p.trained)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerGraph:
    """Layers in topological order.  `input` names the rows of the data, the last node is the output; `loss` is resolved, never auto."""

    input_shape: tuple[int, ...]
    nodes: tuple[LayerNode, ...]
    loss: Loss

    @property
    def output(self) -> LayerNode:
        """The layer whose values are the logits or predictions."""
        return self.nodes[-1]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every tensor that lives from step to step, running statistics among them."""
        return tuple(p for node in self.nodes for p in node.parameters)

    @property
    def readers(self) -> dict[str, list[LayerNode]]:
        """The data and each layer -> the layers that read it."""
        found: dict[str, list[LayerNode]] = {name: [] for node in self.nodes for name in (*node.inputs, node.name)}
        for node in self.nodes:
            for source in node.inputs:
                found[source].append(node)
        return found

    def __str__(self) -> str:
        return print_layers(self)


def print_layers(network: LayerGraph) -> str:
    """A table: one row a layer."""
    head = ("layer", "kind", "input", "output shape", "parameters", "tensors")
    rows = [head, ("input", "data", "", _shape(network.input_shape), "", "")]
    for node in network.nodes:
        tensors = ", ".join(f"{p.name} {_shape(p.shape)}" for p in node.parameters)
        count = f"{node.parameter_count:,}" if node.parameters else ""
        rows.append((node.name, node.kind, ", ".join(node.inputs), _shape(node.shape), count, tensors))
    rows.append(("loss", LOSSES.kind_of(network.loss), network.output.name, "", "", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    total = sum(node.parameter_count for node in network.nodes)
    return "\n".join([*lines, f"{total:,} parameters"])


def print_decay(network: LayerGraph) -> str:
    """Which parameters a decay (l1, l2, weight_decay, max_norm, and the optimizer's own) may touch, and which it leaves alone."""
    trained = [p for p in network.parameters if p.learns]
    decayed, free = ([p.name for p in trained if (p.regularization is not None) == is_weight] for is_weight in (True, False))
    lines = [f"l1, l2, weight_decay and max_norm act on {', '.join(decayed)}"] if decayed else []
    lines += [f"no decay, as for every bias, gamma, beta and alpha: {', '.join(free)}"] if free else []
    frozen = [p.name for p in network.parameters if p.frozen and p.trained]
    return "\n".join([*lines, f"frozen: {', '.join(frozen)}"] if frozen else lines)


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"
