"""AdamW."""

from __future__ import annotations

from pipeline.graph.values import Value
from pipeline.optimizers import adam
from pipeline.optimizers.rule import LearningRate, Optimizer, Rule
from pipeline.records import record, setting


@record
class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2).

    p <- p - Adam's change - learning_rate * weight_decay * p for the weights; biases, gamma, beta and alpha are not decayed.
    The decay is multiplied by the whole learning rate, as frameworks do; the paper multiplies it by the schedule alone.
    """

    learning_rate: float = setting(1e-3, above=0)
    beta1: float = setting(0.9, least=0, below=1)
    beta2: float = setting(0.999, least=0, below=1)
    epsilon: float = setting(1e-8, above=0)
    weight_decay: float = setting(0.01, least=0)


def _values(record: AdamW, rate: LearningRate) -> dict[str, Value]:
    return {**adam.values(record, rate), "optimizer.weight_decay": lambda clock: rate(clock) * record.weight_decay}


RULE = Rule(kind="adamw", slots=("m", "v"), values=_values, update=adam.update, decay="optimizer.weight_decay")
