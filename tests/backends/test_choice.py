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


def test_how_auto_chooses_with_a_gpu_is_told_without_a_network_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "available", lambda: A_GPU)
    how = "where a model of the cost of a step says that it is faster there"
    assert backends.choose("auto") == ("numpy", f"or cupy, on NVIDIA H200, cupy 14.2.0, {how}")


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


SEEN = "nvidia-smi lists those there are; CUDA_VISIBLE_DEVICES hides the ones it does not name"
HOW = "NVIDIA's package for this system brings it; where it works, nvidia-smi lists the GPU"


@pytest.mark.parametrize(
    ("driver", "devices", "nvrtc", "major", "expected"),
    [
        (0, lambda: 0, lambda: 13, 9, (False, f"no NVIDIA driver is installed ({HOW})")),
        (
            12040, lambda: 1, lambda: 13, 9,
            (False, "the NVIDIA driver is of CUDA 12.4, and this cupy of 13.2 (install a driver of CUDA 13, or cupy-cuda12x)"),
        ),
        (13000, lambda: 0, lambda: 13, 9, (False, f"no CUDA device is visible ({SEEN})")),
        (13000, _refuse("cudaErrorInsufficientDriver"), lambda: 13, 9, (False, "the CUDA runtime refuses: cudaErrorInsufficientDriver")),
        (
            13000, lambda: 1, _refuse("libnvrtc.so\nlong"), 9,
            (False, "NVRTC cannot be loaded: libnvrtc.so (pip install '.[cuda13]' brings it)"),
        ),
        (
            13000, lambda: 1, lambda: 13, 6,
            (False, "NVIDIA H200 is of sm_60, and CUDA 13 compiles for sm_75 and newer (cupy-cuda12x knows it)"),
        ),
        (13000, lambda: 1, lambda: 13, 9, (True, "NVIDIA H200 (sm_90, 140 GiB), driver of CUDA 13.0, cupy 14.2.0")),
    ],
    ids=["no driver", "old driver", "no device", "refusing driver", "no nvrtc", "old device", "usable"],
)  # fmt: skip
def test_the_probe_names_the_first_thing_that_is_missing_and_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
    driver: int,
    devices: Callable[[], int],
    nvrtc: Callable[[], int],
    major: int,
    expected: tuple[bool, str],
) -> None:
    properties = {"name": b"NVIDIA H200", "major": major, "minor": 0, "totalGlobalMem": 140 * 2**30}
    runtime = SimpleNamespace(
        driverGetVersion=lambda: driver,
        runtimeGetVersion=lambda: 13020,
        getDeviceCount=devices,
        getDevice=lambda: 0,
        getDeviceProperties=lambda device: properties,
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
