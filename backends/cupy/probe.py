"""Whether CuPy can run on this machine, and the reason when it cannot."""

from __future__ import annotations

INSTALL = "pip install '.[cuda13]' brings it"


def available() -> tuple[bool, str]:
    """(True, device) when a GPU is usable, else (False, reason).

    Asks in the order in which things are missing in practice: CuPy, driver, device, NVRTC (which compiles
    the kernels).  Importing CuPy proves nothing: it succeeds without a driver.
    """
    try:
        import cupy  # noqa: PLC0415  # an optional heavy dependency, 0.4 s to import
    except ImportError:
        return False, f"cupy is not installed ({INSTALL})"
    runtime = cupy.cuda.runtime
    try:
        if runtime.driverGetVersion() == 0:
            return False, "no NVIDIA driver is installed"
        if runtime.getDeviceCount() == 0:
            return False, "no CUDA device is visible"
    except runtime.CUDARuntimeError as error:
        return False, f"the CUDA runtime refuses: {error}"
    try:
        cupy.cuda.nvrtc.getVersion()
    except (RuntimeError, ImportError, OSError) as error:
        return False, f"NVRTC cannot be loaded: {_first_line(error)} ({INSTALL})"
    name = runtime.getDeviceProperties(0)["name"].decode()
    return True, f"{name}, cupy {cupy.__version__}"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
