"""The CuPy backend in the shim beside the NumPy backend: one config, one machine, the same bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from backends.contract import Backend
from backends.cupy import CupyBackend
from pipeline.program import make
from tests.cuda.shim import ShimDevice, compiler
from tests.golden.cases import Golden
from tests.golden.record import losses, programs

needs_compiler = pytest.mark.skipif(not compiler(), reason="no C++ compiler: neither g++ nor clang++ nor the ziglang wheel is here")


@contextmanager
def on(backend: Backend) -> Iterator[None]:
    """Every program that is compiled inside runs on `backend`."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(make, "load_backend", lambda config, shape, *, trials=1, reads=False: (backend, "of a test"))
        yield


def bits(case: Golden, backend: Backend | None = None) -> list[str]:
    """Losses in hexadecimal, digests of all that training changed and of a prediction, a line for each trial."""
    if backend is None:
        return list(losses(case, *programs(case)))
    with on(backend):
        return list(losses(case, *programs(case)))


def in_shim(case: Golden, device: ShimDevice | None = None, *, captured: bool = True) -> list[str]:
    """The same in the shim."""
    return bits(case, CupyBackend(device or ShimDevice(), captured=captured))
