"""The vector mathematics against NumPy in a wider type: errors in units in the last place."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable

import numpy as np
import pytest
from llvmlite import ir

from backends.contract import Array
from backends.numpy.emit import mathematics
from backends.numpy.emit.emitter import I64, POINTER, Emitter, Module, i64
from backends.numpy.machine.cache import compile_object, load
from backends.numpy.machine.processor import Processor, host, plain

EXTREMES = [0.0, -0.0, 1.0, -1.0, 1e-30, -1e-30, 1e-7, 88.0, -87.0, 100.0, -104.0, 710.0, -750.0, 1e30, -1e30, np.inf, -np.inf, np.nan]
REFERENCES: dict[str, tuple[Callable[[Array], Array], tuple[float, float]]] = {
    "exp": (np.exp, (-80, 80)),
    "expm1": (np.expm1, (-20, 20)),
    "log": (np.log, (1e-6, 50)),
    "log1p": (np.log1p, (0, 3)),
    "tanh": (np.tanh, (-6, 6)),
    "erf": (np.vectorize(math.erf, otypes=[np.float64]), (-6, 6)),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), (-20, 20)),
}


PROCESSORS = [host(), *([plain()] if host().triple.startswith("x86_64") else [])]


def _run(name: str, x: Array, processor: Processor | None = None) -> Array:
    processor = processor or host()
    symbol, dtype = f"test_{name}_{x.dtype}_{processor.name}", str(x.dtype)

    def build() -> ir.Module:
        module = Module(symbol, processor)
        e = Emitter(module, symbol, [POINTER, POINTER, I64])
        source, target, count = e.arguments
        with e.loop(0, count) as index:
            at = e.b.mul(index, i64(16))
            value = getattr(mathematics, name)(e, e.load_vector(e.at(source, at, dtype), dtype))
            e.store_vector(value, e.at(target, at, dtype), dtype)
        e.finish()
        return module

    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(
        load(symbol, compile_object(processor, build), processor)
    )
    padded = np.concatenate([x, np.ones(-x.size % 16, x.dtype)])
    result = np.empty_like(padded)
    function(padded.ctypes.data, result.ctypes.data, padded.size // 16)
    return result[: x.size]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", list(REFERENCES))
@pytest.mark.parametrize("processor", PROCESSORS, ids=lambda processor: processor.name)
def test_errors_are_a_few_units_in_the_last_place(name: str, dtype: str, processor: Processor) -> None:
    exact, (low, high) = REFERENCES[name]
    x = np.random.default_rng(0).uniform(low, high, 40_000).astype(dtype)
    x = np.concatenate([x, (x * 1e-3).astype(dtype)]) if name != "log" else x
    wide = exact(x.astype(np.longdouble))
    error = np.abs(_run(name, x, processor).astype(np.longdouble) - wide) / np.spacing(np.abs(wide).astype(dtype)).astype(np.longdouble)
    assert error.max() < 4, f"{name}: {error.max():.2f} units at {x[error.argmax()]}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", list(REFERENCES))
def test_extremes_are_those_of_numpy(name: str, dtype: str) -> None:
    exact, _ = REFERENCES[name]
    x = np.array(EXTREMES if name != "log1p" else [v for v in EXTREMES if not v < -0.5], dtype)
    with np.errstate(all="ignore"):
        expected = exact(x)
    tiny = np.finfo(dtype).tiny
    np.testing.assert_allclose(_run(name, x), np.where(np.abs(expected) < tiny, 0, expected), rtol=8 * np.finfo(dtype).eps, atol=tiny)


def test_square_roots_are_those_of_the_processor_for_every_significand_and_at_the_ends_of_the_range() -> None:
    # two neighbouring exponents see every significand; from there on only the exponent of the root changes
    every = np.arange(1 << 24, dtype=np.uint32)
    for exponent in (1, 37, 38, 126, 127, 200, 253):
        x = (every + np.uint32(exponent << 23)).view(np.float32)
        if exponent not in (1, 126, 253):
            x = x[:: 1 << 7]
        assert np.array_equal(_run("sqrt", x).view(np.uint32), np.sqrt(x).view(np.uint32)), exponent
    rare = np.array([0.0, -0.0, 1e-45, 1e-39, -1.0, -1e-40, np.inf, -np.inf, np.nan, 3.4e38] + [1.0] * 6, np.float32)
    found, expected = _run("sqrt", rare), np.sqrt(np.where(rare < 0, np.nan, rare))
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    assert np.array_equal(found[~np.isnan(found)].view(np.uint32), expected[~np.isnan(expected)].view(np.uint32))
