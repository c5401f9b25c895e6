"""Arrays of other libraries as rows, and predictions as such arrays again: what has `__dlpack__` or `__cuda_array_interface__`."""

# N rows
from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from backends.contract import Resident
from pipeline.graph.values import Array

S = TypeVar("S")

CPU = 1  # of DLPack's kinds of devices


def as_given(there: Callable[[Any, Any], Resident | None]) -> Callable[[Callable[[S, Any], Array]], Callable[[S, Any], Any]]:
    """Makes of a method that predicts rows x [N, ...] one for arrays of other libraries too: its result [N, ...] is of the library of x.

    there: predicts rows that lie on the device of the program's backend, and leaves the result there; None for rows that it does not take
    """

    def of_given(predict: Callable[[S, Any], Array]) -> Callable[[S, Any], Any]:
        @wraps(predict)
        def of_any(self: S, x: Any) -> Any:
            if not _of_another(x):
                return predict(self, x)
            made = there(self, x)
            if made is not None:
                return _as_array_of(x, made)
            rows, again = on_host(x)
            return again(predict(self, rows))

        return of_any

    return of_given


def _of_another(x: Any) -> bool:
    """Whether x is an array of another library than NumPy."""
    return not isinstance(x, (np.ndarray, np.generic)) and (hasattr(x, "__dlpack__") or hasattr(x, "__cuda_array_interface__"))


def _as_array_of(x: Any, made: Resident) -> Any:
    """`made` [N, ...] as an array of the library of x, without a copy; as it is where that library takes none."""
    name = type(x).__module__.partition(".")[0]
    library, cupy = sys.modules.get(name), sys.modules.get("cupy")
    if cupy is not None and hasattr(library, "from_dlpack"):
        array = cupy.asarray(made)
        return array if library is cupy else library.from_dlpack(array)  # type: ignore[union-attr]  # has it
    return library.asarray(made) if hasattr(library, "asarray") else made  # type: ignore[union-attr]  # has it


def on_host(x: Any) -> tuple[Any, Callable[[Array], Any]]:
    """x [N, ...] as NumPy can read it, and what makes of a result [N, ...] an array of the library and the device that x is of.

    What is no such array is itself, and its results stay NumPy's.  An array on a GPU is copied to the host and its results back.
    """
    if not _of_another(x):
        return x, lambda result: result
    library = sys.modules.get(type(x).__module__.partition(".")[0])
    again = getattr(library, "from_dlpack", None)
    if hasattr(x, "__dlpack_device__") and x.__dlpack_device__()[0] == CPU:
        return np.from_dlpack(x), again or (lambda result: result)
    import cupy  # noqa: PLC0415  # who has an array on a GPU has it, and nobody else needs it

    given = cupy.from_dlpack(x) if hasattr(x, "__dlpack__") else cupy.asarray(x)
    back = again if library is not None and library is not cupy and again else (lambda result: result)
    return given.get(), lambda result: back(cupy.asarray(result))
