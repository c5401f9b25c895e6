"""The decaying mean of squares, by whose root RMSProp and Adadelta divide."""

from __future__ import annotations

from pipeline.graph.builder import Builder
from pipeline.graph.values import Value
from pipeline.optimizers.rule import LearningRate, Optimizer
from pipeline.records import record, setting


@record
class MeanSquare(Optimizer):
    """decay: the share of the mean that a step keeps.  epsilon: beside the root, so that nothing is divided by 0."""

    decay: float = setting(least=0, below=1)
    epsilon: float = setting(above=0)


def values(record: MeanSquare, rate: LearningRate) -> dict[str, Value]:
    """The scalars that both read."""
    return {
        "optimizer.learning_rate": rate,
        "optimizer.decay": record.decay,
        "optimizer.one_minus_decay": 1.0 - record.decay,
        "optimizer.epsilon": record.epsilon,
    }


def mean_square(b: Builder, old: str, new: str, name: str) -> str:
    """decay * old + (1 - decay) * new^2."""
    square = b.add("mul", b.add("mul", new, new), b.value("optimizer.one_minus_decay"))
    return b.add("add", b.add("mul", old, b.value("optimizer.decay")), square, name=name)
