"""Each optimizer for ten steps beside PyTorch's, at the settings that correspond; where PyTorch's definition is another, it is said.

The same in both: epsilon is added to the root in adam, adamw, amsgrad, nadam (after the bias correction), rmsprop and adagrad, and under
the root in adadelta; adamw multiplies its decay by the learning rate; adadelta's learning rate is 1 by default.

Not the same:
    rmsprop   PyTorch's alpha is our decay (0.99 there, 0.9 here by default); TensorFlow adds epsilon under the root, neither of us does
    momentum  ema is PyTorch's dampening = momentum, but PyTorch starts its buffer with the whole first gradient, not with (1 - momentum)
              of it; a buffer of zeros makes both the same
    amsgrad   the bias correction is that of PyTorch; bias_correction: false is the paper's, which PyTorch does not have
    adamw     PyTorch decays all that it is given; ours leaves biases out, so they are a group without decay there
    defaults  PyTorch's sgd has learning rate 1e-3, adagrad 0.01, adadelta 1 with rho 0.9 (0.95 here, as in the paper), nadam 2e-3
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.optimizers import OPTIMIZERS
from pipeline.recipe.course import Course
from tests.parity.beside import VECTORS, beside, compiled

pytestmark = pytest.mark.parity
MOMENTS = {"beta1": 0.8, "beta2": 0.98, "epsilon": 1e-6}
PEER_MOMENTS = {"betas": (0.8, 0.98), "eps": 1e-6}


def ema(optim: Any, weights: list[Any], others: list[Any]) -> Any:
    """dampening = momentum, over buffers that start at 0."""
    made = optim.SGD([*weights, *others], lr=0.3, momentum=0.8, dampening=0.8)
    for tensor in (*weights, *others):
        made.state[tensor]["momentum_buffer"] = tensor.detach() * 0
    return made


# our optimizer, and PyTorch's of (torch.optim, weights, other tensors)
CASES: dict[str, tuple[dict[str, Any], Callable[[Any, list[Any], list[Any]], Any]]] = {
    "sgd": ({"kind": "sgd", "learning_rate": 0.2}, lambda o, w, b: o.SGD([*w, *b], lr=0.2)),
    "momentum": (
        {"kind": "momentum", "learning_rate": 0.05, "momentum": 0.8},
        lambda o, w, b: o.SGD([*w, *b], lr=0.05, momentum=0.8),
    ),
    "momentum as a weighted average": ({"kind": "momentum", "learning_rate": 0.3, "momentum": 0.8, "convention": "ema"}, ema),
    "nesterov": (
        {"kind": "nesterov", "learning_rate": 0.05, "momentum": 0.8},
        lambda o, w, b: o.SGD([*w, *b], lr=0.05, momentum=0.8, nesterov=True),
    ),
    "adagrad": (
        {"kind": "adagrad", "learning_rate": 0.05, "epsilon": 1e-8},
        lambda o, w, b: o.Adagrad([*w, *b], lr=0.05, eps=1e-8),
    ),
    "rmsprop": (
        {"kind": "rmsprop", "learning_rate": 0.01, "decay": 0.9, "epsilon": 1e-4},
        lambda o, w, b: o.RMSprop([*w, *b], lr=0.01, alpha=0.9, eps=1e-4),
    ),
    "adadelta": (
        {"kind": "adadelta", "learning_rate": 3.0, "decay": 0.9, "epsilon": 1e-4},
        lambda o, w, b: o.Adadelta([*w, *b], lr=3.0, rho=0.9, eps=1e-4),
    ),
    "adam": ({"kind": "adam", "learning_rate": 0.01, **MOMENTS}, lambda o, w, b: o.Adam([*w, *b], lr=0.01, **PEER_MOMENTS)),
    "adamw": (
        {"kind": "adamw", "learning_rate": 0.01, **MOMENTS, "weight_decay": 0.3},
        lambda o, w, b: o.AdamW([{"params": w, "weight_decay": 0.3}, {"params": b, "weight_decay": 0.0}], lr=0.01, **PEER_MOMENTS),
    ),
    "amsgrad": (
        {"kind": "amsgrad", "learning_rate": 0.01, **MOMENTS},
        lambda o, w, b: o.Adam([*w, *b], lr=0.01, amsgrad=True, **PEER_MOMENTS),
    ),
    "nadam": (
        {"kind": "nadam", "learning_rate": 0.01, **MOMENTS, "momentum_decay": 0.05},
        lambda o, w, b: o.NAdam([*w, *b], lr=0.01, momentum_decay=0.05, **PEER_MOMENTS),
    ),
}


def layers() -> list[dict[str, Any]]:
    return [{"kind": "dense", "units": 12}, {"kind": "dense", "units": 7}]


def forward(n: Any, x: Any) -> Any:
    return n.dense(n.dense(n.dense(x, "fc1").tanh(), "fc2").tanh(), "fc3")


@pytest.mark.parametrize("case", CASES)
def test_optimizers(case: str, torch: Any) -> None:
    optimizer, theirs = CASES[case]
    made = compiled(VECTORS, layers(), activation="tanh", optimizer=optimizer)
    beside(torch, VECTORS, made, forward, optimizer=lambda weights, others: theirs(torch.optim, weights, others))


def test_every_optimizer_has_a_case() -> None:
    assert {optimizer["kind"] for optimizer, _ in CASES.values()} == set(OPTIMIZERS) - {"formula"}


def max_norm(bound: float) -> Callable[[Any], None]:
    """PyTorch's renorm over the units, which are the last axis here."""

    def after(n: Any) -> None:
        for name, tensor in n.p.items():
            if name.endswith("weight"):
                tensor.copy_(tensor.renorm(2, -1, bound))

    return after


def penalty(of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda n: sum(of(tensor) for name, tensor in n.p.items() if name.endswith("weight"))


# our regularization, and what PyTorch is told: its optimizer's decay, a term of the loss, or what happens around a step
REGULARIZED: dict[str, tuple[dict[str, Any], Callable[[Any], dict[str, Any]]]] = {
    "l2 as the weight decay of SGD": (
        {"l2": 0.05},
        lambda t: {
            "optimizer": lambda w, b: t.optim.SGD([{"params": w, "weight_decay": 0.05}, {"params": b}], lr=0.1),
            "penalty": penalty(lambda w: 0.025 * w.detach().square().sum()),  # for the number alone: the optimizer has its gradient
        },
    ),
    "l2 as a term": ({"l2": 0.05}, lambda t: {"penalty": penalty(lambda w: 0.025 * w.square().sum())}),
    "elastic net": ({"l1": 0.01, "l2": 0.02}, lambda t: {"penalty": penalty(lambda w: 0.01 * w.abs().sum() + 0.01 * w.square().sum())}),
    "clip_norm": ({"clip_norm": 0.2}, lambda t: {"clip": lambda n: t.nn.utils.clip_grad_norm_(n.p.values(), 0.2)}),
    "clip_value": ({"clip_value": 0.02}, lambda t: {"clip": lambda n: t.nn.utils.clip_grad_value_(n.p.values(), 0.02)}),
    "max_norm": ({"max_norm": 1.2}, lambda t: {"after": max_norm(1.2)}),
    "label_smoothing": (
        {"label_smoothing": 0.2},
        lambda t: {"loss": lambda z, y: t.nn.functional.cross_entropy(z, y, label_smoothing=0.2)},
    ),
}


@pytest.mark.parametrize("case", REGULARIZED)
def test_regularization(case: str, torch: Any) -> None:
    regularization, theirs = REGULARIZED[case]
    made = compiled(VECTORS, layers(), activation="tanh", regularization=regularization)
    beside(torch, VECTORS, made, forward, **theirs(torch))


# our schedule over 10 steps, and PyTorch's of (torch.optim.lr_scheduler, an optimizer), both at a learning rate of 0.2
SCHEDULES: dict[str, tuple[dict[str, Any], Callable[[Any, Any], Any]]] = {
    "step": ({"kind": "step", "every": 4, "factor": 0.3}, lambda s, o: s.StepLR(o, 4, 0.3)),
    "exponential": ({"kind": "exponential", "every": 1, "factor": 0.8}, lambda s, o: s.ExponentialLR(o, 0.8)),
    "cosine": ({"kind": "cosine", "floor": 0.1}, lambda s, o: s.CosineAnnealingLR(o, 10, 0.02)),
    "polynomial": ({"kind": "polynomial", "power": 2.0}, lambda s, o: s.PolynomialLR(o, 10, 2.0)),
    "cyclic": ({"kind": "cyclic", "half_cycle": 3, "floor": 0.25}, lambda s, o: s.CyclicLR(o, 0.05, 0.2, 3, cycle_momentum=False)),
    # PyTorch's first step is start_factor itself, ours 1 / warmup
    "warm-up": ({"kind": "constant", "warmup": 5}, lambda s, o: s.LinearLR(o, 1 / 5, 1.0, 4)),
}


@pytest.mark.parametrize("case", SCHEDULES)
def test_schedules(case: str, torch: Any) -> None:
    """PyTorch's one-cycle counts its shares over one step less, so it has no settings that correspond."""
    schedule, theirs = SCHEDULES[case]
    made = compiled(VECTORS, [], optimizer={"kind": "sgd", "learning_rate": 0.2}, schedule=schedule)
    made.follow(Course(total_steps=10))
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.2)
    scheduler, expected = theirs(torch.optim.lr_scheduler, optimizer), []
    for _ in range(10):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert [made.learning_rate(step) for step in range(10)] == pytest.approx(expected, rel=1e-9)
