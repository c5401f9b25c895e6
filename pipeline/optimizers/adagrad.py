"""Adagrad."""

from __future__ import annotations

from pipeline.graph.builder import Builder
from pipeline.graph.values import Value
from pipeline.optimizers.rule import LearningRate, Optimizer, Rule
from pipeline.records import record, setting


@record
class Adagrad(Optimizer):
    """s <- s + g^2;  p <- p - learning_rate * g / (sqrt(s) + epsilon)  (Duchi, Hazan & Singer 2011, diagonal form)."""

    learning_rate: float = setting(0.01, above=0)
    epsilon: float = setting(1e-10, above=0)


def _values(record: Adagrad, rate: LearningRate) -> dict[str, Value]:
    return {"optimizer.learning_rate": rate, "optimizer.epsilon": record.epsilon}


def _update(b: Builder, gradient: str, slots: dict[str, str]) -> tuple[str, dict[str, str]]:
    s = b.add("add", slots["s"], b.add("mul", gradient, gradient), name="s")
    size = b.add("add", b.add("sqrt", s), b.value("optimizer.epsilon"))
    return b.add("div", b.add("mul", gradient, b.value("optimizer.learning_rate")), size, name="change"), {"s": s}


RULE = Rule(kind="adagrad", slots=("s",), values=_values, update=_update)
