"""Gradient descent with momentum, in both conventions."""

from __future__ import annotations

from typing import Literal

from pipeline.graph.builder import Builder
from pipeline.graph.values import Value
from pipeline.optimizers.rule import LearningRate, Optimizer, Rule
from pipeline.records import record, setting


@record
class Momentum(Optimizer):
    """classic: v <- momentum * v + g;  ema: v <- momentum * v + (1 - momentum) * g;  then p <- p - learning_rate * v.

    classic is Polyak 1964 as in Sutskever et al. 2013; ema is the exponentially weighted average of the course notes.
    """

    learning_rate: float = setting(0.01, above=0)
    momentum: float = setting(0.9, least=0, below=1)
    convention: Literal["classic", "ema"] = setting("classic")


def _values(record: Momentum, rate: LearningRate) -> dict[str, Value]:
    share = 1.0 if record.convention == "classic" else 1.0 - record.momentum
    return {"optimizer.learning_rate": rate, "optimizer.momentum": record.momentum, "optimizer.gradient_share": share}


def _update(b: Builder, gradient: str, slots: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Both conventions are one structure: the share of the gradient is 1 or 1 - momentum."""
    kept = b.add("mul", slots["v"], b.value("optimizer.momentum"))
    v = b.add("add", kept, b.add("mul", gradient, b.value("optimizer.gradient_share")), name="v")
    return b.add("mul", v, b.value("optimizer.learning_rate"), name="change"), {"v": v}


RULE = Rule(kind="momentum", slots=("v",), values=_values, update=_update)
