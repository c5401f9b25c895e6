"""What is used of CuPy exists, with that signature: CuPy imports without a driver, so this is known on any machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

cupy = pytest.importorskip("cupy", reason="cupy is not installed")
pytestmark = pytest.mark.integration

USED = {
    "cuda.runtime.getDevice": "()",
    "cuda.runtime.getDeviceCount": "()",
    "cuda.runtime.getDeviceProperties": "(int device)",
    "cuda.runtime.driverGetVersion": "()",
    "cuda.runtime.runtimeGetVersion": "()",
    "cuda.runtime.memcpyAsync": "(intptr_t dst, intptr_t src, size_t size, int kind, intptr_t stream)",
    "cuda.runtime.memsetAsync": "(intptr_t ptr, int value, size_t size, intptr_t stream)",
    "cuda.runtime.memGetInfo": "()",
    "cuda.runtime.deviceGetAttribute": "(int attrib, int device)",
    "cuda.runtime.deviceSynchronize": "()",
    "cuda.alloc": "(size)",
    "cuda.alloc_pinned_memory": "(size_t size)",
    "cuda.Stream.begin_capture": "(self, mode=None)",
    "cuda.Stream.end_capture": "(self)",
    "cuda.Stream.synchronize": "(self)",
    "cuda.Stream.wait_event": "(self, event)",
    "cuda.Graph.launch": "(self, stream=None)",
    "cuda.Event.record": "(self, stream=None)",
    "cuda.Event.synchronize": "(self)",
    "cuda.get_elapsed_time": "(start_event, end_event)",
    "cuda.nvrtc.createProgram": "(str src, str name, headers, include_names)",
    "cuda.nvrtc.compileProgram": "(intptr_t prog, options)",
    "cuda.nvrtc.getCUBIN": "(intptr_t prog)",
    "cuda.nvrtc.getPTX": "(intptr_t prog)",
    "cuda.nvrtc.getProgramLog": "(intptr_t prog)",
    "cuda.nvrtc.destroyProgram": "(intptr_t prog)",
    "cuda.nvrtc.getVersion": "()",
}


ARRAYS = {"asarray", "ascontiguousarray", "from_dlpack", "isfinite"}


def _found(path: str) -> object:
    value: object = cupy
    for name in path.split("."):
        value = getattr(value, name)
    return value


@pytest.mark.parametrize("path", USED)
def test_a_function_of_cupy_has_the_signature_that_is_used(path: str) -> None:
    """Compiled functions say their signature in the first line of their text."""
    first = (getattr(_found(path), "__doc__", None) or "").strip().splitlines()[0]
    assert re.sub(r" ->.*", "", first).endswith(f"{path.rsplit('.', 1)[1]}{USED[path]}"), first


def test_modules_and_kinds_of_copies_are_there() -> None:
    module = cupy.cuda.function.Module
    assert callable(module.load) and callable(module.get_function) and callable(cupy.cuda.function.Function.__call__)
    assert {cupy.cuda.runtime.memcpyHostToDevice, cupy.cuda.runtime.memcpyDeviceToHost, cupy.cuda.runtime.memcpyDeviceToDevice} == {1, 2, 3}
    assert issubclass(cupy.cuda.runtime.CUDARuntimeError, RuntimeError) and issubclass(cupy.cuda.nvrtc.NVRTCError, RuntimeError)


def test_functions_on_arrays_and_attributes_of_devices_are_there() -> None:
    assert all(callable(getattr(cupy, name)) for name in ARRAYS)
    text = (Path(__file__).parents[2] / "backends" / "cupy" / "cuda.py").read_text()
    asked = re.findall(r'attribute\("(\w+)"\)', text)
    assert len(asked) == 6
    assert all(isinstance(getattr(cupy.cuda.runtime, f"cudaDevAttr{name}"), int) for name in asked)
    first = cupy.cuda.Event.__init__.__doc__.splitlines()[0]
    assert "disable_timing=False" in first
    assert {"device", "data", "shape", "dtype"} <= set(dir(cupy.ndarray)) and "ptr" in dir(cupy.cuda.MemoryPointer)


def test_no_other_name_of_cupy_is_used() -> None:
    folder = Path(__file__).parents[2] / "backends" / "cupy"
    text = "\n".join((folder / name).read_text() for name in ("cuda.py", "compiler.py", "probe.py"))
    used = set(re.findall(r"(?:_runtime|runtime|nvrtc|_cuda|_cupy|stream|copies|cupy\.cuda)\.(\w+)", text))
    known = {path.rsplit(".", 1)[1] for path in USED} | {"Stream", "Event", "function", "nvrtc", "runtime", "ptr"}
    known |= ARRAYS | {"memcpyHostToDevice", "memcpyDeviceToHost", "memcpyDeviceToDevice", "CUDARuntimeError", "NVRTCError"}
    assert not used - known
