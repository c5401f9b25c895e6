"""Stochastic gradient descent."""

from __future__ import annotations

from pipeline.graph.builder import Builder
from pipeline.graph.values import Value
from pipeline.optimizers.rule import LearningRate, Optimizer, Rule
from pipeline.records import record, setting


@record
class SGD(Optimizer):
    """p <- p - learning_rate * g  (Robbins & Monro 1951)."""

    learning_rate: float = setting(0.1, above=0)


def _values(record: SGD, rate: LearningRate) -> dict[str, Value]:
    return {"optimizer.learning_rate": rate}


def _update(b: Builder, gradient: str, slots: dict[str, str]) -> tuple[str, dict[str, str]]:
    return b.add("mul", gradient, b.value("optimizer.learning_rate"), name="change"), {}


RULE = Rule(kind="sgd", slots=(), values=_values, update=_update)
