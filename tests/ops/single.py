"""One layer alone as a graph: what it gives, and its gradients under a given gradient of its output."""

from __future__ import annotations

from collections.abc import Mapping

from backends.contract import Array, Backend
from pipeline.compiler.autodiff import gradients
from pipeline.compiler.run_once import run_once
from pipeline.layers import rule_of
from pipeline.layers.graph import LayerNode
from pipeline.layers.kind import Shape
from pipeline.layers.part import Part
from tests.ops.running import builder


def layer_node(record: Part, shape: Shape) -> LayerNode:
    """The node `layer` of `record` over x [*shape], with its tensors.  Raises ConfigError as the build does."""
    kind = rule_of(record)
    parameters = kind.parameters(record, "layer", (shape,))
    return LayerNode(name="layer", kind="", inputs=("x",), shape=kind.shape(record, (shape,)), record=record, parameters=parameters)


def run_layer(backend: Backend, node: LayerNode, arrays: Mapping[str, Array], precision: str = "float64") -> dict[str, Array]:
    """arrays: x [N, ...], g of the shape of y, and the layer's tensors by name -> y, and under each name the gradient of sum(y g).

    The layer's scalars (epsilon) are 0.
    """
    b = builder(precision)
    x = b.input("x", arrays["x"].shape, "state")
    y = rule_of(node.record).lower(b, node, (x,), training=True)
    assert b.shape(y) == arrays["g"].shape
    loss = b.add("sum", b.add("mul", y, b.input("g", b.shape(y), "state")), axes=tuple(range(len(b.shape(y)))))
    gradient = gradients(b, loss, [x, *(p.name for p in node.parameters)])
    b.outputs, b.updates = {"y": y, **gradient}, {}
    graph = b.graph()
    return run_once(graph, arrays, {i.name: 0.0 for i in graph.inputs if i.kind == "value"}, backend=backend)
