"""The passes, in order: each maps a graph to a graph and says what it did and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.graph.ir import Graph
from pipeline.passes.decompose import decompose
from pipeline.passes.fuse import fuse
from pipeline.passes.fuse_products import join
from pipeline.passes.recompute import recompute
from pipeline.passes.simplify import fold, prune, share
from pipeline.passes.split_rows import cut_tall
from pipeline.passes.verify import verify

Pass = Callable[[Graph], tuple[Graph, tuple[str, ...]]]

# share runs again after decompose because writing composites out repeats work (1 / sqrt(var + epsilon), say)
PASSES: tuple[tuple[str, Pass], ...] = (("fold", fold), ("share", share), ("prune", prune))


@dataclass(frozen=True, kw_only=True)
class PassReport:
    """What a pass did: its reasons, and the graph after it."""

    name: str
    reasons: tuple[str, ...]
    graph: Graph


def compile_passes(
    graph: Graph, *, keeps: frozenset[str], fuses: bool, joins: frozenset[str] = frozenset(), recomputes: bool = False
) -> tuple[Graph, tuple[PassReport, ...]]:
    """Runs every pass, the verifier after each.

    keeps: composites that the backend has kernels for; fuses: whether element-wise chains become single kernels;
    joins: the products that may go on in such a kernel; recomputes: whether the backward half makes cheap values again.
    """
    ordered: list[tuple[str, Pass]] = [("decompose", lambda g: decompose(g, keeps)), *PASSES]
    if fuses:
        ordered += [("fuse", fuse), ("cut", cut_tall)]
    if joins:
        ordered.append(("join", lambda g: join(g, joins)))
    if recomputes:
        ordered.append(("recompute", recompute))
    reports: list[PassReport] = []
    verify(graph)
    for name, run in ordered:
        graph, reasons = run(graph)
        verify(graph)
        reports.append(PassReport(name=name, reasons=reasons, graph=graph))
    return graph, tuple(reports)
