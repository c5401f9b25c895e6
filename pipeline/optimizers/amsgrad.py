"""AMSGrad."""

from __future__ import annotations

from pipeline.graph.builder import Builder
from pipeline.graph.values import Value
from pipeline.optimizers import adam
from pipeline.optimizers.rule import LearningRate, Optimizer, Rule
from pipeline.records import record, setting


@record
class AMSGrad(Optimizer):
    """Adam whose second moment never falls (Reddi, Kale & Kumar 2018, algorithm 2).

    m and v as in Adam;  top <- max(top, v);  p <- p - learning_rate * (m / (1 - beta1^t)) / (sqrt(top / (1 - beta2^t)) + epsilon)

    bias_correction  false leaves both divisors 1 - beta^t out, as the paper does
    """

    learning_rate: float = setting(1e-3, above=0)
    beta1: float = setting(0.9, least=0, below=1)
    beta2: float = setting(0.999, least=0, below=1)
    epsilon: float = setting(1e-8, above=0)
    bias_correction: bool = setting(True)


def _values(record: AMSGrad, rate: LearningRate) -> dict[str, Value]:
    plain: dict[str, Value] = {"optimizer.step_size": rate, "optimizer.second_correction": 1.0}
    return {**adam.values(record, rate), **({} if record.bias_correction else plain)}


def _update(b: Builder, gradient: str, slots: dict[str, str]) -> tuple[str, dict[str, str]]:
    m, v = adam.moments(b, gradient, slots)
    top = b.add("maximum", slots["top"], v, name="top")
    return adam.change(b, m, top), {"m": m, "v": v, "top": top}


RULE = Rule(kind="amsgrad", slots=("m", "v", "top"), values=_values, update=_update)
