"""An optimizer that is written in the config."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.errors import ConfigError, nearest
from pipeline.formula import emit
from pipeline.formula.declared import ALL, LAST, Formula, WithFormulas, check_names, check_used, key
from pipeline.graph.builder import Builder
from pipeline.graph.values import Value
from pipeline.optimizers.rule import LearningRate, Optimizer, Rule
from pipeline.records import record, setting

STEP = "step"
CLOCK = ("learning_rate", "t")
ONE = "optimizer.one"


@record
class FormulaOptimizer(Optimizer, WithFormulas):
    """w <- w - step.

    slots    tensors that it keeps for each parameter, of the parameter's shape, 0 at first
    values   numbers of the formulas by name, which a sweep may change
    update   a formula for `step` and for each slot, made in the order in which they stand: one that stands below `m` sees the new m.
             They may name w, the gradient g, the slots, the values, learning_rate (with its schedule) and t, the number of the update
             from 1

    All parameters are updated alike; regularization.weight_decay decays the weights beside it.
    """

    learning_rate: float = setting(1e-3, above=0)
    slots: tuple[str, ...] = setting(())
    values: Mapping[str, float] = setting({})
    update: Mapping[str, str] = setting()

    def formulas(self) -> tuple[Formula, ...]:
        """That of each line of `update`."""
        tensors, numbers = ("w", "g", *self.slots), (*self.values, *CLOCK)
        return tuple(
            Formula(field=f"update.{name}", text=text, tensors=tensors, numbers=numbers, reduces=(ALL, LAST))
            for name, text in self.update.items()
        )

    def check(self) -> None:
        """Whether there is a step, and a formula for each slot and no more.  Raises ConfigError."""
        reserved = ("w", "g", STEP, *CLOCK)
        for at, names in (("slots", self.slots), ("values", self.values)):
            check_names(names, reserved, at=at)
        doubled = next((name for name in self.slots if name in self.values or self.slots.count(name) > 1), None)
        if doubled is not None:
            raise ConfigError(at="slots", got=doubled, rule="is declared twice", hint="give each name once")
        wanted = (STEP, *self.slots)
        for name, text in self.update.items():
            if name not in wanted:
                raise ConfigError(
                    at=f"update.{name}", got=text, rule=f"{name} is no slot", hint=f"{nearest(name, wanted)} or put it under slots"
                )
        for name in wanted:
            if name not in self.update:
                raise ConfigError(at=f"update.{name}", got="(missing)", rule="has no value", hint=f"give a formula for {name}")
        known: dict[str, str] = {}
        for formula in self.formulas():
            formula.check(self.values)
            twin = known.setdefault(key(formula.tree), formula.field)
            if twin != formula.field and f"update.{STEP}" not in (twin, formula.field):
                formula.refuse(formula.tree, f"is the formula of {twin}", "one slot is enough for both")
            emit.shape_of(formula, dict.fromkeys(formula.tensors, (2, 3)))
        check_used((*self.values, *self.slots), self.formulas(), at="values")
        if not any("learning_rate" in formula.names for formula in self.formulas()):
            step = next(formula for formula in self.formulas() if formula.field == f"update.{STEP}")
            hint = "write learning_rate * (...); its schedule would be ignored, and learning_rate=1 leaves the step as it is"
            step.refuse(step.tree, "does not use learning_rate", hint)


def rule(record: FormulaOptimizer) -> Rule:
    """The rule of one record: its slots are its own."""
    formulas = dict(zip(record.update, record.formulas(), strict=True))

    def values(record: FormulaOptimizer, rate: LearningRate) -> dict[str, Value]:
        numbers: dict[str, Value] = {**record.values, "learning_rate": rate, "t": lambda clock: clock.updates + 1.0}
        found: dict[str, Value] = {ONE: 1.0}
        for name, formula in formulas.items():
            found |= emit.values(formula, numbers, f"optimizer.{name}")
        return found

    def update(b: Builder, gradient: str, slots: dict[str, str]) -> tuple[str, dict[str, str]]:
        tensors = {**slots, "g": gradient}
        made: dict[str, str] = {}
        for name, formula in formulas.items():
            value = emit.emit(b, formula, tensors, f"optimizer.{name}")
            if name != STEP and value in tensors.values():  # a slot that remembers another tensor needs numbers of its own
                value = b.add("mul", value, b.value(ONE))
            made[name] = emit.spread_to(b, value, b.shape(gradient))
            tensors |= {name: made[name]} if name != STEP else {}
        return made.pop(STEP), made

    return Rule(kind="formula", slots=record.slots, values=values, update=update, weight="w")
