"""The formulas of a compiled network as text: what each says, its derivative by the rules of the ops, and the kernels that it runs in."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from pipeline.compiler.autodiff import gradients
from pipeline.compiler.structure import Structure
from pipeline.config.experiment import Experiment
from pipeline.config.spec import declared_formulas
from pipeline.formula.declared import Formula
from pipeline.formula.emit import emit
from pipeline.graph.builder import Builder
from pipeline.graph.ir import Graph, Node
from pipeline.layers.formula import FormulaActivation
from pipeline.ops import SHAPE_RULES
from pipeline.passes.simplify import fold, prune, share

COLUMNS = 7  # of the tensors that a derivative is taken over; 1 / 7 stands for 1 / n in it
SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "greater": ">", "less": "<", "equal": "=="}
SEEN_THROUGH = ("cast", "spread", "reshape")


def print_formulas(structure: Structure, config: Experiment) -> str:
    """Each formula of the config, with its derivatives and its kernels; empty where there is none."""
    lines: list[str] = []
    for at, record in declared_formulas(config):
        for formula in record.formulas():
            lines.append(f"{at}.{formula.field} = {formula.text}")
            if at.startswith("optimizer"):
                continue
            lines += [f"  by {name}: {written}" for name in formula.tensors if name != "target" and (written := derivative(formula, name))]
        lines += [f"  {line}" for line in _places(structure, at, record)]
    return "\n".join(lines)


def derivative(formula: Formula, name: str) -> str:
    """The derivative of the formula's value by the tensor `name`, place by place; empty where it has none."""
    if name not in formula.names or not formula.slopes((name,)):
        return ""
    b = Builder("float64", SHAPE_RULES)
    tensors = {tensor: b.input(tensor, (COLUMNS,), "state") for tensor in formula.tensors}
    value = emit(b, formula, tensors, "")
    total = b.add("sum", value, axes=(0,)) if b.shape(value) else value
    b.outputs = {"derivative": gradients(b, total, [name])[name]}
    graph = b.graph()
    for simpler in (fold, share, prune):
        graph, _ = simpler(graph)
    numbers = {f".{part}": ast.unparse(node) for part, node in formula.parts.values()}
    return _Written(graph, numbers).text(graph.outputs["derivative"])


class _Written:
    """A graph as an expression; what is long and used twice is written once, as s1, s2, ..."""

    def __init__(self, graph: Graph, numbers: dict[str, str]) -> None:
        self.graph, self.numbers = graph, numbers
        self.uses = Counter(graph.resolve(name) for node in graph.nodes for name in node.inputs)
        self.named: dict[str, str] = {}
        self.shared: list[str] = []

    def text(self, name: str) -> str:
        """The expression of the value `name`, with the shared ones behind it."""
        whole = _bare(self._of(name))
        return ", ".join([whole, *self.shared])

    def _of(self, name: str) -> str:
        if name in self.named:
            return self.named[name]
        node = self.graph.producers.get(name)
        if node is None:
            written = self.numbers.get(name, name)
            return f"({written})" if " " in written else written
        if node.op in SEEN_THROUGH:
            return self._of(node.inputs[0])
        written = self._written(node)
        if self.uses[name] > 1 and len(written) > 12:
            self.named[name] = f"s{len(self.named) + 1}"
            self.shared.append(f"{self.named[name]} = {_bare(written)}")
            return self.named[name]
        return written

    def _written(self, node: Node) -> str:
        if node.op == "constant":
            value = node.attributes["value"]
            return "1/n" if value == 1.0 / COLUMNS else f"{value + 0.0:g}"
        operands = [self._of(name) for name in node.inputs]
        if node.op == "mul" and "1" in operands:
            return operands[1 - operands.index("1")]
        if node.op in SIGNS:
            return f"({operands[0]} {SIGNS[node.op]} {operands[1]})"
        return f"-{operands[0]}" if node.op == "neg" else f"{node.op}({', '.join(operands)})"


def _bare(written: str) -> str:
    """Without the brackets around the whole."""
    return written[1:-1] if written.startswith("(") and written.endswith(")") else written


def _places(structure: Structure, at: str, record: object) -> Iterator[str]:
    """The kernels of a training step that hold what a formula became."""
    if at.startswith(("schedule", "initialization")) or ".initialization" in at:
        yield "computed on the host, in float64"
        return
    if isinstance(record, FormulaActivation):
        scopes = [node.name for node in structure.network.nodes if node.record == record]
    else:
        scopes = ["update"] if at.startswith("optimizer") else ["loss"]
    calls = [call for form in structure.training for call in structure.compiled(*form).plan.calls]
    for scope in scopes:
        for way, prefix in (("forward", f"{scope}/"), ("backward", f"gradient/{scope}/")):
            found = [call for call in calls if call.body and any(i.name.startswith(prefix) for i in call.body.instructions)]
            kernels = [
                f"{call.name} ({len(call.body.instructions)} ops{f' after {call.product.op}' if call.product else ''})"
                for call in found
                if call.body
            ]
            if kernels:
                few = ", ".join(kernels[:3]) + (f" and {len(kernels) - 3} more" if len(kernels) > 3 else "")
                yield f"{scope}{'' if scope == 'update' else f' {way}'}: fused in {few}"
