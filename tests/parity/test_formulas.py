"""Formulas for ten steps beside PyTorch: functions that it has, and what it has not written with its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.formula.test_techniques import option
from tests.parity.beside import IMAGES, NUMBERS, VECTORS, beside, compiled

pytestmark = pytest.mark.parity
PRECISIONS = ("float32", "float64")
DENSE = [{"kind": "dense", "units": 12}]
ACTIVATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "mish": lambda f, x: f.mish(x),
    "hard_swish": lambda f, x: f.hardswish(x),
    "selu": lambda f, x: f.selu(x),
    "squared_relu": lambda f, x: f.relu(x) ** 2,
}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str, precision: str, torch: Any) -> None:
    made = compiled(VECTORS, DENSE, activation=option("activation", name), precision=precision)
    beside(torch, VECTORS, made, lambda n, x: n.dense(ACTIVATIONS[name](torch.nn.functional, n.dense(x, "fc1")), "fc2"))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_number_that_each_channel_learns(precision: str, torch: Any) -> None:
    layers = [{"kind": "conv", "channels": 5}]
    made = compiled(IMAGES, layers, activation=option("activation", "learned_swish"), precision=precision)

    def forward(n: Any, x: Any) -> Any:
        z = n.conv(x, "conv1", padding=1)
        return n.dense(z * (n.p["formula1.beta"] * z).sigmoid(), "fc1")

    beside(torch, IMAGES, made, forward)


def _lion(torch: Any, tensors: list[Any]) -> Any:
    """Algorithm 2 of Chen et al. 2023, written with PyTorch's tensors."""

    class Lion(torch.optim.Optimizer):  # type: ignore[misc, name-defined]  # the module is known when the test runs
        def step(self) -> None:
            for group in self.param_groups:
                for w in group["params"]:
                    m = self.state[w].setdefault("m", torch.zeros_like(w))
                    with torch.no_grad():
                        w -= group["lr"] * (0.9 * m + 0.1 * w.grad).sign()
                        m.mul_(0.99).add_(0.01 * w.grad)

    return Lion(tensors, {"lr": 1e-2})


@pytest.mark.parametrize("precision", PRECISIONS)
def test_lion(precision: str, torch: Any) -> None:
    made = compiled(VECTORS, DENSE, activation="tanh", optimizer=option("optimizer", "lion", learning_rate=1e-2), precision=precision)
    forward = lambda n, x: n.dense(n.dense(x, "fc1").tanh(), "fc2")  # noqa: E731
    beside(torch, VECTORS, made, forward, optimizer=lambda weights, others: _lion(torch, [*weights, *others]))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_log_cosh(precision: str, torch: Any) -> None:
    made = compiled(NUMBERS, DENSE, activation="tanh", loss=option("loss", "log_cosh"), precision=precision)
    forward = lambda n, x: n.dense(n.dense(x, "fc1").tanh(), "fc2")  # noqa: E731
    beside(torch, NUMBERS, made, forward, loss=lambda z, y: (z - y).cosh().log().mean())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_focal(precision: str, torch: Any) -> None:
    made = compiled(VECTORS, DENSE, activation="tanh", loss=option("loss", "focal"), precision=precision)
    forward = lambda n, x: n.dense(n.dense(x, "fc1").tanh(), "fc2")  # noqa: E731

    def loss(z: Any, y: Any) -> Any:
        own = z.log_softmax(-1).gather(1, y[:, None])[:, 0]
        return (-((1 - own.exp()) ** 2) * own).mean()

    beside(torch, VECTORS, made, forward, loss=loss)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_penalty(precision: str, torch: Any) -> None:
    given = {"penalty": {"kind": "formula", "weight": "strength * log1p(abs(w) / 0.1)", "values": {"strength": 1e-2}}}
    made = compiled(VECTORS, DENSE, activation="tanh", regularization=given, precision=precision)
    forward = lambda n, x: n.dense(n.dense(x, "fc1").tanh(), "fc2")  # noqa: E731

    def penalty(n: Any) -> Any:
        return 1e-2 * sum((w.abs() / 0.1).log1p().sum() for name, w in n.p.items() if name.endswith("weight"))

    beside(torch, VECTORS, made, forward, penalty=penalty)
