"""RMSProp."""

from __future__ import annotations

from pipeline.graph.builder import Builder
from pipeline.optimizers.mean_square import MeanSquare, mean_square, values
from pipeline.optimizers.rule import Rule
from pipeline.records import record, setting


@record
class RMSProp(MeanSquare):
    """s <- decay * s + (1 - decay) * g^2;  p <- p - learning_rate * g / (sqrt(s) + epsilon)  (Tieleman & Hinton 2012, lecture 6.5)."""

    learning_rate: float = setting(1e-3, above=0)
    decay: float = setting(0.9, least=0, below=1)
    epsilon: float = setting(1e-8, above=0)


def _update(b: Builder, gradient: str, slots: dict[str, str]) -> tuple[str, dict[str, str]]:
    s = mean_square(b, slots["s"], gradient, "s")
    size = b.add("add", b.add("sqrt", s), b.value("optimizer.epsilon"))
    return b.add("div", b.add("mul", gradient, b.value("optimizer.learning_rate")), size, name="change"), {"s": s}


RULE = Rule(kind="rmsprop", slots=("s",), values=values, update=_update)
