"""RMSProp."""

from __future__ import annotations

from pipeline.graph.builder import Builder
from pipeline.optimizers.rule import LearningRate, Rule
from pipeline.records import record, setting
from pipeline.values import Value


@record
class RMSProp:
    """s <- decay * s + (1 - decay) * g^2;  p <- p - learning_rate * g / (sqrt(s) + epsilon)  (Tieleman & Hinton 2012, lecture 6.5)."""

    learning_rate: float = setting(1e-3, above=0)
    decay: float = setting(0.9, least=0, below=1)
    epsilon: float = setting(1e-8, above=0)


def _values(record: RMSProp, rate: LearningRate) -> dict[str, Value]:
    return {
        "optimizer.learning_rate": rate,
        "optimizer.decay": record.decay,
        "optimizer.one_minus_decay": 1.0 - record.decay,
        "optimizer.epsilon": record.epsilon,
    }


def _update(b: Builder, gradient: str, slots: dict[str, str]) -> tuple[str, dict[str, str]]:
    square = b.add("mul", b.add("mul", gradient, gradient), b.value("optimizer.one_minus_decay"))
    s = b.add("add", b.add("mul", slots["s"], b.value("optimizer.decay")), square, name="s")
    size = b.add("add", b.add("sqrt", s), b.value("optimizer.epsilon"))
    return b.add("div", b.add("mul", gradient, b.value("optimizer.learning_rate")), size, name="change"), {"s": s}


RULE = Rule(kind="rmsprop", slots=("s",), values=_values, update=_update)
