"""Domains of fused kernels: every value of a group is seen on one grid of rows x columns."""

# R rows, C columns
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from backends.contract import Level
from pipeline.graph.ir import Graph, Node, Type
from pipeline.ops import OPS
from pipeline.ops.table import Op

Reduction = Literal["flat", "column", "row"]
REDUCED: Mapping[Reduction, Level] = {"column": "column", "row": "row", "flat": "scalar"}  # what such a sum makes of a full-size value


@dataclass(frozen=True, slots=True)
class Domain:
    """A grid of R x C.  `reduces` is the direction of its reductions, once one is known: column sums run over rows."""

    rows: int
    columns: int
    reduces: Reduction | None = None

    def count(self, level: Level) -> int:
        """Elements of a tensor of `level`."""
        return (self.rows if level in ("full", "row") else 1) * (self.columns if level in ("full", "column") else 1)

    def level(self, shape: tuple[int, ...]) -> Level | None:
        """How a tensor of `shape` lies on the grid, or None when it does not."""
        count = math.prod(shape)
        if shape == () or (count == 1 and self.rows * self.columns > 1):
            return "scalar"
        if self.reduces == "column" and shape == (self.columns,):
            return "column"
        if count == self.rows * self.columns and (self.rows == 1 or shape[-1] == self.columns):
            return "full"
        if count == self.columns and shape[-1] == self.columns:
            return "column"
        if count == self.rows and (len(shape) == 1 or shape[-1] == 1):
            return "row"
        return None


def levels(domain: Domain, nodes: Sequence[Node], graph: Graph) -> dict[str, Level] | None:
    """The level of every value that `nodes` of `graph` read or make (views resolved), or None when one does not lie on the grid.

    Shapes decide for what comes from outside; inside, a result spans what its operands span, which holds on degenerate grids too.
    """
    known: dict[str, Level] = {}
    views, types, one_line = graph.views, graph.types, domain.rows == 1 or domain.columns == 1
    for node in nodes:
        operands: list[Level] = []
        for name in node.inputs:
            owner = views.get(name, name)
            level = known.get(owner) or domain.level(types[name].shape)
            if level is None:
                return None
            known[owner] = level
            operands.append(level)
        result = node.outputs[0]
        shape = types[result].shape
        made = _result_level(domain, OPS[node.op], operands, shape)
        if made is None or math.prod(shape) != domain.count(made):
            return None
        if made == "full" and not one_line and not _broadcasts_alike(domain, node, operands, types):
            return None
        known[result] = made
    return known


def _broadcasts_alike(domain: Domain, node: Node, operands: list[Level], types: Mapping[str, Type]) -> bool:
    """Whether the node's own shapes broadcast its thin operands over the grid, of several rows and columns, to a full-size result.

    A value may be seen with another last axis than the grid's: [8, 4] numbers as [4, 8], where what has 8 numbers is a column, not a row.
    """
    last = {"row": 1, "column": domain.columns}
    thin = [types[name].shape[-1] == last[level] for name, level in zip(node.inputs, operands, strict=True) if level in last]
    return not thin or (all(thin) and types[node.outputs[0]].shape[-1] == domain.columns)


def _result_level(domain: Domain, op: Op, operands: list[Level], shape: tuple[int, ...]) -> Level | None:
    """The level of a result of `shape`, made by `op` of operands of such levels."""
    if op.kind == "reduction":
        return REDUCED[domain.reduces] if domain.reduces else None
    if op.sized or not operands:
        return domain.level(shape)
    spans = set(operands)
    if len(spans) > 1:
        spans.discard("scalar")
    return spans.pop() if len(spans) == 1 else "full"


def elementwise_domain(shape: tuple[int, ...], operands: list[tuple[int, ...]]) -> Domain:
    """The grid of an element-wise result: flat when every operand has the full shape or is a scalar, else split at the last axis."""
    count = math.prod(shape)
    if len(shape) < 2 or all(math.prod(s) in (1, count) for s in operands):
        return Domain(1, count)
    return Domain(count // shape[-1], shape[-1])


def reduction_domain(shape: tuple[int, ...], axes: tuple[int, ...]) -> Domain | None:
    """The grid of a reduction of `shape` over `axes`, or None when it runs in neither direction."""
    count, last = math.prod(shape), len(shape) - 1
    if len(axes) == len(shape):
        return Domain(1, count, "flat")
    if axes == (last,):
        return Domain(count // shape[-1], shape[-1], "row")
    # an axis of one place may be summed or not: the bias of a batch of one image, [1, H, W, C], is summed over H and W alone
    summed = {*axes, *(axis for axis in range(last) if shape[axis] == 1)}
    if summed == set(range(last)):
        return Domain(count // shape[-1], shape[-1], "column")
    if summed == set(range(last + 1)):
        return Domain(1, count, "flat")
    return None


def refined(have: Domain, wanted: Domain) -> Domain | None:
    """The grid that serves both, or None.  A flat grid without reductions may be split into rows and columns later."""
    if have.rows * have.columns != wanted.rows * wanted.columns:
        return None
    if have.reduces and wanted.reduces and have.reduces != wanted.reduces:
        return None
    reduces = have.reduces or wanted.reduces
    if (have.rows, have.columns) == (wanted.rows, wanted.columns):
        return Domain(have.rows, have.columns, reduces)
    if have.rows == 1 and have.reduces is None:
        return wanted
    if wanted.rows == 1 and wanted.reduces is None:
        return Domain(have.rows, have.columns, reduces)
    return None
