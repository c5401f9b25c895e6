"""The passes, in order: each maps a graph to a graph and says what it did and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backends.contract import Target
from pipeline.graph.ir import Graph
from pipeline.passes.decompose import decompose
from pipeline.passes.fuse import fuse
from pipeline.passes.fuse_products import join
from pipeline.passes.recompute import recompute
from pipeline.passes.simplify import fold, prune, share
from pipeline.passes.split_rows import split
from pipeline.passes.verify import verify

Rewriting = tuple[Graph, tuple[str, ...]]  # the graph after a pass, and what it did


@dataclass(frozen=True, kw_only=True)
class Pass:
    """A rewriting of graphs, run for the targets that `when` holds for."""

    name: str
    run: Callable[[Graph, Target], Rewriting]
    when: Callable[[Target], object] = lambda target: True


def _alike(run: Callable[[Graph], Rewriting]) -> Callable[[Graph, Target], Rewriting]:
    """A rewriting that is the same for every target."""
    return lambda graph, target: run(graph)


PASSES = (
    Pass(name="decompose", run=decompose),
    Pass(name="fold", run=_alike(fold)),
    Pass(name="share", run=_alike(share)),  # after decompose, for composites written out repeat work: 1 / sqrt(var + epsilon), say
    Pass(name="prune", run=_alike(prune)),
    Pass(name="fuse", run=_alike(fuse), when=lambda target: target.fuses),
    Pass(name="split", run=_alike(split), when=lambda target: target.fuses),
    Pass(name="join", run=join, when=lambda target: target.joins),
    Pass(name="recompute", run=_alike(recompute), when=lambda target: target.recomputes),
)


@dataclass(frozen=True, kw_only=True)
class PassReport:
    """What a pass did: its reasons, and the graph after it."""

    name: str
    reasons: tuple[str, ...]
    graph: Graph


def compile_passes(graph: Graph, target: Target) -> tuple[Graph, tuple[PassReport, ...]]:
    """`graph` made ready for `target` by every pass that holds for it, the verifier after each."""
    reports: list[PassReport] = []
    verify(graph)
    for step in PASSES:
        if step.when(target):
            graph, reasons = step.run(graph, target)
            verify(graph)
            reports.append(PassReport(name=step.name, reasons=reasons, graph=graph))
    return graph, tuple(reports)
