"""exp, log and their kin in vector arithmetic: the same operations in every lane and on every machine, so the same bits.

Each works on scalars and vectors of float32 and float64.  Errors are below 2 units in the last place of the type (tested).
"""

from __future__ import annotations

import math

from llvmlite import ir

from backends.numpy.emit.emitter import I32, I64, Emitter, Value, vector

# log(2) split so that n * HIGH is exact for every exponent n
_LN2_HIGH = {4: 0.693359375, 8: 6.93147180369123816490e-01}
_LN2_LOW = {4: -2.12194440e-4, 8: 1.90821492927058770002e-10}
_MANTISSA = {4: 23, 8: 52}
_BIAS = {4: 127, 8: 1023}

# exp(a^2) erfc(a) for a from 1 to TOP as a polynomial in u = SLOPE / (a + SHIFT) - OFFSET, which runs from 1 to -1: interpolated at the
# Chebyshev nodes in 70 digits; times exp(-a^2) it is within 3e-9 (float32) and 4e-18 (float64).  Above TOP erf is 1 in the type.
_ERF_MAP = {4: (4.0, 12.0, 2.0, 3.0), 8: (6.0, 14.4, 3.0, 2.6)}  # TOP, SLOPE, SHIFT, OFFSET
_ERF_TAIL = {
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
    small = e.b.fcmp_ordered("<", x, e.literal(2.0**-90, x.type))  # where the remainder would underflow
    v = e.b.select(small, e.b.fmul(x, e.literal(2.0**64, x.type)), x)
    y = e.call("llvm.x86.avx512.rsqrt14.ps.512", x.type, v, ir.Constant(x.type, None), ir.Constant(ir.IntType(16), -1))
    half = e.literal(0.5, x.type)
    root, slope = e.b.fmul(v, y), e.b.fmul(y, half)  # sqrt(v) and 1 / (2 sqrt(v))
    error = e.fma(e.b.fneg(root), slope, half)
    root, slope = e.fma(root, error, root), e.fma(slope, error, slope)
    root = e.fma(e.fma(e.b.fneg(root), root, v), slope, root)
    root = e.b.select(small, e.b.fmul(root, e.literal(2.0**-32, x.type)), root)
    ends = e.b.or_(e.b.fcmp_ordered("==", x, e.literal(0.0, x.type)), e.b.fcmp_ordered("==", x, e.literal(math.inf, x.type)))
    return e.b.select(ends, e.b.fadd(x, x), root)


def _reduced(e: Emitter, x: Value) -> tuple[Value, Value]:
    """x = n log 2 + r with |r| <= log(2) / 2 -> exp(r) - 1, 2^n (n clamped so that 2^n is finite)."""
    size, kind = _bytes(x.type), x.type
    limit = float(_BIAS[size])
    n = e.unary("rint", e.b.fmul(x, e.literal(1 / math.log(2), kind)))
    n = e.b.select(e.b.fcmp_ordered(">", n, e.literal(limit, kind)), e.literal(limit, kind), n)
    n = e.b.select(e.b.fcmp_ordered("<", n, e.literal(1 - limit, kind)), e.literal(1 - limit, kind), n)
    r = e.fma(n, e.literal(-_LN2_HIGH[size], kind), x)
    r = e.fma(n, e.literal(-_LN2_LOW[size], kind), r)
    degree = 7 if size == 4 else 13
    series = _polynomial(e, r, [1 / math.factorial(k) for k in range(1, degree + 1)])
    integer = _integer(kind)
    exponent = e.b.add(e.b.fptosi(n, integer), e.literal(_BIAS[size], integer))
    power = e.b.bitcast(e.b.shl(exponent, e.literal(_MANTISSA[size], integer)), kind)
    return e.b.fmul(r, series), power


def exp(e: Emitter, x: Value) -> Value:
    """e^x; 0 below and infinity above the range of the type; NaN stays NaN."""
    size, kind = _bytes(x.type), x.type
    high, low = (88.722839, -87.336544) if size == 4 else (709.782712893384, -708.3964185322641)
    small, power = _reduced(e, x)
    result = e.fma(small, power, power)
    result = e.b.select(e.b.fcmp_ordered(">", x, e.literal(high, kind)), e.literal(math.inf, kind), result)
    result = e.b.select(e.b.fcmp_ordered("<", x, e.literal(low, kind)), e.literal(0.0, kind), result)
    return e.b.select(e.b.fcmp_unordered("uno", x, x), x, result)


def expm1(e: Emitter, x: Value) -> Value:
    """e^x - 1, good for small x: 2^n (e^r - 1) + (2^n - 1), where the second part is exact or next to nothing."""
    size, kind = _bytes(x.type), x.type
    high, low = (88.722839, -87.336544) if size == 4 else (709.782712893384, -708.3964185322641)
    small, power = _reduced(e, x)
    result = e.fma(small, power, e.b.fsub(power, e.literal(1.0, kind)))
    result = e.b.select(e.b.fcmp_ordered(">", x, e.literal(high, kind)), e.literal(math.inf, kind), result)
    result = e.b.select(e.b.fcmp_ordered("<", x, e.literal(low, kind)), e.literal(-1.0, kind), result)
    return e.b.select(e.b.fcmp_unordered("uno", x, x), x, result)


def log(e: Emitter, x: Value) -> Value:
    """Natural logarithm: x = 2^n m with m in [sqrt(1/2), sqrt(2)), log m = 2 artanh((m - 1) / (m + 1))."""
    size, kind = _bytes(x.type), x.type
    integer = _integer(kind)
    scale = 2.0**25 if size == 4 else 2.0**54
    tiny = e.b.fcmp_ordered("<", x, e.literal(1.17549435e-38 if size == 4 else 2.2250738585072014e-308, kind))
    scaled = e.b.select(tiny, e.b.fmul(x, e.literal(scale, kind)), x)
    bits = e.b.bitcast(scaled, integer)
    half = 0x3F3504F3 if size == 4 else 0x3FE6A09E667F3BCD  # the bits of sqrt(1/2)
    shifted = e.b.ashr(e.b.sub(bits, e.literal(half, integer)), e.literal(_MANTISSA[size], integer))
    mantissa = e.b.bitcast(e.b.sub(bits, e.b.shl(shifted, e.literal(_MANTISSA[size], integer))), kind)
    n = e.b.sitofp(shifted, kind)
    n = e.b.fsub(n, e.b.select(tiny, e.literal(math.log2(scale), kind), e.literal(0.0, kind)))
    f = e.b.fsub(mantissa, e.literal(1.0, kind))
    s = e.b.fdiv(f, e.b.fadd(f, e.literal(2.0, kind)))
    square = e.b.fmul(s, s)
    terms = 5 if size == 4 else 11
    series = _polynomial(e, square, [2.0 / (2 * k + 1) for k in range(1, terms + 1)])
    # log m = f - s f + s square series: the leading term is exact, which keeps the result good near 1
    rest = e.b.fmul(s, e.b.fsub(f, e.b.fmul(square, series)))
    low = e.fma(n, e.literal(_LN2_LOW[size], kind), e.b.fneg(rest))
    result = e.b.fadd(e.b.fmul(n, e.literal(_LN2_HIGH[size], kind)), e.b.fadd(f, low))
    zero = e.literal(0.0, kind)
    result = e.b.select(e.b.fcmp_ordered("==", x, zero), e.literal(-math.inf, kind), result)
    result = e.b.select(e.b.fcmp_ordered("==", x, e.literal(math.inf, kind)), x, result)
    return e.b.select(e.b.fcmp_unordered("<", x, zero), e.literal(math.nan, kind), result)


def log1p(e: Emitter, x: Value) -> Value:
    """log(1 + x), good for small x: log(u) x / (u - 1) with u = 1 + x rounded (Goldberg 1991, theorem 4)."""
    kind = x.type
    u = e.b.fadd(x, e.literal(1.0, kind))
    exact = e.b.fsub(u, e.literal(1.0, kind))
    lost = e.b.fcmp_ordered("==", exact, e.literal(0.0, kind))
    safe = e.b.select(lost, e.literal(1.0, kind), exact)
    result = e.b.fmul(log(e, u), e.b.fdiv(x, safe))
    infinite = e.b.fcmp_ordered("==", u, e.literal(math.inf, kind))
    return e.b.select(e.b.or_(lost, infinite), x, result)


def tanh(e: Emitter, x: Value) -> Value:
    """t / (t + 2) with t = exp(2 |x|) - 1 formed without cancellation; 1 where the type can hold no other number."""
    kind = x.type
    size = e.unary("fabs", x)
    top = e.literal(10.0 if _bytes(kind) == 4 else 20.0, kind)
    clipped = e.b.select(e.b.fcmp_unordered("<", size, top), size, top)
    small, power = _reduced(e, e.b.fadd(clipped, clipped))
    t = e.fma(small, power, e.b.fsub(power, e.literal(1.0, kind)))
    result = e.b.fdiv(t, e.b.fadd(t, e.literal(2.0, kind)))
    return e.b.select(e.b.fcmp_ordered("<", x, e.literal(0.0, kind)), e.b.fneg(result), result)


def sigmoid(e: Emitter, x: Value) -> Value:
    """1 / (1 + exp(-x))."""
    one = e.literal(1.0, x.type)
    return e.b.fdiv(one, e.b.fadd(one, exp(e, e.b.fneg(x))))


def erf(e: Emitter, x: Value) -> Value:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x: Taylor up to |x| = 1, above it 1 - exp(-x^2) times a polynomial."""
    kind, size = x.type, _bytes(x.type)
    terms = 11 if size == 4 else 18  # the first one left out is below 2e-9 or 3e-19
    taylor = [2.0 / math.sqrt(math.pi) * (-1) ** k / (math.factorial(k) * (2 * k + 1)) for k in range(terms)]
    near = e.b.fmul(x, _polynomial(e, e.b.fmul(x, x), taylor))
    top, slope, shift, offset = (e.literal(number, kind) for number in _ERF_MAP[size])
    a = e.unary("fabs", x)
    clipped = e.b.select(e.b.fcmp_unordered("<", a, top), a, top)
    u = e.b.fsub(e.b.fdiv(slope, e.b.fadd(clipped, shift)), offset)
    power = exp(e, e.b.fneg(e.b.fmul(clipped, clipped)))
    far = e.fma(e.b.fneg(power), _polynomial(e, u, _ERF_TAIL[size]), e.literal(1.0, kind))
    far = e.b.select(e.b.fcmp_ordered("<", x, e.literal(0.0, kind)), e.b.fneg(far), far)
    return e.b.select(e.b.fcmp_ordered("<", a, e.literal(1.0, kind)), near, far)
