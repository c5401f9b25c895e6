"""Student's t distribution, as the intervals and tests of a table need it: scipy.special takes a sixth of a second to load."""

from __future__ import annotations

import math
from functools import lru_cache

TINY, EXACT, MOST = 1e-300, 1e-16, 10_000
POINTS = 800


def tails(t: float, freedom: float) -> float:
    """P(|T| > |t|) with `freedom` degrees of freedom, I_x(freedom / 2, 1 / 2) at x = freedom / (freedom + t^2), however small."""
    if not math.isfinite(t):
        return math.nan if math.isnan(t) else 0.0
    a, b, x, y = freedom / 2, 0.5, freedom / (freedom + t * t), t * t / (freedom + t * t)
    scale = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) - a * math.log1p(t * t / freedom)) * math.sqrt(y)
    # the fraction converges fast on one side of the mean of the beta distribution, and the two sides add up to one
    return scale * _fraction(a, b, x) / a if x < (a + 1) / (a + b + 2) else 1.0 - scale * _fraction(b, a, y) / b


def power(t: float, freedom: float, off: float) -> float:
    """P(|T| > t) of the non-central t, T = (Z + off) / S with S^2 = chi^2 / freedom: the mean of P(|Z + off| > t S) over S.

    By Simpson's rule over ten of its standard deviations, about 1 / sqrt(2 freedom), on each side of 1.
    """
    half, scale = freedom / 2, math.log(2) + freedom / 2 * math.log(freedom / 2) - math.lgamma(freedom / 2)
    low, high = max(0.0, 1 - 10 / math.sqrt(2 * freedom)), 1 + 10 / math.sqrt(2 * freedom)
    found, step = 0.0, (high - low) / POINTS
    for k in range(POINTS + 1):
        s = low + k * step
        density = math.exp(scale - half * s * s) * s ** (freedom - 1)
        outside = math.erfc((t * s - off) / math.sqrt(2)) + math.erfc((t * s + off) / math.sqrt(2))
        found += (1 if k in (0, POINTS) else 2 + 2 * (k % 2)) * density * outside / 2
    return found * step / 3


@lru_cache(maxsize=1024)  # the arms of a sweep have as many seeds
def quantile(level: float, freedom: float) -> float:
    """The t that |T| exceeds with probability 1 - level."""
    low, high = 0.0, 1.0
    while tails(high, freedom) > 1 - level:
        low, high = high, 2 * high
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if tails(middle, freedom) > 1 - level else (low, middle)
    return high


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function, by Lentz's method (Press et al. 2007, 6.4)."""
    c, d = 1.0, 1.0 / _sound(1.0 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, MOST):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1.0 / _sound(1.0 + term * d), _sound(1.0 + term / c)
            result *= d * c
        if abs(d * c - 1.0) < EXACT:
            break
    return result


def _sound(value: float) -> float:
    return value if abs(value) > TINY else TINY
