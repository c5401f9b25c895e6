"""The techniques that conf/ has as formulas, each with the number that it must give, by hand or in closed form; and their gradients."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pipeline.checks.gradients import check_gradients
from pipeline.checks.material import material
from pipeline.config.overrides import CONF
from pipeline.data import DataShape
from pipeline.formula.declared import Formula
from pipeline.formula.host import evaluate
from pipeline.graph.values import Array, Clock
from pipeline.program.formulas import derivative
from pipeline.program.program import Program
from pipeline.recipe.initialization import INITIALIZATIONS, draw
from pipeline.recipe.schedules import SCHEDULES, factor
from pipeline.records import read_kind
from tests.layers.test_activations import single
from tests.optimizers.test_first_steps import STEPS, line, points, walk
from tests.program.configs import config, data, order, program, slope_and_difference

BACKENDS = ("reference", "numpy")
ROOT2 = math.sqrt(2.0)


def option(group: str, name: str, **changes: Any) -> dict[str, Any]:
    """What conf/GROUP/NAME.yaml holds, without its defaults."""
    found = yaml.safe_load((CONF / group / f"{name}.yaml").read_text())
    return {**{key: value for key, value in found.items() if key != "defaults"}, **changes}


def _mish(x: float) -> float:
    return x * math.tanh(math.log1p(math.exp(x)))


# option of conf/activation -> {x: y}
ACTIVATIONS: dict[str, dict[float, float]] = {
    "formula": {0.0: 0.0, math.log(3.0): 0.75 * math.log(3.0)},
    "mish": {0.0: 0.0, 1.0: 0.8650983882673103, -1.0: _mish(-1.0), 30.0: 30.0, 1000.0: 1000.0, -1000.0: 0.0},
    "hard_swish": {1.0: 2 / 3, -3.0: 0.0, -1.0: -1 / 3, 5.0: 5.0},
    "selu": {
        1.0: 1.0507009873554805,
        -1.0: 1.0507009873554805 * 1.6732632423543772 * math.expm1(-1.0),
        0.0: 0.0,
        1000.0: 1050.7009873554805,
    },
    "learned_swish": {1.0: 1 / (1 + math.exp(-1.0)), -1000.0: 0.0},
    "squared_relu": {3.0: 9.0, -3.0: 0.0},
}
# the slope that the closed form has
SLOPES: dict[str, dict[float, float]] = {
    "mish": {0.0: 0.6, 1000.0: 1.0},
    "hard_swish": {1.0: 5 / 6, -4.0: 0.0, 4.0: 1.0},
    "selu": {1.0: 1.0507009873554805, -1.0: 1.0507009873554805 * 1.6732632423543772 * math.exp(-1.0)},
    "squared_relu": {3.0: 6.0, -3.0: 0.0},
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str, backend: str) -> None:
    expected = ACTIVATIONS[name]
    found = single(option("activation", name), backend).predict(np.array(list(expected))[:, None])[:, 0]
    np.testing.assert_allclose(found, list(expected.values()), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", SLOPES)
def test_slopes_of_activations(name: str, backend: str) -> None:
    made = single(option("activation", name), backend)
    for x, slope in SLOPES[name].items():
        at = np.array([[x]])
        assert made.gradients(at, made.predict(at) - 0.5)["fc1.bias"][0] == pytest.approx(slope, rel=1e-12, abs=1e-14), x


def _lion() -> Callable[[float, float, int], float]:
    m = 0.0

    def change(p: float, g: float, t: int) -> float:
        nonlocal m
        step = 1e-4 * float(np.sign(0.9 * m + 0.1 * g))
        m = 0.99 * m + 0.01 * g
        return step

    return change


def _signum() -> Callable[[float, float, int], float]:
    m = 0.0

    def change(p: float, g: float, t: int) -> float:
        nonlocal m
        m = 0.9 * m + 0.1 * g
        return 1e-4 * float(np.sign(m))

    return change


def _adabelief() -> Callable[[float, float, int], float]:
    m = s = 0.0

    def change(p: float, g: float, t: int) -> float:
        nonlocal m, s
        m = 0.9 * m + 0.1 * g
        s = 0.999 * s + 0.001 * (g - m) ** 2 + 1e-16
        return 1e-3 * (m / (1 - 0.9**t)) / (math.sqrt(s / (1 - 0.999**t)) + 1e-16)

    return change


def _adamax() -> Callable[[float, float, int], float]:
    m = u = 0.0

    def change(p: float, g: float, t: int) -> float:
        nonlocal m, u
        m, u = 0.9 * m + 0.1 * g, max(0.999 * u, abs(g) + 1e-8)
        return 2e-3 / (1 - 0.9**t) * m / u

    return change


def _yogi() -> Callable[[float, float, int], float]:
    m = v = 0.0

    def change(p: float, g: float, t: int) -> float:
        nonlocal m, v
        m, v = 0.9 * m + 0.1 * g, v - 0.001 * float(np.sign(v - g * g)) * g * g
        return 1e-2 * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-3)

    return change


def _sophia_sign() -> Callable[[float, float, int], float]:
    m = h = 0.0

    def change(p: float, g: float, t: int) -> float:
        nonlocal m, h
        m, h = 0.965 * m + 0.035 * g, 0.99 * h + 0.01 * g * g
        return 1e-3 * min(max(m / max(0.04 * h, 1e-12), -1.0), 1.0)

    return change


OPTIMIZERS = {
    "formula": lambda: lambda p, g, t: 0.1 * g,
    "lion": _lion,
    "signum": _signum,
    "adabelief": _adabelief,
    "adamax": _adamax,
    "yogi": _yogi,
    "sophia_sign": _sophia_sign,
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_first_steps_of_optimizers(name: str, backend: str) -> None:
    expected = walk(OPTIMIZERS[name])
    np.testing.assert_allclose(points(option("optimizer", name), backend, one_by_one=True), expected, rtol=1e-11)
    np.testing.assert_allclose(points(option("optimizer", name), backend, one_by_one=False)[-1], expected[-1], rtol=1e-11)


def test_the_first_steps_that_the_files_name() -> None:
    """lion and adamax move by the learning rate; AdaBelief by the gradient over beta1 times its size."""
    slope, _ = line(0.75, -0.25)
    moved = {name: 0.75 - points(option("optimizer", name), "reference", one_by_one=True)[0][0] for name in ("lion", "adamax", "adabelief")}
    assert moved["lion"] == pytest.approx(1e-4 * np.sign(slope), rel=1e-9)
    assert moved["adamax"] == pytest.approx(2e-3 * np.sign(slope), rel=1e-6)
    assert moved["adabelief"] == pytest.approx(1e-3 * np.sign(slope) / 0.9, rel=1e-9)
    assert STEPS == 5


NUMBERS = DataShape(input_shape=(1,), classes=None, targets=1)
# loss, error above the target -> what it costs
OF_ERRORS: dict[str, dict[float, float]] = {
    "formula": {2.0: 4.0},
    "log_cosh": {1.0: 0.4337808304830271, 0.0: 0.0, -1.0: 0.4337808304830271, 1e-4: 5e-9, 1000.0: 1000.0 - math.log(2.0)},
    "quantile": {2.0: 0.2, -2.0: 1.8},
    "cauchy": {ROOT2: math.log(2.0)},
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", OF_ERRORS)
def test_losses_of_errors(name: str, backend: str) -> None:
    made = program(shape=NUMBERS, loss=option("loss", name), backend={"kind": backend})
    made.load_parameters({"fc1.weight": [[1.0]], "fc1.bias": [0.0]})
    for error, expected in OF_ERRORS[name].items():
        assert made.loss(np.array([[error]]), np.array([[0.0]])) == pytest.approx(expected, rel=1e-6, abs=1e-12), error


def _of_scores(loss: dict[str, Any], scores: list[float], label: int, backend: str) -> Program:
    shape = DataShape(input_shape=(1,), classes=len(scores), targets=None)
    made = program(shape=shape, loss=loss, backend={"kind": backend})
    made.load_parameters({"fc1.weight": np.zeros((1, len(scores))), "fc1.bias": scores})
    return made


@pytest.mark.parametrize("backend", BACKENDS)
def test_losses_of_classes(backend: str) -> None:
    at = np.zeros((1, 1)), np.zeros(1, np.int64)
    assert _of_scores(option("loss", "focal"), [0.0, 0.0], 0, backend).loss(*at) == pytest.approx(math.log(2.0) / 4, rel=1e-12)
    plain = option("loss", "focal", values={"gamma": 0.0})
    crossed = {"kind": "softmax_cross_entropy"}
    scores = [0.3, -1.2, 2.0]
    assert _of_scores(plain, scores, 0, backend).loss(*at) == pytest.approx(_of_scores(crossed, scores, 0, backend).loss(*at), rel=1e-12)
    assert _of_scores(option("loss", "squared_hinge"), [0.0] * 5, 0, backend).loss(*at) == pytest.approx(5.0)
    assert _of_scores(option("loss", "squared_hinge"), [2.0, 0.5, -3.0], 0, backend).loss(*at) == pytest.approx(1.5**2)


@pytest.mark.parametrize(
    ("takes", "row", "kind"),
    [
        ("numbers", "(prediction - target) ** 2", "mean_squared_error"),
        ("classes", "-sum(target * log_probability, axis=-1)", "softmax_cross_entropy"),
        ("labels", "-target * log_probability - (1 - target) * log(sigmoid(-score))", "binary_cross_entropy"),
    ],
)
def test_a_formula_of_a_loss_that_is_built_in_gives_the_same(takes: str, row: str, kind: str) -> None:
    shape = DataShape(
        input_shape=(4,), classes=3 if takes == "classes" else None, targets=None if takes == "classes" else 3, labels=takes == "labels"
    )
    x, y = data(8, shape)
    y = (y > 0).astype(float) if takes == "labels" else y
    ours, theirs = (program(5, shape=shape, loss=loss) for loss in ({"kind": "formula", "takes": takes, "row": row}, {"kind": kind}))
    assert ours.loss(x, y) == pytest.approx(theirs.loss(x, y), rel=1e-13)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), rtol=1e-13)
    for name, gradient in theirs.gradients(x, y).items():
        np.testing.assert_allclose(ours.gradients(x, y)[name], gradient, rtol=1e-10, atol=1e-14)


def _factor(name: str, step: int, total: int = 1000, **values: float) -> float:
    record = read_kind(SCHEDULES, option("schedule", name, **({"values": values} if values else {})), at="schedule")
    return float(factor(record, step, total))


def test_schedules() -> None:
    assert _factor("formula", 1000) == pytest.approx(0.5)
    assert [_factor("wsd", step) for step in (0, 900, 950)] == pytest.approx([1.0, 1.0, 0.5])
    assert [_factor("noam", step) for step in (0, 399, 1599)] == pytest.approx([1 / 400, 1.0, 0.5])
    assert [_factor("restarts", step, every=10.0) for step in (0, 5, 10, 15)] == pytest.approx([1.0, 0.5, 1.0, 0.5])


def test_a_schedule_that_is_built_in_gives_the_same() -> None:
    ours = read_kind(SCHEDULES, {"kind": "formula", "factor": "0.5 * (1 + cos(pi * t / total))", "warmup": 7}, at="schedule")
    theirs = read_kind(SCHEDULES, {"kind": "cosine", "warmup": 7}, at="schedule")
    steps = np.arange(100)
    np.testing.assert_allclose(factor(ours, steps, 100), factor(theirs, steps, 100), rtol=1e-14)


def test_initializations() -> None:
    size = {"fan_in": 10, "fan_out": 3, "seed": 1, "name": "w"}
    small = draw(read_kind(INITIALIZATIONS, option("initialization", "small"), at=""), (10, 20_000), **size)
    assert small.std() == pytest.approx(0.2, rel=0.01)
    ours = draw(read_kind(INITIALIZATIONS, option("initialization", "formula"), at=""), (10, 3), **size)
    np.testing.assert_allclose(ours, draw(read_kind(INITIALIZATIONS, "he", at=""), (10, 3), **size), rtol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_penalties(backend: str) -> None:
    given = option("regularization", "log_penalty")
    made = program(shape=NUMBERS, regularization=given, backend={"kind": backend})
    made.load_parameters({"fc1.weight": [[-0.1]], "fc1.bias": [5.0]})
    assert made.penalty() == pytest.approx(1e-5 * math.log(2.0), rel=1e-12)


GRADIENTS: dict[str, tuple[DataShape, dict[str, Any]]] = {
    **{f"activation {name}": (NUMBERS, {"activation": option("activation", name)}) for name in ACTIVATIONS},
    **{f"loss {name}": (NUMBERS, {"loss": option("loss", name)}) for name in OF_ERRORS},
    "loss focal": (DataShape(input_shape=(4,), classes=3, targets=None), {"loss": option("loss", "focal")}),
    "loss squared_hinge": (DataShape(input_shape=(4,), classes=3, targets=None), {"loss": option("loss", "squared_hinge")}),
    "penalty": (
        NUMBERS,
        {"regularization": option("regularization", "log_penalty", penalty={"kind": "formula", "weight": "0.1 * log1p(abs(w) / 0.1)"})},
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", GRADIENTS)
def test_gradients_are_those_of_differences(case: str, backend: str) -> None:
    shape, changes = GRADIENTS[case]
    made = program(6, 5, shape=shape, backend={"kind": backend}, **changes)
    slope, difference = slope_and_difference(made, *data(8, shape, seed=3))
    assert slope == pytest.approx(difference, rel=1e-7)


def test_ten_techniques_and_more_have_their_paper_in_the_first_comment() -> None:
    files = [
        file for file in sorted(Path(CONF).rglob("*.yaml")) if "kind: formula" in file.read_text() and file.stem not in ("formula", "none")
    ]
    assert len(files) >= 10
    tested = {*ACTIVATIONS, *OPTIMIZERS, *OF_ERRORS, "focal", "squared_hinge", "wsd", "noam", "restarts", "small", "log_penalty"}
    for file in files:
        first = file.read_text().splitlines()[0]
        assert any(str(year) in first for year in range(1960, 2027)), file
        assert file.stem in tested, file


def test_slots_and_steps_see_the_numbers_of_their_own_trial() -> None:
    """Numbers are values: other numbers are the same structure."""
    shape = DataShape(input_shape=(4,), classes=3, targets=None)
    made = [
        program(
            6,
            shape=shape,
            activation=option("activation", "selu", values={"scale": 1.0, "alpha": alpha}),
            optimizer=option("optimizer", "lion", values={"beta1": beta, "beta2": 0.99}),
            loss=option("loss", "focal", values={"gamma": alpha}),
            regularization=option("regularization", "log_penalty", penalty={"kind": "formula", "weight": f"{alpha} * w ** 2"}),
        )
        for alpha, beta in ((1.5, 0.9), (0.5, 0.1))
    ]
    assert len({each.structure.digest for each in made}) == 1
    x, y = data(40, shape)
    first, second = (each.run(x, y, order(3)) for each in made)
    assert (np.asarray(first) != np.asarray(second)).all()


def test_a_formula_of_adam_takes_the_steps_of_adam_to_the_bit() -> None:
    shape = DataShape(input_shape=(4,), classes=3, targets=None)
    x, y = data(40, shape)
    found: list[Array] = []
    for optimizer in (ADAM, {"kind": "adam"}):
        made = program(6, shape=shape, optimizer=optimizer, precision="float32", backend={"kind": "numpy"})
        made.run(x, y, order(20))
        found.append(made.parameters()["fc1.weight"])
    np.testing.assert_array_equal(*found)
    assert isinstance(Clock(steps=np.zeros(1, np.int64)).updates, np.ndarray)


ADAM: dict[str, Any] = {
    "kind": "formula",
    "learning_rate": 1e-3,
    "slots": ["m", "v"],
    "values": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    "update": {
        "m": "beta1 * m + (1 - beta1) * g",
        "v": "beta2 * v + (1 - beta2) * (g * g)",
        "step": "learning_rate / (1 - beta1 ** t) * m / (sqrt(v / (1 - beta2 ** t)) + epsilon)",
    },
}


def test_explain_says_formula_derivative_and_kernels() -> None:
    changes = {"activation": option("activation", "mish"), "optimizer": option("optimizer", "lion"), "loss": option("loss", "log_cosh")}
    text = program(6, shape=NUMBERS, backend={"kind": "numpy"}, schedule=option("schedule", "wsd"), **changes).explain(["formulas"])
    lines = text.splitlines()[2:]
    assert lines[0] == "== formulas =="
    assert "activation.forward = x * tanh(softplus(x))" in lines
    assert "  by x: s1 + ((x * (1 - (s1 * s1))) * sigmoid(x)), s1 = tanh(softplus(x))" in lines
    assert any(line.startswith("  formula1 forward: fused in formula1/") for line in lines)
    assert any(line.startswith("  formula1 backward: fused in ") for line in lines)
    assert any(line.startswith("  update: fused in ") for line in lines)
    assert "schedule.factor = min(1, (total - t) / (share * total))" in lines and "  computed on the host, in float64" in lines


def test_the_derivative_that_is_printed_is_the_derivative() -> None:
    """The text itself, computed on the host, beside a difference."""
    text = "scale * x ** 3 / (1 + exp(-x)) + where(x > 0, x, alpha * expm1(x)) + log(cosh(x))"
    formula = Formula(field="forward", text=text, tensors=("x",), numbers=("scale", "alpha"))
    written, *shared = re.split(r", (?=s\d+ = )", derivative(formula, "x"))
    definitions = dict(part.split(" = ", 1) for part in shared)
    while any(name in written for name in definitions):
        for name, inner in definitions.items():
            written = re.sub(rf"\b{name}\b", lambda _, inner=inner: f"({inner})", written)  # type: ignore[misc]
    for x in (-1.3, 0.7):
        numbers = {"x": x, "scale": 0.3, "alpha": 1.2}
        above, below = (float(evaluate(formula.tree, {**numbers, "x": x + h})) for h in (1e-6, -1e-6))
        assert float(evaluate(ast.parse(written, mode="eval").body, numbers)) == pytest.approx((above - below) / 2e-6, rel=1e-8)


def test_check_looks_at_the_gradients_of_formulas() -> None:
    changes = {"activation": option("activation", "mish"), "loss": option("loss", "focal"), "optimizer": option("optimizer", "lion")}
    made = config(6, data={"kind": "iris"}, **changes)
    findings = check_gradients(made, material(made), elements=4)
    assert findings and all(finding.passed for finding in findings)


@pytest.mark.parametrize("backend", BACKENDS)
def test_slots_may_remember_the_gradient_and_the_weight(backend: str) -> None:
    """w <- w - 0.1 (g + (g - last g)) - 0.01 (w - last w)."""
    update = {"step": "learning_rate * (2 * g - last) + 0.01 * (w - before)", "last": "g", "before": "w"}

    def optimistic() -> Callable[[float, float, int], float]:
        last = before = 0.0

        def change(p: float, g: float, t: int) -> float:
            nonlocal last, before
            step = 0.05 * (2 * g - last) + 0.01 * (p - before)
            last, before = g, p
            return step

        return change

    found = points({"kind": "formula", "learning_rate": 0.05, "slots": ["last", "before"], "update": update}, backend, one_by_one=True)
    np.testing.assert_allclose(found, walk(optimistic), rtol=1e-12)
