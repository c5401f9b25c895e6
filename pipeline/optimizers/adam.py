"""Adam."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.graph.builder import Builder
from pipeline.graph.values import Array, Clock, Value
from pipeline.optimizers.rule import LearningRate, Optimizer, Rule
from pipeline.records import record, setting


@record
class Adam(Optimizer):
    """Adaptive moments with bias correction (Kingma & Ba 2015, algorithm 1).

    m <- beta1 * m + (1 - beta1) * g;  v <- beta2 * v + (1 - beta2) * g^2
    p <- p - learning_rate * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
    """

    learning_rate: float = setting(1e-3, above=0)
    beta1: float = setting(0.9, least=0, below=1)
    beta2: float = setting(0.999, least=0, below=1)
    epsilon: float = setting(1e-8, above=0)


def values(record: Any, rate: LearningRate) -> dict[str, Value]:
    """The scalars of Adam and its kin.

    The bias corrections are made here in float64: 1 - beta2^t in float32 would keep four digits at t = 1.
    """
    return {
        "optimizer.beta1": record.beta1,
        "optimizer.one_minus_beta1": 1.0 - record.beta1,
        "optimizer.beta2": record.beta2,
        "optimizer.one_minus_beta2": 1.0 - record.beta2,
        "optimizer.step_size": lambda clock: rate(clock) / _one_minus_power(record.beta1, clock),
        "optimizer.second_correction": lambda clock: 1.0 / _one_minus_power(record.beta2, clock),
        "optimizer.epsilon": record.epsilon,
    }


def _one_minus_power(beta: float, clock: Clock) -> Array:
    """1 - beta^t at t = step + 1, counted since the slots were 0."""
    return np.asarray(1.0 - np.power(beta, clock.updates + 1.0))


def moments(b: Builder, gradient: str, slots: dict[str, str]) -> tuple[str, str]:
    """The new m and v."""
    first = b.add("mul", gradient, b.value("optimizer.one_minus_beta1"))
    m = b.add("add", b.add("mul", slots["m"], b.value("optimizer.beta1")), first, name="m")
    second = b.add("mul", b.add("mul", gradient, gradient), b.value("optimizer.one_minus_beta2"))
    return m, b.add("add", b.add("mul", slots["v"], b.value("optimizer.beta2")), second, name="v")


def root(b: Builder, v: str) -> str:
    """sqrt(v / (1 - beta2^t))."""
    return b.add("sqrt", b.add("mul", v, b.value("optimizer.second_correction")))


def size(b: Builder, v: str) -> str:
    """sqrt(v / (1 - beta2^t)) + epsilon."""
    return b.add("add", root(b, v), b.value("optimizer.epsilon"))


def change(b: Builder, m: str, v: str) -> str:
    """learning_rate * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)."""
    below = root(b, v)  # before the step: the order of the nodes is part of the digest of the structure
    step = b.add("mul", m, b.value("optimizer.step_size"))
    return b.add("div", step, b.add("add", below, b.value("optimizer.epsilon")), name="change")


def update(b: Builder, gradient: str, slots: dict[str, str]) -> tuple[str, dict[str, str]]:
    """One step of Adam."""
    m, v = moments(b, gradient, slots)
    return change(b, m, v), {"m": m, "v": v}


RULE = Rule(kind="adam", slots=("m", "v"), values=values, update=update)
