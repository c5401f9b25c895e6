"""The order of a step: every node gets a phase; nodes of one phase do not depend on each other and may run side by side."""

from __future__ import annotations

from pipeline.graph.ir import Graph, Node


def phases(graph: Graph) -> tuple[dict[int, int], int]:
    """-> (index of the node -> phase, first phase at which state may change).

    A node runs as early as its inputs allow.  A node that writes state waits for the guard, and for every reader of that state.
    Phase 0 gathers the batch.
    """
    phase_of: dict[str, int] = {i.name: 0 for i in graph.inputs}
    result: dict[int, int] = {}
    writes = _writers(graph)
    readers = _state_readers(graph)
    deferred: list[int] = []
    for index, node in enumerate(graph.nodes):
        if index in writes:
            deferred.append(index)
            continue
        result[index] = _place(node, phase_of, graph, earliest=1)
    guard_phase = phase_of[graph.guard] + 1 if graph.guard else 1
    for index in deferred:
        node = graph.nodes[index]
        waits = [result[r] + 1 for state in writes[index] for r in readers.get(state, []) if r in result and r != index]
        result[index] = _place(node, phase_of, graph, earliest=max([guard_phase, *waits]))
    return result, guard_phase


def _place(node: Node, phase_of: dict[str, int], graph: Graph, earliest: int) -> int:
    inputs = [phase_of[name] for name in node.inputs]
    view = node.op == "reshape"
    phase = max([earliest if not view else 0, *(p + (not view) for p in inputs)])
    phase_of.update(dict.fromkeys(node.outputs, phase))
    return phase


def _writers(graph: Graph) -> dict[int, list[str]]:
    """index of a node -> the states that its results replace."""
    by_value: dict[str, list[str]] = {}
    for state, value in graph.updates.items():
        by_value.setdefault(value, []).append(state)
    found = {index: [s for name in node.outputs for s in by_value.get(name, [])] for index, node in enumerate(graph.nodes)}
    return {index: states for index, states in found.items() if states}


def _state_readers(graph: Graph) -> dict[str, list[int]]:
    views: dict[str, str] = {}
    readers: dict[str, list[int]] = {}
    for index, node in enumerate(graph.nodes):
        for name in node.inputs:
            root = views.get(name, name)
            if node.op == "reshape":
                views[node.outputs[0]] = root
            else:
                readers.setdefault(root, []).append(index)
    return readers
