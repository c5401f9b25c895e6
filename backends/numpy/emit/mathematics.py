"""exp, log and their kin in vector arithmetic: the same operations in every lane and on every machine, so the same bits.

Each works on scalars and vectors of float32 and float64.  Errors are below 2 units in the last place of the type (tested).
"""

from __future__ import annotations

import math

from llvmlite import ir

from backends import constants
from backends.constants import BIAS, LN2_HIGH, LN2_LOW, MANTISSA
from backends.numpy.emit.emitter import I32, I64, Emitter, Number, Value, vector


def _bytes(kind: Value) -> int:
    element = kind.element if isinstance(kind, ir.VectorType) else kind
    return 4 if isinstance(element, ir.FloatType) else 8


def _integer(kind: Value) -> Value:
    element = I32 if _bytes(kind) == 4 else I64
    return vector(element, kind.count) if isinstance(kind, ir.VectorType) else element


def _polynomial(e: Emitter, x: Value, coefficients: list[float]) -> Value:
    """c0 + x (c1 + x (c2 + ...))"""
    result = e.literal(coefficients[-1], x.type)
    for c in reversed(coefficients[:-1]):
        result = e.fma(result, x, e.literal(c, x.type))
    return result


def sqrt(e: Emitter, x: Value) -> Value:
    """The square root, correctly rounded.

    AVX-512 machines take 18 cycles for one of their vectors, in the unit that divides too; there an estimate of 1 / sqrt(x), one Newton
    step for both and one correction by the remainder give the same bits (tested for every significand) in a third of the time.
    """
    lanes = x.type.count if isinstance(x.type, ir.VectorType) else 0
    if e.processor is None or e.processor.name != "AVX-512" or _bytes(x.type) != 4 or lanes != 16:
        return e.unary("sqrt", x)
    x = e.number(x)
    small = x < 2.0**-90  # where the remainder would underflow
    v = e.where(small, x * 2.0**64, x)
    y = e.number(e.call("llvm.x86.avx512.rsqrt14.ps.512", x.type, v, ir.Constant(x.type, None), ir.Constant(ir.IntType(16), -1)))
    half = e.literal(0.5, x.type)
    root, slope = v * y, y * half  # sqrt(v) and 1 / (2 sqrt(v))
    error = e.fma(-root, slope, half)
    root, slope = e.number(e.fma(root, error, root)), e.fma(slope, error, slope)
    root = e.number(e.fma(e.fma(-root, root, v), slope, root))
    root = e.where(small, root * 2.0**-32, root)
    return e.where((x == 0.0) | (x == math.inf), x + x, root)


def _reduced(e: Emitter, x: Number) -> tuple[Number, Number]:
    """x = n log 2 + r with |r| <= log(2) / 2 -> exp(r) - 1, 2^n (n clamped so that 2^n is finite)."""
    size, kind = _bytes(x.type), x.type
    limit = float(BIAS[size])
    n = e.number(e.unary("rint", x * (1 / math.log(2))))
    n = e.where(n > limit, e.literal(limit, kind), n)
    n = e.where(n < 1 - limit, e.literal(1 - limit, kind), n)
    r = e.fma(n, e.literal(-LN2_HIGH[size], kind), x)
    r = e.number(e.fma(n, e.literal(-LN2_LOW[size], kind), r))
    series = _polynomial(e, r, constants.exp_series(size))
    integer = _integer(kind)
    exponent = e.number(e.b.fptosi(n, integer)) + BIAS[size]
    power = e.number(e.b.bitcast(e.b.shl(exponent, e.literal(MANTISSA[size], integer)), kind))
    return r * series, power


def exp(e: Emitter, x: Value) -> Value:
    """e^x; 0 below and infinity above the range of the type; NaN stays NaN."""
    x = e.number(x)
    small, power = _reduced(e, x)
    return _in_range(e, x, e.fma(small, power, power), 0.0)


def expm1(e: Emitter, x: Value) -> Value:
    """e^x - 1, good for small x: 2^n (e^r - 1) + (2^n - 1), where the second part is exact or next to nothing."""
    x = e.number(x)
    small, power = _reduced(e, x)
    return _in_range(e, x, e.fma(small, power, power - 1.0), -1.0)


def _in_range(e: Emitter, x: Number, result: Value, least: float) -> Number:
    """The result where e^x is a number of the type; `least` below, infinity above, NaN for NaN."""
    kind = x.type
    high, low = constants.EXP_RANGE[_bytes(kind)]
    result = e.where(x > high, e.literal(math.inf, kind), result)
    result = e.where(x < low, e.literal(least, kind), result)
    return e.where(e.b.fcmp_unordered("uno", x, x), x, result)


def log(e: Emitter, x: Value) -> Value:
    """Natural logarithm: x = 2^n m with m in [sqrt(1/2), sqrt(2)), log m = 2 artanh((m - 1) / (m + 1))."""
    x = e.number(x)
    size, kind = _bytes(x.type), x.type
    integer = _integer(kind)
    scale = constants.SCALE[size]
    tiny = x < constants.LEAST[size]
    scaled = e.where(tiny, x * scale, x)
    bits = e.number(e.b.bitcast(scaled, integer))
    shifted = (bits - constants.HALF[size]) >> MANTISSA[size]
    mantissa = e.number(e.b.bitcast(bits - e.b.shl(shifted, e.literal(MANTISSA[size], integer)), kind))
    n = e.number(e.b.sitofp(shifted, kind))
    n = n - e.where(tiny, e.literal(math.log2(scale), kind), e.literal(0.0, kind))
    f = mantissa - 1.0
    s = f / (f + 2.0)
    square = s * s
    series = _polynomial(e, square, constants.log_series(size))
    # log m = f - s f + s square series: the leading term is exact, which keeps the result good near 1
    rest = s * (f - square * series)
    low = e.fma(n, e.literal(LN2_LOW[size], kind), -rest)
    result = n * LN2_HIGH[size] + (f + low)
    result = e.where(x == 0.0, e.literal(-math.inf, kind), result)
    result = e.where(x == math.inf, x, result)
    return e.where(e.b.fcmp_unordered("<", x, e.literal(0.0, kind)), e.literal(math.nan, kind), result)


def log1p(e: Emitter, x: Value) -> Value:
    """log(1 + x), good for small x: log(u) x / (u - 1) with u = 1 + x rounded (Goldberg 1991, theorem 4)."""
    x = e.number(x)
    u = x + 1.0
    exact = u - 1.0
    lost = exact == 0.0
    safe = e.where(lost, e.literal(1.0, x.type), exact)
    result = log(e, u) * (x / safe)
    return e.where(lost | (u == math.inf), x, result)


def tanh(e: Emitter, x: Value) -> Value:
    """t / (t + 2) with t = exp(2 |x|) - 1 formed without cancellation; 1 where the type can hold no other number."""
    x = e.number(x)
    size = e.unary("fabs", x)
    top = e.literal(constants.TANH_TOP[_bytes(x.type)], x.type)
    clipped = e.where(e.b.fcmp_unordered("<", size, top), size, top)
    small, power = _reduced(e, clipped + clipped)
    t = e.number(e.fma(small, power, power - 1.0))
    result = t / (t + 2.0)
    return e.where(x < 0.0, -result, result)


def sigmoid(e: Emitter, x: Value) -> Value:
    """1 / (1 + exp(-x))."""
    one = e.number(e.literal(1.0, x.type))
    return one / (one + exp(e, -e.number(x)))


def erf(e: Emitter, x: Value) -> Value:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x: Taylor up to |x| = 1, above it 1 - exp(-x^2) times a polynomial."""
    x = e.number(x)
    kind, size = x.type, _bytes(x.type)
    near = x * _polynomial(e, x * x, constants.erf_series(size))
    top, slope, shift, offset = (e.number(e.literal(number, kind)) for number in constants.ERF_MAP[size])
    a = e.number(e.unary("fabs", x))
    clipped = e.where(e.b.fcmp_unordered("<", a, top), a, top)
    u = slope / (clipped + shift) - offset
    power = exp(e, -(clipped * clipped))
    far = e.number(e.fma(-power, _polynomial(e, u, constants.ERF_TAIL[size]), e.literal(1.0, kind)))
    far = e.where(x < 0.0, -far, far)
    return e.where(a < 1.0, near, far)
