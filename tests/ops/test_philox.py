"""Philox4x32-10: the published vectors, and the same bits from every backend."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backends.contract import Array, Backend
from backends.reference.kernels.source import philox as reference_philox
from pipeline import random
from tests.ops.running import builder, run_graph

# Random123's kat_vectors, philox4x32 10: counter, key -> words
VECTORS = (
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
)


def _words(text: str) -> Array:
    return np.array([int(word, 16) for word in text.split()], np.uint32)


@pytest.mark.parametrize("philox", [random.philox, reference_philox], ids=["host", "reference"])
@pytest.mark.parametrize(("counter", "key", "expected"), VECTORS)
def test_philox_gives_the_random123_vectors(philox: object, counter: str, key: str, expected: str) -> None:
    assert callable(philox)
    k0, k1 = (int(word) for word in _words(key))
    found = philox(_words(counter)[:, None], (k0, k1))
    assert found[:, 0].tolist() == _words(expected).tolist()


def _uniform(backend: Backend, *, precision: str, shape: tuple[int, ...], stream: int, path: int, draws: list[tuple[int, int]]) -> Array:
    b = builder(precision)
    words = [b.input(name, (), "word", "uint32") for name in ("seed", "step_low", "step_high")]
    b.outputs["u"] = b.add("uniform", *words, shape=shape, stream=stream, path=path, dtype=precision)
    tables = [{"seed": s, "step_low": t & 0xFFFFFFFF, "step_high": t >> 32} for s, t in draws]
    return run_graph(backend, b.graph(), [{name: np.asarray(v, np.uint32) for name, v in table.items()} for table in tables])["u"]


def test_uniform_holds_the_first_random123_vector(backend: Backend) -> None:
    u = _uniform(backend, precision="float32", shape=(64,), stream=0, path=0, draws=[(0, 0)])
    # words 0 to 3 of block 0 stand sixteen elements apart
    assert (u[0, ::16] * 2**24).tolist() == (_words(VECTORS[0][2]) >> 8).tolist()


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1,), (63,), (64,), (65,), (5, 33), (3, 7, 11)], ids=str)
def test_uniform_draws_the_host_bits_for_any_seed_and_step(backend: Backend, shape: tuple[int, ...], precision: str) -> None:
    draws = [(0, 0), (1, 1), (0xFFFFFFFF, 0xFFFFFFFF), (123456789, 5 * 2**32 + 17)]
    path = "hidden/dropout"
    u = _uniform(backend, precision=precision, shape=shape, stream=random.DROPOUT, path=random.path_word(path), draws=draws)
    for trial, (seed, step) in enumerate(draws):
        expected = random.uniform(seed, random.DROPOUT, path, step, math.prod(shape)).reshape(shape)
        assert np.array_equal(u[trial], expected)
