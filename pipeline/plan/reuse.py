"""Results that may lie where an input of the same kernel lies: of fused kernels, over an input that nobody reads any more."""

from __future__ import annotations

from backends.contract import Body
from pipeline.graph.ir import Graph, Node


def taken_over(graph: Graph, phase: dict[int, int], last: dict[str, int], placed: set[str]) -> dict[str, str]:
    """result -> the input whose place it takes, both of `placed` (the values of a step that have a place of their own).

    phase: index of a node -> its phase; last: value -> the last phase that reads it.  A kernel after a product reads the product's operands
    all over, so it writes over none of its inputs.  Another may where the result is made of that very input in the kernel's last pass: it
    has read each number then before it replaces it.
    """
    root = graph.views
    escaping = {root.get(name, name) for name in graph.escaping()}
    readers: dict[tuple[str, int], int] = {}  # (value, phase) -> how many kernels read it there
    for index, node in enumerate(graph.nodes):
        if node.op != "reshape":
            for name in {root.get(n, n) for n in node.inputs}:
                readers[name, phase[index]] = readers.get((name, phase[index]), 0) + 1
    found: dict[str, str] = {}
    for index, node in enumerate(graph.nodes):
        if not _walks_its_grid(node):
            continue
        dying = [
            name for name in node.inputs
            if name in placed and name not in escaping and last.get(name) == phase[index] and readers[name, phase[index]] == 1
        ]  # fmt: skip
        for result in node.outputs:
            fitting = [name for name in dying if result in placed and _replaces(graph, node, name, result)]
            if fitting:
                found[result] = fitting[0]
                dying.remove(fitting[0])
    return found


def _walks_its_grid(node: Node) -> bool:
    return "body" in node.attributes and "product" not in node.attributes


def _replaces(graph: Graph, node: Node, name: str, result: str) -> bool:
    """Whether `result` has the size of the input `name`, number for number, and is made of it in the last pass."""
    body: Body = node.attributes["body"]
    made = {i.name: i for i in body.instructions}
    level = dict(body.inputs) | {i.name: i.level for i in body.instructions}
    if level[name] != "full" or level[result] != "full" or graph.types[name].dtype != graph.types[result].dtype:
        return False
    passes = dict.fromkeys(level, 0)  # after how many reductions a value is ready
    for i in body.instructions:
        passes[i.name] = max([passes[o] for o in i.operands], default=0) + ("axes" in i.attributes)
    if body.kind != "flat" and passes[result] < max(passes.values()):
        return False
    waiting, reached = [result], {result}
    while waiting:
        instruction = made.get(waiting.pop())
        fresh = [o for o in (instruction.operands if instruction else ()) if o not in reached and level[o] == "full"]
        reached.update(fresh)
        waiting += fresh
    return name in reached
