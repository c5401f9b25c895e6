"""What backend=auto takes with a GPU, by the model of a step's cost; the GPU is one that writes down what is asked of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import backends
import pipeline
from backends import cost
from backends.contract import Plan
from backends.cupy import CupyBackend, probe
from backends.numpy.machine import processor
from pipeline.cli import main
from pipeline.errors import ConfigError
from tests.cuda.recording import RecordingDevice

SMALL = ("architecture=mlp_small", "data.input_shape=[64]", "data.classes=10", "data=npz", "training.batch_size=32")
LARGE = (
    "architecture.layers=[{kind: dense, units: 512}, {kind: dense, units: 512}]", "normalization=batch", "regularization=dropout",
    "data=npz", "data.input_shape=[784]", "data.classes=10", "training.batch_size=128",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _an_h200_and_two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "available", lambda: (True, "H200, cupy 14.2.0"))
    monkeypatch.setattr("backends.cupy.create", lambda **_: CupyBackend(RecordingDevice()))
    monkeypatch.setattr(processor, "usable_cores", lambda: 2)


def _chosen(*overrides: str, trials: int = 1) -> tuple[str, str]:
    config = pipeline.compose([*overrides, "backend=auto", "tracking=none"])
    structure = (pipeline.compile(config) if trials == 1 else pipeline.stack([config] * trials).programs[0]).structure
    return structure.backend.name, structure.backend_reason


def test_a_network_of_3000_weights_stays_on_the_cpu_and_says_why() -> None:
    kind, reason = _chosen(*SMALL)
    assert kind == "numpy"
    assert re.fullmatch(r"auto: a step is estimated at \d+ us on 2 cores, \d+ us on H200, a model that was measured on no GPU", reason), (
        reason
    )


def test_64_of_them_in_a_stack_go_to_the_gpu() -> None:
    kind, reason = _chosen(*SMALL, trials=64)
    assert kind == "cupy" and reason.startswith("auto: a step of 64 trials is estimated at ")


@pytest.mark.parametrize("more", [(), ("architecture=cnn_small", "data.input_shape=[28,28,1]")])
def test_a_large_network_goes_to_the_gpu(more: tuple[str, ...]) -> None:
    assert _chosen(*LARGE, *more)[0] == "cupy"


def test_what_has_no_source_stays_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.cupy.source.program.MOST", 1000)
    kind, reason = _chosen(*LARGE)
    assert kind == "numpy" and reason.startswith("auto: no cupy, more than 1,000 numbers in a tensor of ")


def test_the_choice_is_a_note_of_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ("data=digits", "architecture=mlp_small", "backend=auto", "training.epochs=1", "tracking=none")
    assert main(list(asked)) == 0
    assert "note: backend=numpy (auto: a step is estimated at " in capsys.readouterr().out.replace("\n", " ")


def _plan(*overrides: str) -> Plan:
    structure = pipeline.compile(pipeline.compose([*overrides, "tracking=none"])).structure
    return structure.compiled("train", structure.batch_size).plan


def test_the_operations_of_a_plan_are_those_of_its_products() -> None:
    """Forward and both gradients; the first layer's input has none."""
    found = sum(cost.operations(call) for call in _plan(*LARGE).calls)
    products = 2 * 128 * (2 * 784 * 512 + 3 * 512 * 512 + 3 * 512 * 10)
    assert products < found < 1.1 * products


@pytest.mark.parametrize(("overrides", "trials", "measured"), [(LARGE, 1, 2730e-6), (SMALL, 1, 15.5e-6), (SMALL, 64, 64 * 9.1e-6)])
def test_the_model_of_the_cpu_is_within_a_factor_of_two_of_what_was_measured(
    overrides: tuple[str, ...], trials: int, measured: float
) -> None:
    """benchmarks/RESULTS.md: mlp, mlp_small, mlp_small_64_trials, on two cores with AVX-512."""
    found = cost.seconds(_plan(*overrides), trials, cost.processor(2, 64))
    assert measured / 2 < found < 2 * measured


def test_more_trials_and_less_machine_never_take_less() -> None:
    plan = _plan(*SMALL)
    gpu = CupyBackend(RecordingDevice())
    times = [gpu.seconds(plan, trials) for trials in (1, 8, 64, 512, 4096)]
    assert times == sorted(times) and times[0] > 2.2e-6 * len(gpu.load(plan).made.kernels) * 0.9
    assert cost.seconds(plan, 1, cost.processor(1, 32)) > cost.seconds(plan, 1, cost.processor(2, 64))


def test_capture_is_a_setting_of_the_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[bool]()

    def create(*, captured: bool = True, **_: object) -> CupyBackend:
        made.append(captured)
        return CupyBackend(RecordingDevice(), captured=captured)

    monkeypatch.setattr("backends.cupy.create", create)
    assert isinstance(backends.load("cupy"), CupyBackend)
    pipeline.compile(pipeline.compose([*SMALL, "backend=cupy", "backend.capture=false", "tracking=none"]))
    assert made == [True, False]
    with pytest.raises(ConfigError) as caught:
        pipeline.compile(pipeline.compose([*SMALL, "backend=numpy", "+backend.capture=false", "tracking=none"]))
    assert str(caught.value) == "backend.capture = false: only steps on a GPU are captured; use backend=cupy, or leave it out"


def test_the_trials_of_a_sweep_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two small networks stay on the CPU, sixty-four go to the GPU: here, where no device answers, they are only planned."""
    monkeypatch.chdir(tmp_path)
    chosen = list[tuple[str, int]]()
    choose = backends.choose

    def noted(kind: str, plan: Any = None, trials: int = 1) -> tuple[str, str]:
        found = choose(kind, plan, trials)
        chosen.append((found[0], trials))
        return "numpy", found[1]

    monkeypatch.setattr(backends, "choose", noted)
    small = ["-m", "data=digits", "architecture=mlp_small", "training.batch_size=32", "backend=auto", "tracking=none", "sweep.dry_run=true"]
    for seeds in ("0,1", "range(0,64)"):
        assert main([*small, f"seed={seeds}"]) == 0
    assert [one for one in chosen if one[1] > 1] == [("numpy", 2), ("cupy", 64)]
