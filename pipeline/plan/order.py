"""The order of a step: every node gets a phase; nodes of one phase do not depend on each other and may run side by side."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from pipeline.graph.ir import Graph


def phases(graph: Graph) -> tuple[dict[int, int], int]:
    """-> (index of the node -> phase, first phase at which state may change).

    A node runs as early as its inputs, and the values that it is told to come after, allow.  A node that writes state waits for the guard,
    and for every other reader of that state.
    Phase 0 gathers the batch.
    """
    producer, waiting = graph.places, waits(graph)
    phase: dict[int, int] = {}
    for index in TopologicalSorter(waiting).static_order():
        view = graph.nodes[index].is_view  # takes no time
        phase[index] = max([0 if view else 1, *(phase[w] + (not view) for w in waiting[index])])
    return phase, phase[producer[graph.guard]] + 1 if graph.guard else 1


def waits(graph: Graph) -> dict[int, set[int]]:
    """index of each node -> those that must have run before it: what makes its inputs, and of a state that it writes every other reader."""
    producer = graph.places
    waiting = {index: {producer[name] for name in node.inputs if name in producer} for index, node in enumerate(graph.nodes)}
    for index, node in enumerate(graph.nodes):
        waiting[index] |= {producer[name] for name in (node.fused.after if node.fused else ())}
    for index, states in _writers(graph).items():
        waiting[index] |= {reader for state in states for reader in graph.readers[state]} - {index}
        if graph.guard:
            waiting[index].add(producer[graph.guard])
    return waiting


def circle(graph: Graph) -> tuple[int, ...]:
    """The indices of nodes that wait for each other, one that writes a state which another still reads among them; () where none do.

    The first waits for the last.
    """
    waiting = waits(graph)
    if all(before < index for index, those in waiting.items() for before in those):
        return ()
    try:
        TopologicalSorter(waiting).prepare()
    except CycleError as error:
        return tuple(error.args[1][:-1])
    return ()


def _writers(graph: Graph) -> dict[int, list[str]]:
    """index of a node -> the states that its results replace."""
    by_value: dict[str, list[str]] = {}
    for state, value in graph.updates.items():
        by_value.setdefault(value, []).append(state)
    found = {index: [s for name in node.outputs for s in by_value.get(name, [])] for index, node in enumerate(graph.nodes)}
    return {index: states for index, states in found.items() if states}
