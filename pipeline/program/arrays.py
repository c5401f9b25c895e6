"""Arrays of other libraries as rows, and predictions as such arrays again: what has `__dlpack__` or `__cuda_array_interface__`."""

# N rows
from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from pipeline.graph.values import Array

S = TypeVar("S")

CPU = 1  # of DLPack's kinds of devices


def as_given(predict: Callable[[S, Any], Array]) -> Callable[[S, Any], Any]:
    """`predict`, a method of rows x [N, ...], for arrays of other libraries too: its result [N, ...] is of the library that x is of."""

    @wraps(predict)
    def of_any(self: S, x: Any) -> Any:
        rows, again = on_host(x)
        return again(predict(self, rows))

    return of_any


def on_host(x: Any) -> tuple[Any, Callable[[Array], Any]]:
    """x [N, ...] as NumPy can read it, and what makes of a result [N, ...] an array of the library and the device that x is of.

    What is no such array is itself, and its results stay NumPy's.  An array on a GPU is copied to the host and its results back.
    """
    if isinstance(x, (np.ndarray, np.generic)) or not (hasattr(x, "__dlpack__") or hasattr(x, "__cuda_array_interface__")):
        return x, lambda result: result
    library = sys.modules.get(type(x).__module__.partition(".")[0])
    again = getattr(library, "from_dlpack", None)
    if hasattr(x, "__dlpack_device__") and x.__dlpack_device__()[0] == CPU:
        return np.from_dlpack(x), again or (lambda result: result)
    import cupy  # noqa: PLC0415  # who has an array on a GPU has it, and nobody else needs it

    given = cupy.from_dlpack(x) if hasattr(x, "__dlpack__") else cupy.asarray(x)
    back = again if library is not None and library is not cupy and again else (lambda result: result)
    return given.get(), lambda result: back(cupy.asarray(result))
