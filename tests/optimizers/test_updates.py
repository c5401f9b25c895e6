"""The optimizers against their formulas, step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.graph.values import Array
from pipeline.optimizers import OPTIMIZERS
from pipeline.optimizers.rule import Rule
from pipeline.program.program import Program
from pipeline.recipe import schedules
from pipeline.recipe.course import Course
from tests.program.configs import data, order, program

X, Y = data()


def parameter_and_gradients(made: Program, steps: int) -> tuple[list[Array], list[Array]]:
    """fc1.weight before each step and after the last, and its gradient at each step."""
    weights, gradients = [made.parameters()["fc1.weight"]], []
    for rows in order(steps):
        gradients.append(made.gradients(X[rows], Y[rows])["fc1.weight"])
        made.step(X[rows], Y[rows])
        weights.append(made.parameters()["fc1.weight"])
    return weights, gradients


def test_every_optimizer_has_a_rule() -> None:
    rules = {kind: rule for kind, (_, rule) in OPTIMIZERS.rows.items() if isinstance(rule, Rule)}
    assert {kind: rule.kind for kind, rule in rules.items()} == {kind: kind for kind in OPTIMIZERS if kind != "formula"}


def test_sgd() -> None:
    w, g = parameter_and_gradients(program(5, optimizer={"kind": "sgd", "learning_rate": 0.2}), 2)
    np.testing.assert_allclose(w[1], w[0] - 0.2 * g[0], rtol=1e-12)
    np.testing.assert_allclose(w[2], w[1] - 0.2 * g[1], rtol=1e-12)


@pytest.mark.parametrize(("convention", "share"), [("classic", 1.0), ("ema", 0.3)])
def test_momentum_in_both_conventions(convention: str, share: float) -> None:
    optimizer = {"kind": "momentum", "learning_rate": 0.2, "momentum": 0.7, "convention": convention}
    w, g = parameter_and_gradients(program(5, optimizer=optimizer), 3)
    v = np.zeros_like(w[0])
    for step in range(3):
        v = 0.7 * v + share * g[step]
        np.testing.assert_allclose(w[step + 1], w[step] - 0.2 * v, rtol=1e-12)


@pytest.mark.parametrize(("beta1", "beta2"), [(0.9, 0.999), (0.0, 0.0)])
def test_the_first_three_steps_of_adam(beta1: float, beta2: float) -> None:
    optimizer = {"kind": "adam", "learning_rate": 0.01, "beta1": beta1, "beta2": beta2, "epsilon": 1e-3}
    w, g = parameter_and_gradients(program(5, optimizer=optimizer), 3)
    m, v = np.zeros_like(w[0]), np.zeros_like(w[0])
    for step in range(3):
        t = step + 1
        m, v = beta1 * m + (1 - beta1) * g[step], beta2 * v + (1 - beta2) * g[step] ** 2
        change = 0.01 * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + 1e-3)
        np.testing.assert_allclose(w[step + 1], w[step] - change, rtol=1e-12)


def test_the_first_step_of_adam_in_float32_is_the_learning_rate() -> None:
    made = program(5, precision="float32", backend={"kind": "numpy"}, optimizer={"kind": "adam", "learning_rate": 0.01})
    before, gradient = made.parameters()["fc1.weight"], made.gradients(X[:8], Y[:8])["fc1.weight"]
    made.step(X[:8], Y[:8])
    moved, steep = before - made.parameters()["fc1.weight"], np.abs(gradient) > 1e-4
    np.testing.assert_allclose(moved[steep], 0.01 * np.sign(gradient[steep]), rtol=1e-3)


def trained_with_l2_and_with_decay(optimizer: dict[str, Any], backend: str) -> tuple[dict[str, Array], dict[str, Array]]:
    """The parameters after 20 steps with `l2: 0.2` and with `weight_decay: 0.2`."""
    made = [program(5, optimizer=optimizer, regularization={kind: 0.2}, backend={"kind": backend}) for kind in ("l2", "weight_decay")]
    for one in made:
        one.run(X, Y, order(20))
    return made[0].parameters(), made[1].parameters()


def apart(one: dict[str, Array], other: dict[str, Array]) -> float:
    """The largest relative distance of a tensor, in the 2-norm."""
    return max(float(np.linalg.norm(value - other[name]) / np.linalg.norm(value)) for name, value in one.items())


@pytest.mark.parametrize(("backend", "others"), [("reference", ("momentum", "rmsprop", "adam")), ("numpy", ("adam",))])
def test_for_sgd_l2_and_decoupled_decay_are_the_same_and_for_the_others_not(backend: str, others: tuple[str, ...]) -> None:
    """The gradient of l2 / 2 w^2 is l2 w, so the steps of SGD are equal (Loshchilov & Hutter 2019, proposition 1); moments part them."""
    assert apart(*trained_with_l2_and_with_decay({"kind": "sgd", "learning_rate": 0.1}, backend)) < 1e-12
    for kind in others:
        assert apart(*trained_with_l2_and_with_decay({"kind": kind, "learning_rate": 0.01}, backend)) > 1e-3, kind


@pytest.mark.parametrize("backend", ["reference", "numpy"])
def test_both_conventions_of_momentum_are_one_at_rates_apart_by_the_share_of_the_gradient(backend: str) -> None:
    changes = {"backend": {"kind": backend}}
    classic = program(5, optimizer={"kind": "momentum", "learning_rate": 0.03, "momentum": 0.75}, **changes)
    ema = program(5, optimizer={"kind": "momentum", "learning_rate": 0.12, "momentum": 0.75, "convention": "ema"}, **changes)
    for made in (classic, ema):
        made.run(X, Y, order(10))
    assert apart(classic.parameters(), ema.parameters()) < 1e-13


def test_decoupled_decay_stays_out_of_the_moments_of_adam() -> None:
    plain, decayed = program(5), program(5, regularization={"weight_decay": 0.2})
    before = plain.parameters()
    for made in (plain, decayed):
        made.step(X[:8], Y[:8])
    np.testing.assert_array_equal(plain.state()["adam.m/fc1.weight"], decayed.state()["adam.m/fc1.weight"])
    apart = plain.parameters()["fc1.weight"] - decayed.parameters()["fc1.weight"]
    np.testing.assert_allclose(apart, 1e-3 * 0.2 * before["fc1.weight"], rtol=1e-9)
    np.testing.assert_array_equal(plain.parameters()["fc1.bias"], decayed.parameters()["fc1.bias"])


def test_schedules_over_an_array_of_steps() -> None:
    steps = np.array([0, 4, 5, 10, 12])
    np.testing.assert_allclose(schedules.factor(schedules.Step(every=5, factor=0.1), steps, 0), [1, 1, 0.1, 0.01, 0.01])
    np.testing.assert_allclose(
        schedules.factor(schedules.Cosine(floor=0.2), steps, 10), [1, 0.2 + 0.4 * (1 + np.cos(0.4 * np.pi)), 0.6, 0.2, 0.2]
    )
    assert float(schedules.factor(schedules.Constant(), 7, 0)) == 1.0


def test_a_schedule_moves_the_learning_rate_of_the_step() -> None:
    schedule = {"kind": "step", "every": 1, "factor": 0.5}
    made = program(5, optimizer={"kind": "sgd", "learning_rate": 0.2}, schedule=schedule)
    w, g = parameter_and_gradients(made, 3)
    np.testing.assert_allclose(w[3], w[2] - 0.05 * g[2], rtol=1e-12)
    assert made.learning_rate(2) == pytest.approx(0.05)


def test_cosine_needs_to_know_the_length_of_the_training() -> None:
    made = program(5, schedule={"kind": "cosine"})
    with pytest.raises(ConfigError) as caught:
        made.run(X, Y, order(1))
    hint = "call program.follow(Course(total_steps=...)) of pipeline.recipe.course"
    assert str(caught.value) == f"schedule.kind = cosine: needs to know how many steps the training has; {hint}"
    made.follow(Course(total_steps=4))
    made.run(X, Y, order(4))
