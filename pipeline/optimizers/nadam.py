"""NAdam."""

from __future__ import annotations

import numpy as np

from pipeline.graph.builder import Builder
from pipeline.graph.values import Array, Clock, Value
from pipeline.optimizers import adam
from pipeline.optimizers.rule import LearningRate, Optimizer, Rule
from pipeline.records import record, setting


@record
class NAdam(Optimizer):
    """Adam with Nesterov momentum (Dozat 2016, algorithm 2, m and v averaged with beta1 and beta2 as in Adam).

    mu_t = beta1 * (1 - 0.96^(t * momentum_decay) / 2);  P_t = mu_1 * ... * mu_t;  m and v as in Adam
    p <- p - learning_rate * ((1 - mu_t) / (1 - P_t) * g + mu_(t+1) / (1 - P_(t+1)) * m) / (sqrt(v / (1 - beta2^t)) + epsilon)
    """

    learning_rate: float = setting(2e-3, above=0)
    beta1: float = setting(0.9, least=0, below=1)
    beta2: float = setting(0.999, least=0, below=1)
    epsilon: float = setting(1e-8, above=0)
    momentum_decay: float = setting(0.004, least=0)


def _values(record: NAdam, rate: LearningRate) -> dict[str, Value]:
    def gradient_size(clock: Clock) -> Array:
        mu, product = _momentum(record, clock)
        t = clock.updates + 1
        return np.asarray(rate(clock) * (1.0 - mu[t]) / (1.0 - product[t]))

    def step_size(clock: Clock) -> Array:
        mu, product = _momentum(record, clock)
        t = clock.updates + 1
        return np.asarray(rate(clock) * mu[t + 1] / (1.0 - product[t + 1]))

    return {**adam.values(record, rate), "optimizer.gradient_size": gradient_size, "optimizer.step_size": step_size}


def _momentum(record: NAdam, clock: Clock) -> tuple[Array, Array]:
    """mu_t and P_t at place t, up to the largest t + 1 of the clock; place 0 holds no step, P_0 = 1."""
    t = np.arange(int(clock.updates.max(initial=0)) + 3, dtype=np.float64)
    mu = record.beta1 * (1.0 - 0.5 * 0.96 ** (t * record.momentum_decay))
    return mu, np.concatenate([[1.0], np.cumprod(mu[1:])])


def _update(b: Builder, gradient: str, slots: dict[str, str]) -> tuple[str, dict[str, str]]:
    m, v = adam.moments(b, gradient, slots)
    step = b.add("add", b.add("mul", gradient, b.value("optimizer.gradient_size")), b.add("mul", m, b.value("optimizer.step_size")))
    return b.add("div", step, adam.size(b, v), name="change"), {"m": m, "v": v}


RULE = Rule(kind="nadam", slots=("m", "v"), values=_values, update=_update)
