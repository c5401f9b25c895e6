"""The generated CUDA C, executed on the CPU, gives the NumPy backend's bits: losses, weights, slots, running statistics, predictions."""

# N rows, K trials, S steps, B batch rows
from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import backends
import pipeline
from backends.contract import Array, Backend
from backends.cupy import CupyBackend
from tests.cases import CASES as OPS
from tests.cases import Case
from tests.cuda.beside import bits, in_shim, needs_compiler, on
from tests.cuda.shim import ShimDevice
from tests.golden.cases import CASES, CONVOLUTIONS, IMAGES, SMALL, Golden
from tests.ops.test_kernels import results

pytestmark = needs_compiler
LONG = pytest.mark.integration

FEW = Golden(
    name="few", overrides=(SMALL, "normalization=batch", "regularization=dropout", "training.batch_size=16", "precision=float32"), steps=20
)
DIVERGES = (SMALL, "normalization=none", "optimizer=adam", "regularization=dropout", "training.batch_size=16")


AVERAGED = Golden(
    name="averaged",
    overrides=(SMALL, "normalization=batch", "averaging=ema", "averaging.decay=0.9", "training.batch_size=16", "precision=float32"),
    steps=9,
)


GATHERED = Golden(
    name="gathered",
    overrides=(SMALL, "regularization.l2=0.01", "training.batch_size=16", "training.accumulate=3", "precision=float32"),
    steps=5,
)
GATHERED_IMAGES = Golden(
    name="gathered images",
    overrides=(CONVOLUTIONS, *IMAGES, "normalization=batch", "training.batch_size=4", "training.accumulate=2", "precision=float32"),
    steps=3,
)


@LONG
@pytest.mark.parametrize("case", [GATHERED, GATHERED_IMAGES], ids=lambda case: case.name)
def test_gradients_of_micro_batches_have_the_bits_of_the_native_code(case: Golden) -> None:
    assert in_shim(case) == bits(case)


@LONG
def test_averages_of_the_weights_have_the_bits_of_the_native_code() -> None:
    assert in_shim(AVERAGED) == bits(AVERAGED)


def test_a_network_with_batch_norm_and_dropout_has_the_bits_of_the_native_code() -> None:
    assert in_shim(FEW) == bits(FEW)


# the start of a training is the host's; configs of experiments repeat what the others have
OWN = [case for case in CASES if not case.name.startswith(("initialization/", "experiment/"))]


# those of float32 in float64 too
TWICE = [
    replace(case, overrides=(*case.overrides, "precision=float64"), name=f"{case.name} in float64", steps=min(case.steps, 20))
    for case in OWN
    if not case.slow and not any(word.startswith("precision=") for word in case.overrides)
]


@LONG
@pytest.mark.parametrize("case", [pytest.param(c, marks=[pytest.mark.slow] if c.slow else [], id=c.name) for c in (*OWN, *TWICE)])
def test_every_config_on_record_has_the_bits_of_the_native_code(case: Golden) -> None:
    assert in_shim(case) == bits(case)


def _trained(trials: int, precision: str, backend: Backend | None) -> tuple[Array, list[bytes]]:
    """Losses [K, 40] and states of a stack whose second trial, or the only one, ends in a loss that is not finite."""
    cfg = pipeline.compose([*DIVERGES, f"precision={precision}", "backend.threads=1"])
    configs: list[Any] = []
    for trial in range(trials):
        # a learning rate beyond all measure: the weights outgrow the type after some steps
        rate = 10.0 ** (18 if precision == "float32" else 150) if trial == min(1, trials - 1) else 0.001 * (1 + trial)
        configs.append({**cfg, "seed": trial, "optimizer": {**cfg["optimizer"], "learning_rate": rate}})
    if backend is None:
        stack = pipeline.stack(configs)
    else:
        with on(backend):
            stack = pipeline.stack(configs)
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(64, *stack.programs[0].structure.network.input_shape)), rng.integers(0, 10, 64)
    order = rng.integers(0, 64, (trials, 40, 16))
    losses = stack.run(x, y, order)
    states = [b"".join(value.tobytes() for _, value in sorted(program.state().items())) for program in stack.programs]
    return losses, states


@pytest.mark.parametrize(
    ("trials", "precision"),
    [
        (3, "float32"),
        *(pytest.param(k, p, marks=LONG) for k, p in ((1, "float32"), (17, "float32"), (1, "float64"), (3, "float64"), (17, "float64"))),
    ],
)
def test_a_trial_that_diverges_stops_there_and_leaves_the_others_alone(trials: int, precision: str) -> None:
    wanted, states = _trained(trials, precision, None)
    found, own = _trained(trials, precision, CupyBackend(ShimDevice()))
    lost = np.isnan(wanted).sum(1)
    assert (lost > 0).sum() == 1 and (lost < 40).all(), "one of them diverges, and after some steps"
    assert found.tobytes() == wanted.tobytes()
    assert own == states


@LONG
@pytest.mark.parametrize("steps", [72, 300])
def test_graphs_of_steps_are_single_steps(steps: int) -> None:
    """Graphs of 32 and the rest by themselves; or each kernel launched by itself.  300 steps are two parts of a run."""
    case = Golden(name="long", overrides=FEW.overrides, steps=steps)
    assert in_shim(case) == in_shim(case, captured=False) == bits(case)


@LONG
def test_a_trial_that_stopped_stays_so_in_the_later_parts_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.cupy.executor.MOST_STEPS", 8)
    wanted, states = _trained(3, "float32", None)
    found, own = _trained(3, "float32", CupyBackend(ShimDevice()))
    assert found.tobytes() == wanted.tobytes() and own == states


@LONG
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("case", OPS, ids=lambda case: case.op)
def test_every_op_has_the_bits_of_the_native_code(case: Case, precision: str) -> None:
    found, wanted = (results(backend, case, precision) for backend in (CupyBackend(ShimDevice()), backends.load("numpy")))
    assert {name: value.tobytes() for name, value in found.items()} == {name: value.tobytes() for name, value in wanted.items()}
