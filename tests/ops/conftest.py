"""The backends that the op tests run on."""

from __future__ import annotations

import importlib.util

import pytest

import backends
from backends.contract import Backend
from backends.cupy import CupyBackend
from backends.cupy.probe import available
from tests.cuda.shim import ShimDevice, compiler

USABLE, REASON = available()
NUMPY_BACKEND = importlib.util.find_spec("backends.numpy") is not None
PRESENT = (
    "reference",
    pytest.param("numpy", marks=pytest.mark.skipif(not NUMPY_BACKEND, reason="backends/numpy is not here")),
    pytest.param("cupy in the shim", marks=[pytest.mark.integration, pytest.mark.skipif(not compiler(), reason="no C++ compiler")]),
    pytest.param("cupy", marks=[pytest.mark.gpu, pytest.mark.skipif(not USABLE, reason=f"not run on a GPU: {REASON}")]),
)


# where examples are many: the shim compiles each by itself
QUICK = (*PRESENT[:2], *PRESENT[3:])


def load(name: str) -> Backend:
    return CupyBackend(ShimDevice()) if name == "cupy in the shim" else backends.load(name)


@pytest.fixture(params=PRESENT, scope="session")
def backend(request: pytest.FixtureRequest) -> Backend:
    """Every backend of this machine, and the CuPy backend's CUDA C on the CPU."""
    return load(request.param)


@pytest.fixture(params=PRESENT[1:], scope="session")
def other(request: pytest.FixtureRequest) -> Backend:
    """Every backend but the reference, to be compared with it."""
    return load(request.param)


@pytest.fixture(scope="session")
def reference() -> Backend:
    """The oracle."""
    return backends.load("reference")
