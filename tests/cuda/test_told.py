"""What is told of the CUDA program where it cannot run: its source, its memory, its refusals, and the machine."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import pipeline
from backends.cupy import CupyBackend, probe
from backends.cupy.source import body, program
from backends.facts import held
from pipeline.cli import main
from pipeline.errors import BackendError, ConfigError
from tests.cuda.beside import needs_compiler, on
from tests.cuda.recording import RecordingDevice
from tests.cuda.shim import ShimDevice

SMALL = ("architecture=mlp_small", "tracking=none")


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "available", lambda: (False, "no NVIDIA driver is installed"))


def test_explain_prints_the_source_without_a_gpu(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert command("task=explain", "explain.parts=[program,memory]", "backend=cupy", *SMALL) == 0
    text = capsys.readouterr().out
    assert text.startswith("backend cupy (to be read: no NVIDIA driver is installed), float32, structure ")
    assert "// step train: 12 launches a step, whatever the number of trials, and one more a graph of 32 steps" in text
    assert 'extern "C" __global__ void __launch_bounds__(256) train_11(GIVEN) {' in text
    assert "peak: " in text and "not planned" not in text


def test_a_training_without_a_gpu_is_refused(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BackendError, match=r"^backend.kind = cupy: no NVIDIA driver is installed; use numpy$"):
        pipeline.compile(pipeline.compose(["backend=cupy", *SMALL]))


def test_an_op_without_source_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "functions", lambda: frozenset({"add", "maximum"}))
    with on(CupyBackend(RecordingDevice())):
        made = pipeline.compile(pipeline.compose(["architecture=linear", "data=diabetes", "tracking=none"]))
    with pytest.raises(BackendError, match=r"^backend.kind = cupy: no CUDA source for mul, sub of .*; use numpy$"):
        made.structure.executable("train", made.batch_size)


def test_what_a_launch_has_no_room_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with on(CupyBackend(RecordingDevice())):
        structure = pipeline.compile(pipeline.compose(SMALL)).structure
    with pytest.raises(BackendError) as caught:
        structure.allocate(70_000)
    rule = "a launch has no room for 70,000 trials; use at most 65,535 trials in a stack"
    assert str(caught.value) == f"backend.kind = cupy: {rule}"
    monkeypatch.setattr(program, "MOST", 100)
    with pytest.raises(BackendError, match=r"^backend.kind = cupy: more than 100 numbers in a tensor of .*; use numpy$"):
        structure.executable("train", structure.batch_size)


def test_what_does_not_fit_the_device_is_refused_with_the_sizes_before_anything_is_allocated() -> None:
    device = RecordingDevice(room=16 * 2**20)
    config = pipeline.compose(["architecture.layers=[{kind: dense, units: 512}]", "training.batch_size=128", "tracking=none"])
    with on(CupyBackend(device)), pytest.raises(ConfigError) as caught:
        pipeline.stack([config] * 8)
    assert str(caught.value) == (
        "training.batch_size = 128: 8 trials take 39.8 MiB of the device's memory, and 16.0 MiB of it are free; "
        "use fewer than 4 trials in a stack, a smaller training.batch_size, or backend.recompute=true"
    )
    assert not device.rooms
    with on(CupyBackend(device)):
        assert pipeline.stack([config] * 3).programs


def test_the_doctor_says_what_is_here_and_what_it_decides(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert command("task=doctor", "scope=machine", "tracking.uri=sqlite:///of_mine.db") == 0
    lines = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert list(lines) == [
        "Python", "numpy", "hydra-core", "mlflow", "LLVM", "processor", "CPU features", "cores", "CuPy", "NVIDIA driver", "GPU",
        "backend=auto", "cache of native code", "cache of code for GPUs", "cache of tables", "MLflow store",
    ]  # fmt: skip
    assert "no NVIDIA driver is installed" in lines["GPU"] and "unmeasured" not in lines["backend=auto"]
    assert "of_mine.db" in lines["MLflow store"]


def test_the_scope_belongs_to_the_doctor(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert command("task=explain", "scope=machine") == 2
    assert capsys.readouterr().err == "error: scope = machine: only task=doctor reads it; leave it out\n"


def test_a_cache_that_others_tidy_up_meanwhile_is_no_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("kept", "gone"):
        (tmp_path / name).write_bytes(b"code")
    monkeypatch.setattr(Path, "rglob", lambda folder, pattern: iter((folder / "kept", folder / "removed just now", folder / "gone")))
    assert held(tmp_path) == f"{tmp_path}, 2 files, 0.0 MiB"


@needs_compiler
@pytest.mark.integration
def test_a_run_tells_what_it_takes_of_the_device(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device = ShimDevice()
    monkeypatch.setattr(device, "free", lambda: 2**30)
    monkeypatch.setattr(probe, "available", lambda: (True, "a shim"))
    monkeypatch.setattr("backends.cupy.create", lambda **_: CupyBackend(device))
    monkeypatch.chdir(tmp_path)
    assert main(["backend=cupy", "training.epochs=1", *SMALL]) == 0
    assert re.search(r"note: device memory: \d+\.\d MiB planned for a trial, 1,024\.0 MiB free", capsys.readouterr().out)
