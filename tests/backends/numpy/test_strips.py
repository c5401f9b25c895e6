"""Strips of vectors against NumPy: every number of a run once, and none beside it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
import pytest
from llvmlite import ir

from backends.contract import Array
from backends.numpy.emit.emitter import POINTER, Emitter, Module, Value
from backends.numpy.emit.strips import UNROLLED, Strips, lanes_in_use
from backends.numpy.machine.cache import compile_object, load
from backends.numpy.machine.processor import LANES, host

COUNTS = [1, LANES - 1, LANES, LANES + 1, 4 * LANES, 4 * LANES + 3, UNROLLED, UNROLLED + 1, UNROLLED + 4 * LANES + LANES // 2]
OUTSIDE = 7.0  # before and after the run that is written


def _written(name: str, count: int, dtype: str, emit: Callable[[Strips, Value, Value], None]) -> tuple[Array, Array]:
    """The source, and the target with one vector more on either side."""
    symbol = f"test_{name}_{count}_{dtype}"

    def build() -> ir.Module:
        module = Module(symbol, host())
        e = Emitter(module, symbol, [POINTER, POINTER])
        emit(Strips(e, dtype), *e.arguments)
        e.finish()
        return module

    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(load(symbol, compile_object(host(), build), host()))
    source = np.random.default_rng(count).standard_normal(count).astype(dtype)
    target = np.full(count + 2 * LANES, OUTSIDE, dtype)
    function(source.ctypes.data, target[LANES:].ctypes.data)
    assert (target[:LANES] == OUTSIDE).all()
    assert (target[-LANES:] == OUTSIDE).all()
    return source, target[LANES:-LANES]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", COUNTS)
def test_a_run_is_copied_and_cleared_to_its_last_number(count: int, dtype: str) -> None:
    source, copied = _written("copy", count, dtype, lambda s, x, y: s.copy(x, y, count))
    assert (copied == source).all()
    assert not _written("clear", count, dtype, lambda s, x, y: s.clear(y, count))[1].any()


@pytest.mark.parametrize("count", COUNTS)
def test_accumulators_outlive_a_loop_and_formulas_run_over_all_vectors(count: int) -> None:
    def emit(s: Strips, x: Value, y: Value) -> None:
        for strip in s.along(count):
            total = s.cells(strip.valid, 1.0)
            with s.e.loop(0, 3):
                total.write(total.read() * s.load(x, strip) - s.load(x, strip))
            s.store(total.read(), y, strip)

    x, y = _written("formula", count, "float64", emit)
    assert (y == ((x - x) * x - x) * x - x).all()


def test_the_last_vector_has_what_is_left_of_the_lanes() -> None:
    assert lanes_in_use(40) == [16, 16, 8]
    assert lanes_in_use(8, 8) == [8]
    assert lanes_in_use(9, 8) == [8, 1]
