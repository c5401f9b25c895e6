"""Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011), the same bits on every backend.

A draw is a pure function of what it is for; no generator state exists.

    key     = (seed, stream)
    counter = (element, layer path, step low, step high)

Element e of an array takes word (e // 16) % 4 of the block whose counter is 16 * (e // 64) + e % 16: sixteen neighbours
come from sixteen neighbouring blocks, which is what vector units can compute without shuffling words.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

SPLIT, ORDER, INIT, DROPOUT, AUGMENTATION, GENERATOR, SAMPLE = range(1, 8)

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)

CHUNK = 2**14  # numbers made at once: what they are made from stays in the cache

Words = npt.NDArray[np.uint32]


def philox(counter: Words, key: tuple[int, int]) -> Words:
    """Philox4x32-10 of `counter` [4, n] under `key` (two words) -> [4, n]."""
    c0, c1, c2, c3 = (counter[i].astype(np.uint64) for i in range(4))
    k0, k1 = key
    m0, m1 = (np.uint64(m) for m in _MULTIPLIERS)
    for _ in range(10):
        p0, p1 = m0 * c0, m1 * c2
        c0, c1, c2, c3 = (
            (p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0),
            p1 & _LOW,
            (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1),
            p0 & _LOW,
        )
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3]).astype(np.uint32)


def path_word(path: str) -> int:
    """The 32-bit word that stands for a layer path in the counter."""
    return int.from_bytes(hashlib.blake2b(path.encode(), digest_size=4).digest(), "little")


def bits(seed: int, stream: int, path: str, step: int, count: int) -> Words:
    """`count` random 32-bit words -> uint32 [count]."""
    sixteens = -(-count // 64)  # blocks are made sixteen by sixteen, 64 words
    words = np.empty((sixteens, 4, 16), np.uint32)
    for start in range(0, sixteens, CHUNK // 64):
        made = words[start : start + CHUNK // 64]
        counter = np.empty((4, 16 * len(made)), np.uint32)
        counter[0] = np.arange(16 * start, 16 * (start + len(made)), dtype=np.uint32)
        counter[1] = path_word(path)
        counter[2], counter[3] = step & 0xFFFFFFFF, step >> 32
        made[...] = philox(counter, (seed, stream)).reshape(4, -1, 16).transpose(1, 0, 2)
    return words.reshape(-1)[:count]


def uniform(seed: int, stream: int, path: str, step: int, count: int) -> npt.NDArray[np.float64]:
    """Uniform numbers on [0, 1) with 24 bits, so that float32 holds them exactly -> float64 [count]."""
    return (bits(seed, stream, path, step, count) >> np.uint32(8)).astype(np.float64) * 2.0**-24


def normal(seed: int, stream: int, path: str, step: int, count: int) -> npt.NDArray[np.float64]:
    """Standard normal numbers by Box and Muller (1958) from pairs of 32-bit words -> float64 [count]."""
    half = -(-count // 2)
    words, pairs = bits(seed, stream, path, step, 2 * half), np.empty(2 * half)
    for start in range(0, half, CHUNK):
        first = slice(start, min(start + CHUNK, half))
        second = slice(half + first.start, half + first.stop)
        radius = np.sqrt(-2.0 * np.log((words[first].astype(np.float64) + 1.0) * 2.0**-32))
        angle = 2.0 * np.pi * words[second] * 2.0**-32
        pairs[first], pairs[second] = radius * np.cos(angle), radius * np.sin(angle)
    return pairs[:count]


def permutation(seed: int, stream: int, epoch: int, count: int) -> npt.NDArray[np.int64]:
    """A random order of `count` rows for `epoch` -> int64 [count].  Ties of the 64-bit sort keys cannot occur: the row breaks them."""
    words = bits(seed, stream, "permutation", epoch, 2 * count).astype(np.uint64)
    keys: npt.NDArray[Any] = (words[:count] << np.uint64(32)) | words[count:]
    return np.argsort(keys, kind="stable").astype(np.int64)
