"""The first five steps of each optimizer against its published algorithm, worked out in plain Python floats."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pipeline.config.spec import experiment
from pipeline.data import DataShape
from pipeline.errors import ConfigError
from pipeline.optimizers import OPTIMIZERS
from tests.program.configs import order, program

STEPS = 5


def line(w: float, b: float) -> tuple[float, float]:
    """The slopes of (w x + b - y)^2 at x = 2, y = 1."""
    error = w * 2.0 + b - 1.0
    return 2 * error * 2.0, 2 * error


def walk(change: Callable[[], Callable[[float, float, int], float]]) -> list[tuple[float, float]]:
    """w and b after each of the steps; `change()` starts an optimizer of one number: (p, g, t) -> what is subtracted from p."""
    w, b = 0.75, -0.25
    of_w, of_b = change(), change()
    points = []
    for t in range(1, STEPS + 1):
        slope_w, slope_b = line(w, b)
        w, b = w - of_w(w, slope_w, t), b - of_b(b, slope_b, t)
        points.append((w, b))
    return points


def nesterov() -> Callable[[float, float, int], float]:
    v = 0.0

    def change(p: float, g: float, t: int) -> float:
        nonlocal v
        v = 0.8 * v + g
        return 0.02 * (g + 0.8 * v)

    return change


def adagrad() -> Callable[[float, float, int], float]:
    total = 0.0

    def change(p: float, g: float, t: int) -> float:
        nonlocal total
        total += g * g
        return 0.1 * g / (math.sqrt(total) + 1e-3)

    return change


def rmsprop() -> Callable[[float, float, int], float]:
    s = 0.0

    def change(p: float, g: float, t: int) -> float:
        nonlocal s
        s = 0.7 * s + 0.3 * g * g
        return 0.05 * g / (math.sqrt(s) + 1e-3)

    return change


def adadelta() -> Callable[[float, float, int], float]:
    gradients = changes = 0.0

    def change(p: float, g: float, t: int) -> float:
        nonlocal gradients, changes
        gradients = 0.9 * gradients + 0.1 * g**2
        delta = math.sqrt(changes + 1e-4) / math.sqrt(gradients + 1e-4) * g
        changes = 0.9 * changes + 0.1 * delta**2
        return 0.5 * delta

    return change


def adam_like(kind: str) -> Callable[[], Callable[[float, float, int], float]]:
    """beta1 0.8, beta2 0.95, epsilon 1e-3, learning rate 0.05."""

    def start() -> Callable[[float, float, int], float]:
        m = v = top = 0.0
        product = 1.0  # of mu_1 to mu_t

        def change(p: float, g: float, t: int) -> float:
            nonlocal m, v, top, product
            m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g * g
            top = max(top, v)
            mean, root = m / (1 - 0.8**t), math.sqrt(v / (1 - 0.95**t)) + 1e-3
            if kind == "amsgrad":
                return 0.05 * mean / (math.sqrt(top / (1 - 0.95**t)) + 1e-3)
            if kind == "amsgrad of the paper":
                return 0.05 * m / (math.sqrt(top) + 1e-3)
            if kind == "nadam":
                mu, following = (0.8 * (1 - 0.5 * 0.96 ** (s * 0.1)) for s in (t, t + 1))
                product *= mu
                ahead = following * m / (1 - product * following) + (1 - mu) * g / (1 - product)
                return 0.05 * ahead / root
            return 0.05 * mean / root

        return change

    return start


def adamw_of_the_weight() -> Callable[[float, float, int], float]:
    adam = adam_like("adam")()
    return lambda p, g, t: adam(p, g, t) + 0.05 * 0.4 * p


MOMENTS = {"learning_rate": 0.05, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3}
CASES: dict[str, tuple[dict[str, Any], Callable[[], Callable[[float, float, int], float]]]] = {
    "nesterov": ({"kind": "nesterov", "learning_rate": 0.02, "momentum": 0.8}, nesterov),
    "adagrad": ({"kind": "adagrad", "learning_rate": 0.1, "epsilon": 1e-3}, adagrad),
    "rmsprop": ({"kind": "rmsprop", "learning_rate": 0.05, "decay": 0.7, "epsilon": 1e-3}, rmsprop),
    "adadelta": ({"kind": "adadelta", "learning_rate": 0.5, "decay": 0.9, "epsilon": 1e-4}, adadelta),
    "adam": ({"kind": "adam", **MOMENTS}, adam_like("adam")),
    "amsgrad": ({"kind": "amsgrad", **MOMENTS}, adam_like("amsgrad")),
    "amsgrad of the paper": ({"kind": "amsgrad", **MOMENTS, "bias_correction": False}, adam_like("amsgrad of the paper")),
    "nadam": ({"kind": "nadam", **MOMENTS, "momentum_decay": 0.1}, adam_like("nadam")),
}


def points(optimizer: dict[str, Any], backend: str, one_by_one: bool) -> list[tuple[float, float]]:
    """w and b after each step of a linear model of one input, trained by the program."""
    shape = DataShape(input_shape=(1,), classes=None, targets=1)
    made = program(shape=shape, optimizer=optimizer, backend={"kind": backend}, training={"batch_size": 1})
    made.load_parameters({"fc1.weight": [[0.75]], "fc1.bias": [-0.25]})
    x, y, found = np.array([[2.0]]), np.array([[1.0]]), []
    for _ in range(STEPS if one_by_one else 1):
        made.run(x, y, np.zeros((1 if one_by_one else STEPS, 1), np.int64))
        p = made.parameters()
        found.append((float(p["fc1.weight"][0, 0]), float(p["fc1.bias"][0])))
    return found


@pytest.mark.parametrize("backend", ["reference", "numpy"])
@pytest.mark.parametrize("case", CASES)
def test_the_first_five_steps(case: str, backend: str) -> None:
    optimizer, change = CASES[case]
    expected = walk(change)
    np.testing.assert_allclose(points(optimizer, backend, one_by_one=True), expected, rtol=1e-12)
    np.testing.assert_allclose(points(optimizer, backend, one_by_one=False)[-1], expected[-1], rtol=1e-12)


@pytest.mark.parametrize("backend", ["reference", "numpy"])
def test_the_first_five_steps_of_adamw_decay_the_weight_and_not_the_bias(backend: str) -> None:
    w, b = 0.75, -0.25
    of_w, of_b = adamw_of_the_weight(), adam_like("adam")()
    expected = []
    for t in range(1, STEPS + 1):
        slope_w, slope_b = line(w, b)
        w, b = w - of_w(w, slope_w, t), b - of_b(b, slope_b, t)
        expected.append((w, b))
    found = points({"kind": "adamw", **MOMENTS, "weight_decay": 0.4}, backend, one_by_one=True)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


# w after each step, from the same start, worked out on paper; b moves half as far, because its slope is half of that of w.
# The error is 0.25 at first and falls by 2.5 times what is taken from w; the slope of w is 4 errors:
#   sgd       the slopes are 1, 1/2, 1/4, ...: each step halves the error
#   momentum  slopes 1, 1/2, 0, -1/4, -1/4 and so v 1, 1, 1/2, 0, -1/4; the weighted average is half of it at twice the rate
#   nesterov  slopes 1, 1/4, -1/16, -7/64, -17/256 and so v 1, 3/4, 5/16, 3/64, -11/256, g + v/2 3/2, 5/8, 3/32, -11/128, -45/512
# Those that divide by a root of squared gradients (DIVIDED) are worked out in 40-digit decimal arithmetic; there b moves by more than half
# of what w does: Adam's first step is 0.1 / (1 + 1e-8) of w and 0.05 / (0.5 + 1e-8) of b.  beta2 = 0.5 lets AMSGrad's second moment fall.
PAPER: dict[str, tuple[dict[str, Any], list[float]]] = {
    "sgd": ({"kind": "sgd", "learning_rate": 0.05}, [0.7, 0.675, 0.6625, 0.65625, 0.653125]),
    "momentum": ({"kind": "momentum", "learning_rate": 0.05, "momentum": 0.5}, [0.7, 0.65, 0.625, 0.625, 0.6375]),
    "momentum as a weighted average": (
        {"kind": "momentum", "learning_rate": 0.1, "momentum": 0.5, "convention": "ema"},
        [0.7, 0.65, 0.625, 0.625, 0.6375],
    ),
    "nesterov": (
        {"kind": "nesterov", "learning_rate": 0.05, "momentum": 0.5},
        [0.675, 0.64375, 0.6390625, 0.643359375, 0.64775390625],
    ),
}
DIVIDED: dict[str, tuple[dict[str, Any], list[float], list[float]]] = {
    "adagrad": (
        {"kind": "adagrad", "learning_rate": 0.1},
        [0.6500000000100000, 0.6696116135068095, 0.6661483827130363, 0.6667578686207143, 0.6666506179999216],
        [-0.3499999999800000, -0.3303883864851136, -0.3338516172785474, -0.3332421313709291, -0.3333493819917113],
    ),
    "rmsprop": (
        {"kind": "rmsprop", "learning_rate": 0.01},
        [0.7183772243983162, 0.7010671125399083, 0.6897348402605525, 0.6819698546078903, 0.6766183185502475],
        [-0.2816227746016839, -0.2989328859772117, -0.3102651579454756, -0.3180301433803233, -0.3233816792820132],
    ),
    "adadelta": (
        {"kind": "adadelta"},
        [0.7455279087656892, 0.7411222832553582, 0.7368474893522080, 0.7327336737252123, 0.7287956871393840],
        [-0.2544719570802938, -0.2588774449004812, -0.2631521024362556, -0.2672657850966253, -0.2712036431675724],
    ),
    "adam": (
        {"kind": "adam", "learning_rate": 0.1},
        [0.6500000010000000, 0.5988973926650445, 0.6078765983900190, 0.6420145540771564, 0.6809953828592347],
        [-0.3499999980000000, -0.4011026056261262, -0.3921234000203982, -0.3579854447937228, -0.3190046165882444],
    ),
    "adamw": (
        {"kind": "adamw", "learning_rate": 0.1, "weight_decay": 0.5},
        [0.6125000010000000, 0.5552412960849627, 0.5566486405472148, 0.5794042018797255, 0.6072900289216264],
        [-0.3499999980000000, -0.3766337025280941, -0.3474642935888435, -0.2968763007892492, -0.2400202643267007],
    ),
    "amsgrad": (
        {"kind": "amsgrad", "learning_rate": 0.1, "beta2": 0.5},
        [0.6500000010000000, 0.6048778210489458, 0.6103189953519845, 0.6412365541974451, 0.6753630482890187],
        [-0.3499999980000000, -0.3951221773984227, -0.3896810031673639, -0.3587634447452594, -0.3246369511287065],
    ),
    "nadam": (
        {"kind": "nadam", "learning_rate": 0.1},
        [0.6443548232209129, 0.6653017190908244, 0.6626166756020217, 0.6640199272936686, 0.6642102797663622],
        [-0.3556451757226353, -0.3346982801389406, -0.3373833235828040, -0.3359800719182534, -0.3357897194496683],
    ),
}


@pytest.mark.parametrize("backend", ["reference", "numpy"])
@pytest.mark.parametrize("case", [*PAPER, *DIVIDED])
def test_the_first_five_steps_on_paper(case: str, backend: str) -> None:
    if case in DIVIDED:
        optimizer, weights, biases = DIVIDED[case]
    else:
        optimizer, weights = PAPER[case]
        biases = [-0.25 - (0.75 - w) / 2 for w in weights]
    found = points(optimizer, backend, one_by_one=True)
    np.testing.assert_allclose(found, list(zip(weights, biases, strict=True)), rtol=1e-13)


BUILT_IN = set(OPTIMIZERS) - {"formula"}  # the steps of formulas are in tests/formula


def test_every_optimizer_has_its_steps_on_paper() -> None:
    assert {optimizer["kind"] for optimizer, *_ in (*PAPER.values(), *DIVIDED.values())} == BUILT_IN


def test_by_hand_the_first_step_of_those_that_divide_by_the_gradient() -> None:
    # at w 0.75, b -0.25: error 0.25, slopes 1 and 0.5
    assert line(0.75, -0.25) == (1.0, 0.5)
    moved = {kind: 0.75 - points({"kind": kind, "learning_rate": 0.01}, "reference", one_by_one=True)[0][0] for kind in BUILT_IN}
    assert moved["nesterov"] == pytest.approx(0.01 * (1 + 0.9), rel=1e-12)
    assert moved["adagrad"] == pytest.approx(0.01, rel=1e-9)
    assert moved["rmsprop"] == pytest.approx(0.01 / math.sqrt(0.1), rel=1e-7)
    assert moved["adadelta"] == pytest.approx(0.01 * math.sqrt(1e-6 / (0.05 + 1e-6)), rel=1e-9)
    assert moved["amsgrad"] == moved["adam"] == pytest.approx(0.01, rel=1e-7)
    assert moved["adamw"] == pytest.approx(0.01 + 0.01 * 0.01 * 0.75, rel=1e-7)


def test_adamw_is_adam_with_decoupled_weight_decay() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(40, 4)), rng.integers(0, 3, 40)
    own = program(5, optimizer={"kind": "adamw", "weight_decay": 0.3})
    beside = program(5, optimizer={"kind": "adam"}, regularization={"weight_decay": 0.3})
    for made in (own, beside):
        made.run(x, y, order(5))
    for name, value in beside.parameters().items():
        np.testing.assert_allclose(own.parameters()[name], value, rtol=1e-12)


def test_a_weight_is_not_decayed_twice() -> None:
    with pytest.raises(ConfigError) as caught:
        experiment({"optimizer": "adamw", "regularization": {"weight_decay": 0.1}})
    sentence = "regularization.weight_decay = 0.1: adamw decays the weights itself; use optimizer.weight_decay, or optimizer=adam"
    assert str(caught.value) == sentence
