"""Formulas over values of a function that is emitted, against the same formulas in Python."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from llvmlite import ir

from backends.numpy.emit.emitter import I64, POINTER, Emitter, Module
from backends.numpy.machine.cache import compile_object, load
from backends.numpy.machine.processor import host

PAIRS = [(x, y) for x in (-17, -1, 0, 5, 12) for y in (-4, 3, 7)]
# emitted -> in Python: // and % round towards zero there, >> rounds down in both
FORMULAS: dict[str, tuple[Callable[[Emitter, Any, Any], Any], Callable[[int, int], int]]] = {
    "sums": (lambda e, x, y: 3 + x * 2 - (100 - y) + (-x), lambda x, y: 3 + x * 2 - (100 - y) + (-x)),
    "quotient": (lambda e, x, y: x // y, lambda x, y: math.trunc(x / y)),
    "remainder": (lambda e, x, y: x % y, lambda x, y: int(math.fmod(x, y))),
    "shift": (lambda e, x, y: 5 * x >> 2, lambda x, y: 5 * x >> 2),
    "smaller": (lambda e, x, y: e.smaller(x, y), min),
    "where": (lambda e, x, y: e.where((x > y) & (x != 5) | (x == -1), x, 9), lambda x, y: x if (x > y and x != 5) or x == -1 else 9),
    "within": (lambda e, x, y: e.where(e.within(x, 6), 1, 0), lambda x, y: int(0 <= x < 6)),
    "compared": (lambda e, x, y: e.where((x <= y) | (y >= 7), 1, 0) - e.where(x < 0, 2, 0), lambda x, y: (x <= y or y >= 7) - 2 * (x < 0)),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_whole_numbers_follow_their_formula(name: str) -> None:
    emitted, formula = FORMULAS[name]
    symbol = f"test_number_{name}"

    def build() -> ir.Module:
        module = Module(symbol, host())
        e = Emitter(module, symbol, [I64, I64, POINTER])
        x, y, result = e.arguments
        e.b.store(emitted(e, x, y), result)
        e.finish()
        return module

    kinds = ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p
    function = ctypes.CFUNCTYPE(None, *kinds)(load(symbol, compile_object(host(), build), host()))
    result = np.zeros(1, np.int64)
    for x, y in PAIRS:
        function(x, y, result.ctypes.data)
        assert result[0] == formula(x, y), f"{name} of {x} and {y}"


def test_a_formula_emits_one_instruction_for_each_operator() -> None:
    module = Module("text", host())
    e = Emitter(module, "text", [I64, I64])
    h, i = e.arguments
    far = h + 1 - i * 2
    e.where((far >= 0) & (far // 3 < 8), far, 0)
    e.finish()
    names = [line.split("=")[1].split()[0] for line in str(module).splitlines() if "=" in line and "%" in line and "define" not in line]
    assert names == ["add", "mul", "sub", "icmp", "sdiv", "icmp", "and", "select"]
