"""Ops without a data operand: literals, column numbers and random numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from backends.contract import Array
from backends.reference.arena import DTYPES

MASK = 0xFFFFFFFF


def philox(counter: Array, key: tuple[int, int]) -> Array:
    """Philox4x32-10 (Salmon et al. 2011): counter uint32 [4, n], key two 32-bit words -> random words uint32 [4, n].

    A round multiplies words 0 and 2 to 64 bits; the low halves become words 3 and 1, the high halves, mixed with the key and with
    words 3 and 1, become words 2 and 0.  Between rounds the key takes a Weyl step.
    """
    words = counter.astype(np.uint64)
    weyl = (0x9E3779B9, 0xBB67AE85)
    for number in range(10):
        k0, k1 = (np.uint64((k + number * w) & MASK) for k, w in zip(key, weyl, strict=True))
        product0 = words[0] * np.uint64(0xD2511F53)
        product2 = words[2] * np.uint64(0xCD9E8D57)
        high0, low0 = np.divmod(product0, np.uint64(2**32))
        high2, low2 = np.divmod(product2, np.uint64(2**32))
        words = np.stack([high2 ^ words[1] ^ k0, low2, high0 ^ words[3] ^ k1, low0])
    return words.astype(np.uint32)


def _uniform(seed: Array, step_low: Array, step_high: Array, *, shape: tuple[int, ...], stream: int, path: int, dtype: str) -> Array:
    """Uniform on [0, 1) with 24 bits: key (seed, stream), counter (block, path, step).

    Element e takes word (e // 16) % 4 of block 16 * (e // 64) + e % 16.
    """
    element = np.arange(math.prod(shape))
    counter = np.zeros((4, len(element)), np.uint32)
    counter[0] = 16 * (element // 64) + element % 16
    counter[1], counter[2], counter[3] = path, step_low, step_high
    words = philox(counter, (int(seed), stream))
    drawn = words[(element // 16) % 4, element]
    return ((drawn // 2**8) / 2.0**24).reshape(shape)


def _constant(*, value: float, dtype: str) -> Array:
    return np.asarray(value, DTYPES[dtype])


def _column_index(*, columns: int) -> Array:
    return np.arange(columns, dtype=np.int32)


SOURCE: dict[str, Callable[..., Any]] = {"constant": _constant, "column_index": _column_index, "uniform": _uniform}
