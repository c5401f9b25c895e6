"""A compiled program as text: layers, expected variances, what the passes did, memory; on demand graphs, plan and generated code."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from backends.contract import ITEM_BYTES
from pipeline.compiler.lower import Form
from pipeline.compiler.structure import Structure
from pipeline.config.experiment import Experiment
from pipeline.config.spec import own_kinds
from pipeline.config.task_settings import SHORT, Explain, Part, chosen
from pipeline.extend.declared import KINDS
from pipeline.extend.load import described as version_of
from pipeline.graph.text import print_graph
from pipeline.layers.graph import print_decay, print_layers
from pipeline.plan import print_memory, print_plan
from pipeline.program.formulas import print_formulas
from pipeline.program.variance import print_predicted
from pipeline.recipe.averaging import averages, described
from pipeline.records import read
from pipeline.screen.page import Lines


def explain(structure: Structure, config: Experiment, parts: Sequence[str]) -> Lines:
    """The parts that are asked for, for training and for evaluation, of the structure of `config`.  Raises ConfigError for another."""
    asked = chosen(read(Explain, {"parts": list(parts)}, at="explain").parts)
    text = [f"backend {structure.backend.name} ({structure.backend_reason}), {structure.precision}, structure {structure.digest}"]
    if "layers" in asked:
        text += _layers(structure, config)
        text += [_titled("extensions", "\n".join(of_extensions))] if (of_extensions := list(_extensions(config))) else []
    if "formulas" in asked and (formulas := print_formulas(structure, config)):
        text.append(_titled("formulas", formulas))
    if "decay" in asked:
        text.append(_titled("decay", print_decay(structure.network)))
    if "variance" in asked:
        text.append(_titled("variance", print_predicted(structure.network, config.seed)))
    for part, overview in _OVERVIEWS.items():
        if part in asked:
            lines = [overview(structure, *form) for form in _forms(structure)]
            text.append(_titled(part, "\n".join([*lines, _peak(structure)] if part == "memory" else lines)))
    for form, batch in _forms(structure):
        for part, listing in _LISTINGS.items():
            if part in asked:
                text += listing(structure, form, batch)
    if asked == SHORT:
        text.append("the whole graphs, plan and program: explain.parts=[graphs,plan,program], or [all]")
    return Lines("\n\n".join(text))


def _extensions(config: Experiment) -> Iterator[str]:
    """A line for each kind of the config that an extension declares."""
    for kind in dict.fromkeys((kind.family, kind.kind) for kind in own_kinds(config)):
        found = KINDS[kind]
        yield f"{found.family} {found.kind}, of {version_of(found.extension)}: {found.text}"


def _forms(structure: Structure) -> Iterator[tuple[Form, int]]:
    yield from structure.training
    if structure.folds:
        yield "fold", 1
    yield "evaluate", structure.evaluation_batch


def _layers(structure: Structure, config: Experiment) -> list[str]:
    text = [_titled("layers", print_layers(structure.network))]
    if structure.accumulation:
        text.append(_titled("accumulation", structure.accumulation))
    if averages(config.averaging):
        text.append(_titled("averaging", described(config.averaging)))
    if structure.bias_reasons:
        text.append(_titled("layer pass bias", "\n".join(structure.bias_reasons)))
    if structure.fold_reasons:
        text.append(_titled("layer pass fold, for evaluation", "\n".join(structure.fold_reasons)))
    return text


def _compilation(structure: Structure, form: Form, batch: int) -> str:
    """The way from nodes to calls, with the reasons of each pass that did something."""
    compiled = structure.compiled(form, batch)
    plan = compiled.plan
    lines = [f"{form}, batch {batch}: {len(compiled.graph.nodes)} nodes -> {len(plan.calls)} calls in {plan.phases} phases"]
    before = compiled.graph
    for report in compiled.reports:
        if report.reasons or len(report.graph.nodes) != len(before.nodes):
            why = "; ".join(report.reasons) or "equal literals made one"
            lines.append(f"  {report.name:<9} {len(before.nodes):>4} -> {len(report.graph.nodes):>4} nodes: {why}")
        before = report.graph
    return "\n".join(lines)


def _memory(structure: Structure, form: Form, batch: int) -> str:
    return f"{form + ',':<9} batch {batch:>4}: {print_memory(structure.compiled(form, batch).plan)}"


def _peak(structure: Structure) -> str:
    """What a training with its evaluations takes at once: they share one room for the values of a step."""
    peak = structure.peak()
    if peak is None:
        return f"peak:     not planned: the {structure.backend.name} backend makes arrays as it goes"
    numbers = math.prod(structure.network.input_shape)
    row = f"{numbers * ITEM_BYTES[structure.precision]:,} bytes a row ({numbers:,} where they are stored as bytes)"
    return f"peak:     {peak:,} bytes in training and evaluation; beside it the data: {row}"


def _graphs(structure: Structure, form: Form, batch: int) -> list[str]:
    compiled = structure.compiled(form, batch)
    text = [_titled(f"{form}: op graph, batch {batch}", print_graph(compiled.graph))]
    before = compiled.graph
    for report in compiled.reports:
        reasons = "\n".join(f"- {reason}" for reason in report.reasons) or "- nothing to do"
        changed = report.graph.nodes != before.nodes
        body = f"{reasons}\n\n{print_graph(report.graph)}" if changed else reasons
        title = f"{form}: after pass {report.name}, {len(before.nodes)} -> {len(report.graph.nodes)} nodes"
        text.append(_titled(title, body))
        before = report.graph
    return text


def _plan(structure: Structure, form: Form, batch: int) -> list[str]:
    return [_titled(f"{form}: plan", print_plan(structure.compiled(form, batch).plan))]


def _program(structure: Structure, form: Form, batch: int) -> list[str]:
    return [_titled(f"{form}: program", structure.executable(form, batch).source())]


def _titled(title: str, text: str) -> str:
    return f"== {title} ==\n{text}"


_OVERVIEWS: dict[Part, Callable[[Structure, Form, int], str]] = {"compilation": _compilation, "memory": _memory}
_LISTINGS: dict[Part, Callable[[Structure, Form, int], list[str]]] = {"graphs": _graphs, "plan": _plan, "program": _program}
