"""Whether CuPy can run on this machine, and the reason when it cannot."""

from __future__ import annotations

import os

INSTALL = "pip install '.[cuda13]' brings it"


OLDEST = 75  # sm_75: what CUDA 13 still compiles for


def available() -> tuple[bool, str]:
    """(True, device) when a GPU is usable, else (False, what is missing and how to get it).

    Asks in the order in which things are missing in practice: CuPy, driver, its age, device, NVRTC (which compiles the kernels).
    Importing CuPy proves nothing: it succeeds without a driver.
    """
    try:
        import cupy  # noqa: PLC0415  # an optional heavy dependency, 0.4 s to import
    except ImportError:
        return False, f"cupy is not installed ({INSTALL})"
    runtime = cupy.cuda.runtime
    try:
        driver, needed = runtime.driverGetVersion(), runtime.runtimeGetVersion()
        if driver == 0:
            return (
                False,
                "no NVIDIA driver is installed (NVIDIA's package for this system brings it; where it works, nvidia-smi lists the GPU)",
            )
        if driver // 1000 < needed // 1000:
            rule = f"the NVIDIA driver is of CUDA {_version(driver)}, and this cupy of {_version(needed)}"
            return False, f"{rule} (install a driver of CUDA {needed // 1000}, or cupy-cuda{driver // 1000}x)"
        if runtime.getDeviceCount() == 0:
            return (
                False,
                "no CUDA device is visible (nvidia-smi lists those there are; CUDA_VISIBLE_DEVICES hides the ones it does not name)",
            )
    except runtime.CUDARuntimeError as error:
        return False, f"the CUDA runtime refuses: {error}"
    try:
        cupy.cuda.nvrtc.getVersion()
    except (RuntimeError, ImportError, OSError) as error:
        return False, f"NVRTC cannot be loaded: {_first_line(error)} ({INSTALL})"
    properties = runtime.getDeviceProperties(runtime.getDevice())
    name, architecture = properties["name"].decode(), 10 * properties["major"] + properties["minor"]
    if architecture < OLDEST:
        return False, f"{name} is of sm_{architecture}, and CUDA 13 compiles for sm_{OLDEST} and newer (cupy-cuda12x knows it)"
    memory = f"{properties['totalGlobalMem'] / 2**30:,.0f} GiB"
    return True, f"{name} (sm_{architecture}, {memory}), driver of CUDA {_version(driver)}, cupy {cupy.__version__}"


def _version(number: int) -> str:
    """13020 -> 13.2"""
    return f"{number // 1000}.{number % 1000 // 10}"


def devices() -> tuple[str, ...]:
    """The devices that this process may use, by the names that CUDA_VISIBLE_DEVICES knows them by; none without CuPy or a driver."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return tuple(name.strip() for name in given.split(",") if name.strip())
    try:
        import cupy  # noqa: PLC0415  # an optional heavy dependency: who asks has a backend that needs it
    except ImportError:
        return ()
    try:
        return tuple(map(str, range(cupy.cuda.runtime.getDeviceCount())))
    except cupy.cuda.runtime.CUDARuntimeError:
        return ()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
