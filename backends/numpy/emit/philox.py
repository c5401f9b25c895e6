"""Philox4x32-10 in vector registers: 64 random words at once."""

# a block of 64 neighbouring elements comes from 16 counters of 4 words; see pipeline/random.py for the numbering
from __future__ import annotations

from llvmlite import ir

from backends.numpy.emit.emitter import I32, I64, Emitter, Value, vector

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_HALF = vector(I64, 8)


def words(e: Emitter, block: Value, path: Value, step_low: Value, step_high: Value, seed: Value, stream: int) -> list[Value]:
    """The words of elements 64 * block ... 64 * block + 63 as four <16 x i32>.

    The counters lie in the low halves of two <8 x i64>: one multiply instruction then gives low and high word at once, and the
    rubbish that the exclusive-ors leave in the high halves is never read.
    """
    first = e.number(block) * 16
    halves = []
    for half in range(2):
        offsets = ir.Constant(_HALF, [8 * half + lane for lane in range(8)])
        state = [e.number(e.splat(first, 8)) + offsets]
        state += [e.splat(e.b.zext(word, I64), 8) for word in (path, step_low, step_high)]
        halves.append(_rounds(e, state, seed, stream))
    order = ir.Constant(vector(I32, 16), list(range(16)))
    return [
        e.b.shuffle_vector(e.b.trunc(halves[0][word], vector(I32, 8)), e.b.trunc(halves[1][word], vector(I32, 8)), order)
        for word in range(4)
    ]


def uniform(e: Emitter, word: Value, kind: Value) -> Value:
    """A word as a number on [0, 1) with 24 bits."""
    shifted = e.b.lshr(word, e.literal(8, word.type))
    return e.b.fmul(e.b.sitofp(shifted, kind), e.literal(2.0**-24, kind))


def _rounds(e: Emitter, state: list[Value], seed: Value, stream: int) -> list[Value]:
    low = e.literal(0xFFFFFFFF, _HALF)
    shift = e.literal(32, _HALF)
    key0, key1 = seed, stream
    c0, c1, c2, c3 = state
    for _ in range(10):
        p0 = e.b.mul(e.b.and_(c0, low), e.literal(_MULTIPLIERS[0], _HALF))
        p1 = e.b.mul(e.b.and_(c2, low), e.literal(_MULTIPLIERS[1], _HALF))
        k0, k1 = e.splat(e.b.zext(key0, I64), 8), e.literal(key1, _HALF)
        c0, c1, c2, c3 = (
            e.b.xor(e.b.xor(e.b.lshr(p1, shift), c1), k0),
            p1,
            e.b.xor(e.b.xor(e.b.lshr(p0, shift), c3), k1),
            p0,
        )
        key0 = e.b.add(key0, ir.Constant(I32, _WEYL[0]))
        key1 = (key1 + _WEYL[1]) & 0xFFFFFFFF
    return [c0, c1, c2, c3]
