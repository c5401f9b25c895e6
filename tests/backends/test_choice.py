"""Which backend a kind stands for, and the sentence when it cannot run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

import backends
from backends.cupy import probe

NO_GPU = (False, "no NVIDIA driver is installed")
A_GPU = (True, "NVIDIA H200, cupy 14.2.0")


def test_auto_takes_numpy_without_a_gpu_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "available", lambda: NO_GPU)
    assert backends.choose("auto") == ("numpy", "no usable GPU: no NVIDIA driver is installed")


def test_auto_takes_numpy_with_a_gpu_too_as_nothing_is_measured_there_and_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "available", lambda: A_GPU)
    assert backends.choose("auto") == ("numpy", "a GPU is here, NVIDIA H200, cupy 14.2.0, unmeasured: backend=cupy takes it")


def test_cupy_without_a_gpu_is_an_error_and_never_another_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "available", lambda: NO_GPU)
    with pytest.raises(backends.Unavailable) as caught:
        backends.load("cupy")
    assert str(caught.value) == "backend.kind = cupy: no NVIDIA driver is installed; use numpy"


def test_a_named_backend_is_taken_without_asking_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "available", lambda: pytest.fail("the probe was asked"))
    assert backends.choose("reference") == ("reference", "asked for by name")
    assert backends.load("reference", threads=2).name == "reference"


def test_the_probe_says_that_cupy_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert probe.available() == (False, "cupy is not installed (pip install '.[cuda13]' brings it)")


class _Refused(RuntimeError):
    """Stands for CuPy's CUDARuntimeError."""


def _refuse(text: str) -> Callable[[], int]:
    def raise_() -> int:
        raise _Refused(text)

    return raise_


@pytest.mark.parametrize(
    ("driver", "devices", "nvrtc", "expected"),
    [
        (0, lambda: 0, lambda: 13, (False, "no NVIDIA driver is installed")),
        (13000, lambda: 0, lambda: 13, (False, "no CUDA device is visible")),
        (13000, _refuse("cudaErrorInsufficientDriver"), lambda: 13, (False, "the CUDA runtime refuses: cudaErrorInsufficientDriver")),
        (
            13000,
            lambda: 1,
            _refuse("libnvrtc.so\nlong"),
            (False, "NVRTC cannot be loaded: libnvrtc.so (pip install '.[cuda13]' brings it)"),
        ),
        (13000, lambda: 1, lambda: 13, (True, "NVIDIA H200, cupy 14.2.0")),
    ],
    ids=["no driver", "no device", "old driver", "no nvrtc", "usable"],
)
def test_the_probe_names_the_first_thing_that_is_missing(
    monkeypatch: pytest.MonkeyPatch,
    driver: int,
    devices: Callable[[], int],
    nvrtc: Callable[[], int],
    expected: tuple[bool, str],
) -> None:
    runtime = SimpleNamespace(
        driverGetVersion=lambda: driver,
        getDeviceCount=devices,
        getDeviceProperties=lambda device: {"name": b"NVIDIA H200"},
        CUDARuntimeError=_Refused,
    )
    cuda = SimpleNamespace(runtime=runtime, nvrtc=SimpleNamespace(getVersion=nvrtc))
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda, __version__="14.2.0"))
    monkeypatch.setitem(sys.modules, "cupy.cuda", cuda)
    assert probe.available() == expected


def test_importing_the_backends_imports_no_backend() -> None:
    heavy = ("backends.", "cupy", "numba", "llvmlite")
    code = f"import sys, backends, backends.contract; print(sorted(m for m in sys.modules if m.startswith({heavy})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['backends.contract']"
