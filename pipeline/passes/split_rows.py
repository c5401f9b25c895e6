"""Splits fused bodies that sum over many rows, or over many numbers, into parts that threads can share.

A sum over a hundred thousand rows of 32 channels is one chain for each channel: one thread's work, and its rounding grows with the chain.
Such a body becomes, for each of its stages, a kernel that sums blocks of rows and a small one that adds up the blocks and makes what has
one number a column; what is full-size is made last, row by row.
A sum over all numbers of a large tensor (a penalty, the norm of a gradient) becomes one over each run of RUN numbers, and one over these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from backends.contract import RUN, Body, Instruction
from pipeline.graph.ir import Graph, Node, Type
from pipeline.ops.fused import fused_node

LEAST_ROWS = 2048
BLOCK = 1 << 14  # numbers of a block
MOST_BLOCKS = 64
MANY = 4 * RUN  # numbers that are summed in runs


def split(graph: Graph) -> tuple[Graph, tuple[str, ...]]:
    """`graph` with its tall column bodies and its long flat ones split."""
    nodes: list[Node] = []
    types = dict(graph.types)
    replaced = set(graph.updates.values())
    for number, node in enumerate(graph.nodes):
        if node.fused is not None and _long(node.fused.body):
            nodes += _runs(_named_apart(node.fused.body, number), types)
            continue
        if node.fused is None or not _tall(node.fused.body):
            nodes.append(node)
            continue
        parts = _Split(_named_apart(node.fused.body, number), types)
        # a state that is replaced and read again in the same body would have to be kept twice
        nodes += [node] if parts.needed & replaced else parts.nodes()
    count = len(nodes) - len(graph.nodes)
    return graph.replace(nodes=tuple(nodes), types=types), (
        f"{count} kernels more, so that sums over many rows or numbers are shared",
    ) if count else ()


def blocks_of(rows: int, columns: int, times: int = 1) -> int:
    """The blocks of a sum down columns; of `times` as many rows, those of a part as long as all the others.  1: it is not split."""
    rows *= times
    whole = min(MOST_BLOCKS, rows * columns // BLOCK) if rows >= LEAST_ROWS and rows * columns >= 2 * BLOCK else 1
    return whole // times if whole % times == 0 else 1


def _tall(body: Body) -> bool:
    return bool(body.reductions) and body.kind == "column" and _blocks(body) > 1


def _blocks(body: Body) -> int:
    return blocks_of(body.rows, body.columns, max(i.attributes.get("times", 1) for i in body.reductions))


def _long(body: Body) -> bool:
    return bool(body.reductions) and body.kind == "flat" and body.columns >= MANY


def _runs(body: Body, types: dict[str, Type]) -> list[Node]:
    """What a long flat body becomes: the sums of its runs with all that is full-size, then the sums of these with what follows."""
    blocks = -(-body.columns // RUN)
    partial = {i.name: f"{i.name}.runs{blocks}" for i in body.reductions}
    for i in body.reductions:
        types[partial[i.name]] = Type(i.dtype, (blocks,))
    wanted = [*partial, *(name for name in body.outputs if body.levels[name] == "full")]
    first = [replace(i, name=partial.get(i.name, i.name)) for i in body.chain(wanted)]
    scalars = tuple(name for name in body.outputs if body.levels[name] == "scalar")
    last = [replace(i, operands=(partial[i.name],)) if i.reduces else i for i in body.chain(scalars) if i.level == "scalar"]
    whole = _flat(last, body, scalars, columns=blocks)
    rest = _runs(_named_apart(whole, len(types)), types) if _long(whole) else [fused_node(whole, types)]
    outputs = tuple(partial.get(name, name) for name in wanted)
    return [fused_node(_flat(first, body, outputs, columns=body.columns, blocks=blocks), types), *rest]


def _flat(members: Sequence[Instruction], body: Body, outputs: tuple[str, ...], *, columns: int, blocks: int = 1) -> Body:
    """A body of some of the instructions of `body`, or of sums of its sums."""
    own = {i.name for i in members}
    inputs = tuple(dict.fromkeys(o for i in members for o in i.operands if o not in own))
    levels = tuple((name, body.levels.get(name, "full")) for name in inputs)
    return Body(kind="flat", rows=1, columns=columns, inputs=levels, instructions=tuple(members), outputs=outputs, blocks=blocks)


def _named_apart(body: Body, number: int) -> Body:
    """The body with its inner values renamed, as several bodies may make the same value for themselves."""
    return body.renamed({name: f"{name}@{number}" for name in body.made if name not in body.outputs})


class _Split:
    """The nodes that take the place of one body.

    needed  the values that sums and full-size results wait for
    """

    def __init__(self, body: Body, types: dict[str, Type]) -> None:
        self.body, self.types = body, types
        self.blocks = _blocks(body)
        self.stored: set[str] = set()  # columns that a small kernel has made
        self.rest = tuple(name for name in body.outputs if body.levels[name] != "column")
        self.needed = {o for i in body.chain([*self.rest, *(i.name for i in body.reductions)]) for o in i.operands}

    def nodes(self) -> list[Node]:
        """The kernels in order."""
        body = self.body
        result = self._columns(0, {})
        for stage in range(1, max(body.stages.values()) + 1):
            sums = [i for i in body.reductions if body.stages[i.name] == stage]
            partial = {i.name: f"{i.name}.blocks" for i in sums}
            for i in sums:
                self.types[partial[i.name]] = Type(i.dtype, (self.blocks, body.columns))
            members = [
                replace(i, name=partial[i.name], operands=i.operands[:1]) if i.name in partial else i
                for i in body.chain(partial, self.stored)
            ]
            result.append(self._node(members, tuple(partial.values()), rows=body.rows, blocks=self.blocks))
            result += self._columns(stage, partial)
        if self.rest:
            result.append(self._node(body.chain(self.rest, self.stored), self.rest, rows=body.rows))
        late = tuple(name for name in body.outputs if name not in self.stored and name not in self.rest)
        # what only leaves the body comes last, for it may replace a state that the others read
        return [*result, self._node(body.chain(late, self.stored), late, rows=1)] if late else result

    def _columns(self, stage: int, partial: dict[str, str]) -> list[Node]:
        """The small kernel of the columns that others wait for and that are ready after `stage`; `partial`: sums -> their blocks."""
        names = [
            i.name
            for i in self.body.instructions
            if i.level == "column" and self.body.stages[i.name] == stage
            if i.name in partial or (i.name in self.needed and i.op not in ("column_index", "spread"))
        ]
        if not names:
            return []
        members = [
            replace(i, operands=(partial[i.name], *i.operands[1:])) if i.name in partial else i
            for i in self.body.chain(names, self.stored | partial.keys())
        ]
        self.stored.update(names)
        for name in names:
            self.types.setdefault(name, Type(self.body.made[name].dtype, (self.body.columns,)))
        return [self._node(members, tuple(names), rows=self.blocks if partial else 1)]

    def _node(self, members: Sequence[Instruction], outputs: tuple[str, ...], *, rows: int, blocks: int = 1) -> Node:
        """A kernel over a grid of `rows` rows: all of the body's, one for each block, or one for columns alone."""
        own = {i.name for i in members}
        inputs = tuple(dict.fromkeys(o for i in members for o in i.operands if o not in own))
        levels = tuple((name, self.body.levels.get(name, "full")) for name in inputs)
        if rows == 1:
            levels = tuple((name, "full" if level == "column" else level) for name, level in levels)
            members = [replace(i, level="full") if i.level == "column" else i for i in members]
        body = Body(
            kind="flat" if rows == 1 else "column",
            rows=rows,
            columns=self.body.columns,
            blocks=blocks,
            inputs=levels,
            instructions=tuple(members),
            outputs=outputs,
        )
        return fused_node(body, self.types)
