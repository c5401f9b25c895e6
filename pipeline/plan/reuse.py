"""Results that may lie where an input of the same kernel lies: of fused kernels, over an input that nobody reads any more."""

from __future__ import annotations

from backends.contract import Body
from pipeline.graph.ir import Graph


def taken_over(graph: Graph, phase: dict[int, int], last: dict[str, int], placed: set[str]) -> dict[str, str]:
    """result -> the input whose place it takes, both of `placed` (the values of a step that have a place of their own).

    phase: index of a node -> its phase; last: value -> the last phase that reads it.  A kernel after a product reads the product's operands
    all over, so it writes over none of its inputs.  Another may where the result is made of that very input in the kernel's last pass: it
    has read each number then before it replaces it.
    """
    found: dict[str, str] = {}
    for index, node in enumerate(graph.nodes):
        if node.fused is None or node.fused.product is not None:
            continue
        read_here_last = [name for name in node.inputs if name in placed and name not in graph.kept and last.get(name) == phase[index]]
        # side by side with another reader of its phase it may not be written over
        dying = [name for name in read_here_last if sum(phase[reader] == phase[index] for reader in graph.readers[name]) == 1]
        for result in node.outputs:
            fitting = [name for name in dying if result in placed and _replaces(graph, node.fused.body, name, result)]
            if fitting:
                found[result] = fitting[0]
                dying.remove(fitting[0])
    return found


def _replaces(graph: Graph, body: Body, name: str, result: str) -> bool:
    """Whether `result` has the size of the input `name`, number for number, and is made of it in the last pass."""
    level = body.levels
    if level[name] != "full" or level[result] != "full" or graph.types[name].dtype != graph.types[result].dtype:
        return False
    if body.kind != "flat" and body.stages[result] < max(body.stages.values()):
        return False
    thin = {n for n in level if level[n] != "full"}
    return any(name in i.operands for i in body.chain([result], given=thin))
