"""Philox4x32-10 (Salmon et al. 2011) in integer ops of an array namespace: the bits of pipeline/random.py, without cuRAND."""

from __future__ import annotations

from typing import Any

import numpy as np

_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


def philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> tuple[Any, Any, Any, Any]:
    """The four words of the block (c0, c1, c2, c3) under the key (k0, k1); all uint64 tensors that hold 32-bit words and broadcast."""
    for _ in range(10):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (p1 >> _HALF) ^ c1 ^ k0, p1 & _LOW, (p0 >> _HALF) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return c0, c1, c2, c3


def uniform(xp: Any, seed: Any, stream: int, path: int, step_low: Any, step_high: Any, count: int) -> Any:
    """`count` uniform numbers on [0, 1) with 24 bits -> float64 [count].

    Element e is word (e // 16) % 4 of block 16 * (e // 64) + e % 16, so four words of sixteen blocks lie one after the other.
    """
    block = xp.arange(16 * -(-count // 64), dtype=np.uint64)
    constants = (xp.asarray(word).astype(np.uint64) for word in (path, step_low, step_high, seed, stream))
    c1, c2, c3, k0, k1 = (xp.zeros_like(block) + word for word in constants)
    words = xp.stack(philox(block, c1, c2, c3, k0, k1))
    drawn = words.reshape(4, -1, 16).transpose(1, 0, 2).reshape(-1)[:count]
    return (drawn >> np.uint64(8)) * 2.0**-24
