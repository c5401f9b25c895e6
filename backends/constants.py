"""The numbers in exp, log, erf and their kin, from which every native backend makes the same chains of operations (docs/bits.md).

By the bytes of a number: 4 for float32, 8 for float64; each is rounded once to its type.
"""

from __future__ import annotations

import math

# log(2) split so that n * HIGH is exact for every exponent n
LN2_HIGH = {4: 0.693359375, 8: 6.93147180369123816490e-01}
LN2_LOW = {4: -2.12194440e-4, 8: 1.90821492927058770002e-10}
MANTISSA = {4: 23, 8: 52}
BIAS = {4: 127, 8: 1023}
LEAST = {4: 1.17549435e-38, 8: 2.2250738585072014e-308}  # the smallest number that is no denormal
SCALE = {4: 2.0**25, 8: 2.0**54}  # lifts a denormal above it
HALF = {4: 0x3F3504F3, 8: 0x3FE6A09E667F3BCD}  # the bits of sqrt(1/2)
EXP_RANGE = {4: (88.722839, -87.336544), 8: (709.782712893384, -708.3964185322641)}
TANH_TOP = {4: 10.0, 8: 20.0}  # above it tanh is 1 in the type

# exp(a^2) erfc(a) for a from 1 to TOP as a polynomial in u = SLOPE / (a + SHIFT) - OFFSET, which runs from 1 to -1: interpolated at the
# Chebyshev nodes in 70 digits; times exp(-a^2) it is within 3e-9 (float32) and 4e-18 (float64).  Above TOP erf is 1 in the type.
ERF_MAP = {4: (4.0, 12.0, 2.0, 3.0), 8: (6.0, 14.4, 3.0, 2.6)}  # TOP, SLOPE, SHIFT, OFFSET
ERF_TAIL = {
    4: [
        0.25539567631050575, 0.1423953299228289, 0.026850911280617798, 0.0029247520788123972, 4.607866369061166e-05,
        -2.802938325549644e-05, -1.1494861984942571e-06,
    ],
    8: [
        0.20798329133342885, 0.15436117429436919, 0.04969844540339464, 0.012713147695692198, 0.002479314697078186,
        0.0003316029605764125, 1.9563583246137112e-05, -2.4255574719050315e-06, -5.541274478467714e-07, 4.526700764248741e-09,
        1.1339538061744706e-08, 2.6381508985080735e-10, -2.571511429603255e-10, -6.047405945991704e-12, 6.0857915906870915e-12,
    ],
}  # fmt: skip


def exp_series(size: int) -> list[float]:
    """1 / k! from k = 1 on: (e^r - 1) / r."""
    return [1 / math.factorial(k) for k in range(1, (7 if size == 4 else 13) + 1)]


def log_series(size: int) -> list[float]:
    """2 / (2 k + 1) from k = 1 on: of 2 artanh(s) = 2 s + s^3 series(s^2)."""
    return [2.0 / (2 * k + 1) for k in range(1, (5 if size == 4 else 11) + 1)]


def erf_series(size: int) -> list[float]:
    """Taylor's of erf(x) / x in x^2; the first term left out is below 2e-9 (float32) or 3e-19 (float64) up to |x| = 1."""
    return [2.0 / math.sqrt(math.pi) * (-1) ** k / (math.factorial(k) * (2 * k + 1)) for k in range(11 if size == 4 else 18)]
