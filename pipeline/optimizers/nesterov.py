"""Nesterov's accelerated gradient."""

from __future__ import annotations

from pipeline.graph.builder import Builder
from pipeline.graph.values import Value
from pipeline.optimizers.rule import LearningRate, Optimizer, Rule
from pipeline.records import record, setting


@record
class Nesterov(Optimizer):
    """v <- momentum * v + g;  p <- p - learning_rate * (g + momentum * v)  (Nesterov 1983).

    In the form of Bengio, Boulanger-Lewandowski & Pascanu 2013, eq. 7: p is the point looked ahead to, where the gradient is taken.
    """

    learning_rate: float = setting(0.01, above=0)
    momentum: float = setting(0.9, least=0, below=1)


def _values(record: Nesterov, rate: LearningRate) -> dict[str, Value]:
    return {"optimizer.learning_rate": rate, "optimizer.momentum": record.momentum}


def _update(b: Builder, gradient: str, slots: dict[str, str]) -> tuple[str, dict[str, str]]:
    momentum = b.value("optimizer.momentum")
    v = b.add("add", b.add("mul", slots["v"], momentum), gradient, name="v")
    ahead = b.add("add", gradient, b.add("mul", v, momentum), name="ahead")
    return b.add("mul", ahead, b.value("optimizer.learning_rate"), name="change"), {"v": v}


RULE = Rule(kind="nesterov", slots=("v",), values=_values, update=_update)
