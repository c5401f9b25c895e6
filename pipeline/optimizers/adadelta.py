"""Adadelta."""

from __future__ import annotations

from pipeline.graph.builder import Builder
from pipeline.optimizers.mean_square import MeanSquare, mean_square, values
from pipeline.optimizers.rule import Rule
from pipeline.records import record, setting


@record
class Adadelta(MeanSquare):
    """s <- decay * s + (1 - decay) * g^2;  d = g * sqrt(u + epsilon) / sqrt(s + epsilon);  u <- decay * u + (1 - decay) * d^2

    p <- p - learning_rate * d  (Zeiler 2012, algorithm 1, where learning_rate is 1: d has the unit of p).
    """

    learning_rate: float = setting(1.0, above=0)
    decay: float = setting(0.95, least=0, below=1)
    epsilon: float = setting(1e-6, above=0)


def _update(b: Builder, gradient: str, slots: dict[str, str]) -> tuple[str, dict[str, str]]:
    epsilon = b.value("optimizer.epsilon")
    s = mean_square(b, slots["s"], gradient, "s")
    ratio = b.add("div", b.add("add", slots["u"], epsilon), b.add("add", s, epsilon))
    delta = b.add("mul", gradient, b.add("sqrt", ratio), name="delta")
    u = mean_square(b, slots["u"], delta, "u")
    return b.add("mul", delta, b.value("optimizer.learning_rate"), name="change"), {"s": s, "u": u}


RULE = Rule(kind="adadelta", slots=("s", "u"), values=values, update=_update)
