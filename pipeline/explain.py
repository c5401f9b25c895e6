"""A compiled program as text: layers, graphs, passes, memory, generated code."""

from __future__ import annotations

from pipeline.graph.text import print_graph
from pipeline.layers.graph import print_decay, print_layers
from pipeline.lower import Form
from pipeline.plan import print_plan
from pipeline.structure import Structure


def explain(structure: Structure) -> str:
    """Everything from the layers to the generated program, for training and for evaluation."""
    head = f"backend {structure.backend.name} ({structure.backend_reason}), {structure.precision}, structure {structure.digest}"
    parts = [head, _titled("layers", print_layers(structure.network))]
    if structure.bias_reasons:
        parts.append(_titled("layer pass bias", "\n".join(structure.bias_reasons)))
    if structure.fold_reasons:
        parts.append(_titled("layer pass fold, for evaluation", "\n".join(structure.fold_reasons)))
    parts.append(_titled("decay", print_decay(structure.network)))
    parts += _form(structure, "train", structure.batch_size)
    if structure.folds:
        parts += _form(structure, "fold", 1)
    parts += _form(structure, "evaluate", structure.evaluation_batch)
    return "\n\n".join(parts)


def _form(structure: Structure, form: Form, batch: int) -> list[str]:
    compiled = structure.compiled(form, batch)
    parts = [_titled(f"{form}: op graph, batch {batch}", print_graph(compiled.graph))]
    before = compiled.graph
    for report in compiled.reports:
        reasons = "\n".join(f"- {reason}" for reason in report.reasons) or "- nothing to do"
        changed = report.graph.nodes != before.nodes
        text = f"{reasons}\n\n{print_graph(report.graph)}" if changed else reasons
        title = f"{form}: after pass {report.name}, {len(before.nodes)} -> {len(report.graph.nodes)} nodes"
        parts.append(_titled(title, text))
        before = report.graph
    parts.append(_titled(f"{form}: plan", print_plan(compiled.plan)))
    parts.append(_titled(f"{form}: program", structure.executable(form, batch).source()))
    return parts


def _titled(title: str, text: str) -> str:
    return f"== {title} ==\n{text}"
