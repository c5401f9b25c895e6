"""A penalty of the weights that is written in the config."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.formula import emit
from pipeline.formula.declared import ALL, LAST, Formula, WithFormulas, check_names, check_used
from pipeline.graph.builder import Builder
from pipeline.graph.values import Value
from pipeline.records import Family, record, setting


@record
class FormulaPenalty(WithFormulas):
    """Adds to the loss the sum of `weight`, a formula of w, over the numbers of each weight; biases, gamma, beta and alpha have none.

    values   numbers of the formula by name, which a sweep may change
    """

    weight: str = setting()
    values: Mapping[str, float] = setting({})

    def formulas(self) -> tuple[Formula, ...]:
        """The one formula."""
        return (Formula(field="weight", text=self.weight, tensors=("w",), numbers=tuple(self.values), reduces=(ALL, LAST)),)

    def check(self) -> None:
        """Whether it has a slope.  Raises ConfigError."""
        (formula,) = self.formulas()
        check_names(self.values, ("w",), at="values")
        formula.check(self.values)
        check_used(self.values, (formula,), at="values")
        if not formula.slopes(("w",)):
            formula.refuse(formula.tree, "does not change with w, but in steps", "use w")
        emit.shape_of(formula, {"w": (2, 3)})


PENALTIES: Family[FormulaPenalty, None] = Family("penalty", {"formula": (FormulaPenalty, None)})


def term(b: Builder, penalty: FormulaPenalty, weight: str, prefix: str) -> str:
    """The sum over the weight [...] -> []."""
    (formula,) = penalty.formulas()
    made = emit.emit(b, formula, {"w": weight}, prefix)
    return b.add("sum", made, axes=tuple(range(len(b.shape(made)))), name="penalty") if b.shape(made) else made


def values(penalty: FormulaPenalty, prefix: str) -> dict[str, Value]:
    """The scalars that it reads for one weight."""
    (formula,) = penalty.formulas()
    return emit.values(formula, penalty.values, prefix)
