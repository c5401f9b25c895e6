"""Activations at numbers worked out by hand, their slopes, and the alpha that PReLU learns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pipeline.data import DataShape
from pipeline.program.program import Program
from tests.program.configs import NUMBERS, data, order, program

POINTS = (-2.0, -0.5, 0.0, 1.0)
PHI = [0.5 * (1 + math.erf(x / math.sqrt(2))) for x in POINTS]
DENSITY = [math.exp(-x * x / 2) / math.sqrt(2 * math.pi) for x in POINTS]
HAND: list[tuple[dict[str, Any], dict[float, float]]] = [
    ({"kind": "elu"}, {-1.0: 1 / math.e - 1, 0.0: 0.0, 2.0: 2.0, -1e-9: -1e-9 + 5e-19, -1000.0: -1.0, 1000.0: 1000.0}),
    ({"kind": "elu", "alpha": 0.5}, {-1.0: 0.5 / math.e - 0.5}),
    ({"kind": "silu"}, {0.0: 0.0, math.log(3.0): 0.75 * math.log(3.0), -1000.0: 0.0, 1000.0: 1000.0}),
    ({"kind": "softplus"}, {0.0: math.log(2.0), math.log(3.0): math.log(4.0), 1000.0: 1000.0, -1000.0: 0.0}),
    ({"kind": "prelu"}, {-2.0: -0.5, 0.0: 0.0, 3.0: 3.0}),
    ({"kind": "prelu", "alpha": 2.0, "shared": True}, {-2.0: -4.0, 3.0: 3.0}),
    ({"kind": "gelu"}, {0.0: 0.0, 10.0: 10.0, -10.0: 0.0}),
    (
        {"kind": "gelu", "approximate": "none"},
        {**dict(zip(POINTS, [x * p for x, p in zip(POINTS, PHI, strict=True)], strict=True)), 10.0: 10.0, -10.0: 0.0},
    ),
]
SLOPES = [
    ({"kind": "elu"}, {-1.0: 1 / math.e, 0.0: 1.0, 2.0: 1.0, 1000.0: 1.0}),
    ({"kind": "silu"}, {0.0: 0.5, math.log(3.0): 0.75 + 0.75 * 0.25 * math.log(3.0)}),
    ({"kind": "softplus"}, {0.0: 0.5, math.log(3.0): 0.75}),
    ({"kind": "prelu"}, {-2.0: 0.25, 3.0: 1.0}),
    ({"kind": "gelu"}, {0.0: 0.5}),
    ({"kind": "gelu", "approximate": "none"}, {x: p + x * d for x, p, d in zip(POINTS, PHI, DENSITY, strict=True)}),
]


def single(activation: dict[str, Any], backend: str = "reference", **changes: Any) -> Program:
    """One number through the activation: x -> activation(x) -> itself."""
    made = program(
        1, shape=DataShape(input_shape=(1,), classes=None, targets=1), activation=activation, backend={"kind": backend}, **changes
    )
    made.load_parameters({**made.parameters(), "fc1.weight": [[1.0]], "fc2.weight": [[1.0]]})
    return made


@pytest.mark.parametrize("backend", ["reference", "numpy"])
@pytest.mark.parametrize(("activation", "expected"), HAND, ids=str)
def test_values(activation: dict[str, Any], expected: dict[float, float], backend: str) -> None:
    x = np.array(list(expected))[:, None]
    np.testing.assert_allclose(single(activation, backend).predict(x)[:, 0], list(expected.values()), rtol=1e-13, atol=1e-20)


def test_gelu_is_near_the_exact_one() -> None:
    x = np.array(POINTS)
    np.testing.assert_allclose(single({"kind": "gelu"}).predict(x[:, None])[:, 0], x * PHI, atol=5e-4)


@pytest.mark.parametrize("backend", ["reference", "numpy"])
@pytest.mark.parametrize(("activation", "expected"), SLOPES, ids=str)
def test_slopes(activation: dict[str, Any], expected: dict[float, float], backend: str) -> None:
    """The bias moves what the activation sees; with the target 1/2 below the prediction, the loss has slope 1 there."""
    made = single(activation, backend)
    for x, slope in expected.items():
        at = np.array([[x]])
        found = made.gradients(at, made.predict(at) - 0.5)["fc1.bias"][0]
        assert found == pytest.approx(slope, rel=1e-12), x


@pytest.mark.parametrize("backend", ["reference", "numpy"])
@pytest.mark.parametrize("shared", [False, True])
def test_the_gradient_of_alpha_sums_what_was_negative(shared: bool, backend: str) -> None:
    made = program(5, shape=NUMBERS, activation={"kind": "prelu", "shared": shared}, backend={"kind": backend})
    (x, y), p = data(8, NUMBERS), made.parameters()
    assert p["prelu1.alpha"].shape == ((1,) if shared else (5,)) and (p["prelu1.alpha"] == 0.25).all()
    z = x @ p["fc1.weight"] + p["fc1.bias"]
    error = np.where(z > 0, z, 0.25 * z) @ p["fc2.weight"] + p["fc2.bias"] - y
    sent = (2 * error / error.size) @ p["fc2.weight"].T
    expected = (sent * np.minimum(z, 0)).sum(0)
    np.testing.assert_allclose(made.gradients(x, y)["prelu1.alpha"], [expected.sum()] if shared else expected, rtol=1e-11)
    before = p["prelu1.alpha"]
    made.run(x, y, order(3, rows=8))
    assert (made.parameters()["prelu1.alpha"] != before).all()


@pytest.mark.parametrize("backend", ["reference", "numpy"])
@pytest.mark.parametrize("shared", [False, True])
def test_alpha_of_an_image_is_one_a_channel_or_one_a_layer(shared: bool, backend: str) -> None:
    images = DataShape(input_shape=(3, 4, 2), classes=None, targets=2)
    made = program(
        shape=images,
        architecture={"layers": [{"kind": "conv", "channels": 5, "kernel": 1}]},
        activation={"kind": "prelu", "shared": shared},
        backend={"kind": backend},
    )
    (x, y), p = data(8, images), made.parameters()
    assert p["prelu1.alpha"].shape == ((1,) if shared else (5,))
    z = x @ p["conv1.weight"][0, 0] + p["conv1.bias"]
    error = np.where(z > 0, z, 0.25 * z).reshape(8, -1) @ p["fc1.weight"] + p["fc1.bias"] - y
    sent = ((2 * error / error.size) @ p["fc1.weight"].T).reshape(z.shape)
    expected = (sent * np.minimum(z, 0)).sum((0, 1, 2))
    np.testing.assert_allclose(made.gradients(x, y)["prelu1.alpha"], [expected.sum()] if shared else expected, rtol=1e-10)


def test_alpha_is_not_decayed() -> None:
    """At a learning rate next to nothing a decay of 1e300 times it would take half of what it touches."""
    changes = {"optimizer": {"kind": "sgd", "learning_rate": 1e-300}, "regularization": {"weight_decay": 0.5e300}}
    made, (x, y) = program(5, activation={"kind": "prelu"}, **changes), data()
    before = made.parameters()
    made.run(x, y, order(1))
    after = made.parameters()
    np.testing.assert_array_equal(after["prelu1.alpha"], before["prelu1.alpha"])
    np.testing.assert_allclose(after["fc1.weight"], before["fc1.weight"] / 2, rtol=1e-12)
    assert program(5, activation={"kind": "prelu"}, regularization={"l2": 1.0}).penalty() == pytest.approx(
        0.5 * sum(float(np.sum(v**2)) for name, v in program(5).parameters().items() if name.endswith("weight"))
    )
