"""An activation that is written in the config."""

# N batch, C channels
from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pipeline.errors import ConfigError
from pipeline.formula import emit
from pipeline.formula.declared import LAST, Formula, WithFormulas, check_names, check_used
from pipeline.graph.builder import Builder
from pipeline.graph.values import Value
from pipeline.layers.graph import LayerNode, Parameter
from pipeline.layers.kind import LayerKind, Shape
from pipeline.layers.part import Activation
from pipeline.records import record, setting


@record
class Learned:
    """A number that is trained, not decayed: one for each channel [C], or one for the layer [1]; all begin with `start`."""

    per: Literal["channel", "layer"] = setting("channel")
    start: float = setting(1.0)


@record
class FormulaActivation(Activation, WithFormulas):
    """y = forward, a formula of x [N, ..., C]; reductions run over the channels, axis=-1, as rows do not see each other.

    values   numbers of the formula by name, which a sweep may change
    learned  numbers of the formula that are trained
    """

    forward: str = setting()
    values: Mapping[str, float] = setting({})
    learned: Mapping[str, Learned] = setting({})

    def formulas(self) -> tuple[Formula, ...]:
        """The one formula."""
        return (Formula(field="forward", text=self.forward, tensors=("x", *self.learned), numbers=tuple(self.values), reduces=(LAST,)),)

    def check(self) -> None:
        """Whether it gives a number for each of x, and has a slope.  Raises ConfigError."""
        (formula,) = self.formulas()
        for at, names in (("values", self.values), ("learned", self.learned)):
            check_names(names, ("x",), at=at)
        if both := sorted(set(self.values) & set(self.learned)):
            raise ConfigError(at="learned", got=both[0], rule="stands under values too", hint="give it once")
        formula.check(self.values)
        for at, names in (("values", self.values), ("learned", self.learned)):
            check_used(names, (formula,), at=at)
        for name in ("x", *self.learned):
            if not formula.slopes((name,)):
                formula.refuse(
                    formula.tree, f"does not change with {name}, but in steps", f"what cannot learn from its slope is no use: use {name}"
                )
        shapes = {name: (3,) if learned.per == "channel" else (1,) for name, learned in self.learned.items()}
        if emit.shape_of(formula, {"x": (2, 3), **shapes}) != (2, 3):
            formula.refuse(formula.tree, "gives one number a row", "an activation gives as many numbers as x has")


def _parameters(record: FormulaActivation, name: str, shapes: tuple[Shape, ...]) -> tuple[Parameter, ...]:
    """What is learned, each [C] or [1]."""
    return tuple(
        Parameter(name=f"{name}.{key}", shape=(1,) if learned.per == "layer" else shapes[0][-1:], initial=learned.start)
        for key, learned in record.learned.items()
    )


def _values(node: LayerNode) -> dict[str, Value]:
    assert isinstance(node.record, FormulaActivation)
    (formula,) = node.record.formulas()
    return emit.values(formula, node.record.values, node.name)


def _lower(b: Builder, node: LayerNode, inputs: tuple[str, ...], *, training: bool) -> str:
    assert isinstance(node.record, FormulaActivation)
    (formula,) = node.record.formulas()
    learned = {key: b.input(p.name, p.shape, "state") for key, p in zip(node.record.learned, node.parameters, strict=True)}
    return emit.emit(b, formula, {"x": inputs[0], **learned}, node.name)


FORMULA = LayerKind(prefix="formula", parameters=_parameters, values=_values, lower=_lower)
