"""Rows may be arrays of another library, by DLPack: what is predicted is such an array again."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pipeline.program.arrays import on_host
from tests.program.configs import data, program


class Tensor:
    """An array of a library that is not NumPy: it gives its memory by DLPack, and by nothing else."""

    def __init__(self, numbers: np.ndarray[Any, Any]) -> None:
        self.numbers = numbers

    def __dlpack__(self, **wanted: Any) -> Any:
        return self.numbers.__dlpack__(**wanted)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.numbers.__dlpack_device__()


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that Tensor is of, with the `from_dlpack` that the array API asks of one."""
    module = ModuleType("tensors")
    module.from_dlpack = lambda array: Tensor(np.from_dlpack(array))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensors", module)
    monkeypatch.setattr(Tensor, "__module__", "tensors.of_it")
    return module


def test_predict_gives_what_it_was_given(library: ModuleType) -> None:
    made, (x, _) = program(6), data(5)
    found = made.predict(Tensor(x))
    assert isinstance(found, Tensor)
    assert found.numbers.tobytes() == made.predict(x).tobytes()
    assert type(made.predict(x)) is np.ndarray and type(made.predict(x.tolist())) is np.ndarray


def test_a_library_without_from_dlpack_gets_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tensor, "__module__", "nowhere")
    rows, again = on_host(Tensor(np.ones((2, 4))))
    assert type(rows) is np.ndarray and type(again(rows)) is np.ndarray


def test_rows_that_do_not_fit_are_refused_as_ever(library: ModuleType) -> None:
    with pytest.raises(Exception, match=r"^x has shape \[5, 3\]: must be \[N, 4\]; give rows as the data declares them$"):
        program(6).predict(Tensor(np.ones((5, 3))))
