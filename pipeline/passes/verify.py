"""The written rules of a legal graph; run after every pass."""

from __future__ import annotations

from pipeline.graph.ir import Graph
from pipeline.ops import OPS
from pipeline.plan.order import circle


def verify(graph: Graph) -> None:
    """Asserts: every name bound once and before use, every op known, every type what the op's shape rule promises,
    updates keep the type of the state they replace, the guard is a scalar, and no two nodes wait for each other: one that replaces a state
    waits for all that read it."""
    bound = [i.name for i in graph.inputs]
    assert len(set(bound)) == len(bound), "an input is declared twice"
    seen = set(bound)
    kinds = {i.name: i for i in graph.inputs}
    for node in graph.nodes:
        assert node.op in OPS, f"{node.outputs[0]}: unknown op {node.op}"
        for name in node.inputs:
            assert name in seen, f"{node.op} {node.outputs[0]}: {name} is not bound before its use"
        promised = OPS[node.op].shape(*(graph.types[i] for i in node.inputs), **node.attributes)
        for name, expected in zip(node.outputs, promised, strict=True):
            assert name not in seen, f"{name} is bound twice"
            assert graph.types[name] == expected, f"{name}: type {graph.types[name]}, but {node.op} promises {expected}"
            seen.add(name)
    for state, value in graph.updates.items():
        assert state in kinds and kinds[state].kind == "state", f"{state} is updated but is no state"
        assert value in seen and graph.types[value] == kinds[state].type, f"{state}: updated with another type"
    for public, value in graph.outputs.items():
        assert value in seen, f"output {public}: {value} is not bound"
    assert graph.guard is None or graph.types[graph.guard].shape == (), "the guard must be a scalar"
    ring = circle(graph)
    assert not ring, f"{', '.join(graph.nodes[index].outputs[-1] for index in ring)} wait for each other"
