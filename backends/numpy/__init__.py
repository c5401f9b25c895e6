"""The NumPy backend: arrays are NumPy, the whole step is native code."""

from __future__ import annotations

from backends.numpy.executor import NumpyBackend, create

__all__ = ["NumpyBackend", "create"]
