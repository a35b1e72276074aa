"""Vector math: float32 functions emitted inline, as branch-free code on vectors of any width.

LLVM turns `llvm.exp` and its kin on vectors into one libm call per lane. The functions here emit
arithmetic, bit operations and selects only, which every target has as vector instructions. Each
takes an `IRBuilder` and values of type `<V x float>`, and returns one of that type.

Largest errors measured, in units in the last place (ulp) of the exact result, on CPUs with fused
multiply-add and without. For `power`, pairs were sampled, 28 million; elsewhere, every float was
tried.

| function | FMA  | plain | range      |
|----------|------|-------|------------|
| exp      | 1.60 | 1.54  | all        |
| expm1    | 1.54 | 1.66  | all        |
| log      | 0.94 | 1.07  | all        |
| log1p    | 1.55 | 1.71  | all        |
| tanh     | 2.57 | 2.61  | all        |
| sigmoid  | 3.45 | 3.02  | all        |
| erf      | 1.85 | 2.56  | all        |
| sin      | 1.73 | 2.00  | abs <= 4e8 |
| cos      | 1.74 | 2.00  | abs <= 4e8 |
| power    | 0.54 | 0.54  | all        |

Zeros and their signs, denormals, infinities and NaN come out as in C's math library.
"""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir
from llvmlite.ir import Value

_F64 = ir.DoubleType()
_I32 = ir.IntType(32)
_I64 = ir.IntType(64)

_INFINITY = float("inf")
_NAN = float("nan")
_SIGN_BIT = -(2**31)
_EXPONENT_ONE = 2**23  # added to the bits of a float, it doubles the float
_FOUR_THIRDS_BITS = 0x3FAAAAAB
_SQRT_TWO_BITS = 0x3FB504F3

# A sum with the magic number is rounded to an integer, which stands in the sum's low bits;
# subtracting the magic number gives it as a float. SSE2 has no rounding instruction.
_MAGIC = 1.5 * 2.0**23
_MAGIC_F64 = 1.5 * 2.0**52

# ln 2 = HI + LO; HI has 15 significant bits, so its products with exponents are exact in float.
_LN2 = 0.6931471805599453
_LN2_HI = 0.693145751953125
_LN2_LO = 1.428606765330187e-06

# pi = HI + LO in double; HI has 25 significant bits: its products with integers to 2^28 are exact.
_PI = 3.141592653589793
_PI_HI = 3.1415926218032837
_PI_LO = 3.178650954705639e-08

# Minimax coefficients, lowest degree first. Errors are relative, of the rounded coefficients.

# (e^r - 1 - r) / r^2: degree 5, |r| <= 0.6966, error 1.5e-8 relative to e^r.
_EXP = (0.50000036, 0.16666614, 0.041661162, 0.008336112, 0.0014106521, 0.00019614701)

# (e^r - 1 - r) / r^2: degree 4, |r| <= 0.3484, error 1.4e-8 relative to e^r - 1.
_EXPM1 = (0.49999997, 0.16666543, 0.04166745, 0.008366638, 0.0013869753)

# (log(1 + f) - f) / f^2: degree 8, |f| <= 1/3, error 4.7e-9 relative to log(1 + f).
_LOG1P = (
    -0.5, 0.33333215, -0.24999803, 0.20010445, -0.16680247, 0.1400534, -0.12187463, 0.13986707,
    -0.12878203,
)  # fmt: skip

# log(erfc(x)) / x: degree 8, 0 <= x <= 3.9, error 4.3e-9 relative to erf(x). The first coefficient,
# -2 / sqrt(pi), is HI + the one in the list.
_ERF_HI = -1.1283792
_ERF = (
    5.8635383e-08, -0.6366195, -0.10277686, 0.019149838, 0.00016593315, -0.0016722654,
    0.0006355801, -0.00011838309, 9.336737e-06,
)  # fmt: skip

# (sin(r) - r) / r^3 = P(r^2): degree 3, |r| <= pi/2, error 6.2e-9 relative to sin(r).
_SIN = (-0.1666666, 0.008333069, -0.00019809778, 2.6061027e-06)

# log2((1 + s) / (1 - s)) / s = P(s^2), double: degree 4, |s| <= 0.1716, error 4.3e-12.
_LOG2 = (
    2.885390081790107, 0.9617966733138592, 0.5770835905966228, 0.41167236391251116,
    0.3407369798184593,
)  # fmt: skip

# 2^r, double: degree 6, |r| <= 1/2, error 2.0e-9.
_EXP2 = (
    1.0, 0.693147202882302, 0.24022647910418266, 0.055503324073116866, 0.009618437588159142,
    0.0013398900712424848, 0.0001535333817227379,
)  # fmt: skip


def exp(builder: ir.IRBuilder, x: Value) -> Value:
    """e^x; error at most 1.60 ulp."""
    # Past these bounds the result is infinite or 0, but an infinite x would lead to NaN.
    return _exp_between(builder, _at_most(builder, 89.0, _at_least(builder, -104.0, x)))


def expm1(builder: ir.IRBuilder, x: Value) -> Value:
    """e^x - 1; error at most 1.66 ulp."""
    bounded = _at_most(builder, 89.0, _at_least(builder, -20.0, x))
    half, square = _scaled_expm1(builder, bounded, 0.5)
    # Halves lose the last bit of a denormal and the sign of -0. There, e^x - 1 is x.
    tiny = builder.fcmp_ordered("==", square, _floats(x, 0.0))
    return builder.select(tiny, x, builder.fadd(half, half))


def log(builder: ir.IRBuilder, x: Value) -> Value:
    """Natural logarithm; error at most 1.07 ulp."""
    bits = _bits_as_normal(builder, x)
    k = _exponent_to_reduce(builder, bits, _FOUR_THIRDS_BITS)
    mantissa = builder.bitcast(builder.add(bits, k), x.type)
    result = _log_of_parts(builder, k, builder.fsub(mantissa, _floats(x, 1.0)))
    return _with_log_specials(builder, x, 0.0, result)


def log1p(builder: ir.IRBuilder, x: Value) -> Value:
    """log(1 + x); error at most 1.71 ulp."""
    # The rounded sum 1 + x only serves to choose the exponent: 2^k (1 + x) - 1 is computed as
    # 2^k x - (1 - 2^k), which has no rounding errors where they matter, and keeps -0.
    total = builder.fadd(x, _floats(x, 1.0))
    k = _exponent_to_reduce(builder, _bits(builder, total), _FOUR_THIRDS_BITS)
    scaled = builder.bitcast(builder.add(_bits(builder, x), k), x.type)
    # 4 * 2^k, as k may be -128, and 2^-128 is no normal float.
    power = builder.bitcast(builder.add(k, _integers(k, 129 * _EXPONENT_ONE)), x.type)
    rest = _fmuladd(builder, power, _floats(x, -0.25), _floats(x, 1.0))
    result = _log_of_parts(builder, k, builder.fsub(scaled, rest))
    return _with_log_specials(builder, x, -1.0, result)


def tanh(builder: ir.IRBuilder, x: Value) -> Value:
    """Hyperbolic tangent; error at most 2.61 ulp; never beyond -1 or 1."""
    # With h = (e^2|x| - 1) / 2, it is h / (h + 1), never rounded to more than 1.
    magnitude = _at_most(builder, 10.0, _magnitude(builder, x))  # tanh rounds to 1 from 9.011 on
    h, _ = _scaled_expm1(builder, builder.fadd(magnitude, magnitude), 0.5)
    return _with_sign_of(builder, x, builder.fdiv(h, builder.fadd(h, _floats(x, 1.0))))


def sigmoid(builder: ir.IRBuilder, x: Value) -> Value:
    """1 / (1 + e^-x); error at most 3.45 ulp; never beyond 0 or 1."""
    # With e = e^-|x|, it is 1 / (1 + e) for x >= 0, e / (1 + e) for x < 0: nothing overflows.
    bits, one = _bits(builder, x), _floats(x, 1.0)
    negated = builder.bitcast(builder.or_(bits, _integers(bits, _SIGN_BIT)), x.type)
    e = _exp_between(builder, _at_least(builder, -104.0, negated))
    below = builder.icmp_signed("<", bits, _integers(bits, 0))
    return builder.fdiv(builder.select(below, e, one), builder.fadd(one, e))


def erf(builder: ir.IRBuilder, x: Value) -> Value:
    """Error function; error at most 2.56 ulp; never beyond -1 or 1."""
    # |erf(x)| = 1 - e^log(erfc(|x|)), and that logarithm is nearly a polynomial.
    magnitude = _at_most(builder, 3.9, _magnitude(builder, x))  # erf rounds to 1 from 3.833 on
    tail = builder.fmul(magnitude, _polynomial(builder, magnitude, _ERF))
    log_erfc = _fmuladd(builder, magnitude, _floats(x, _ERF_HI), tail)
    negated, _ = _scaled_expm1(builder, log_erfc, 1.0)
    return _with_sign_of(builder, x, _magnitude(builder, negated))


def sin(builder: ir.IRBuilder, x: Value) -> Value:
    """Sine; error at most 2.00 ulp for |x| <= 4e8, unspecified within [-1, 1] beyond."""
    wide = builder.fpext(x, _like(x, _F64))
    shifted = _fmuladd(builder, wide, _floats(wide, 1 / _PI), _floats(wide, _MAGIC_F64))
    n = builder.fsub(shifted, _floats(wide, _MAGIC_F64))
    result = _sin_off_multiple(builder, x, wide, shifted, n)
    return builder.select(builder.fcmp_ordered("==", x, _floats(x, 0.0)), x, result)  # for -0


def cos(builder: ir.IRBuilder, x: Value) -> Value:
    """Cosine; error at most 2.00 ulp for |x| <= 4e8, unspecified within [-1, 1] beyond."""
    # cos(x) = (-1)^n sin(x - (n - 1/2) pi).
    wide = builder.fpext(x, _like(x, _F64))
    shifted = _fmuladd(builder, wide, _floats(wide, 1 / _PI), _floats(wide, 0.5))
    shifted = builder.fadd(shifted, _floats(wide, _MAGIC_F64))
    n = builder.fsub(shifted, _floats(wide, _MAGIC_F64))
    return _sin_off_multiple(builder, x, wide, shifted, builder.fsub(n, _floats(wide, 0.5)))


def power(builder: ir.IRBuilder, x: Value, y: Value) -> Value:
    """x^y with the special cases of C's powf; error at most 0.54 ulp."""
    bits = _bits(builder, x)
    magnitude = _magnitude(builder, x)
    # |y| = 2^31 - 128 already makes 0, 1 or infinity of every |x|, and like infinity it is even.
    # Bounded by it, y fits an int32. NaN is replaced too: its conversion would be undefined.
    limit = 2.0**31 - 128
    bounded = builder.select(_less(builder, y, limit), y, _floats(y, limit))
    bounded = _at_least(builder, -limit, bounded)
    integer = builder.fptosi(bounded, bits.type)
    is_fraction = builder.fcmp_ordered("!=", builder.sitofp(integer, y.type), bounded)
    below = _less(builder, x, 0.0)

    result = _power_of_positive(builder, magnitude, bounded)
    result = builder.select(builder.and_(below, is_fraction), _floats(x, _NAN), result)
    # 0 and infinity, which are their own doubles, keep or swap places.
    extreme = builder.fcmp_ordered("==", builder.fadd(magnitude, magnitude), magnitude)
    swapped = builder.xor(_bits(builder, magnitude), _integers(bits, 255 * _EXPONENT_ONE))
    swapped = builder.bitcast(swapped, x.type)
    swapped = builder.select(_less(builder, y, 0.0), swapped, magnitude)
    result = builder.select(extreme, swapped, result)
    result = builder.select(builder.fcmp_unordered("uno", x, y), _floats(x, _NAN), result)
    # An odd y keeps the sign of x.
    sign = builder.and_(bits, builder.shl(integer, _integers(bits, 31)))
    sign = builder.select(is_fraction, _integers(bits, 0), sign)
    result = builder.bitcast(builder.or_(_bits(builder, result), sign), x.type)
    # 1^y and x^0 are 1 even for NaN.
    one = _floats(x, 1.0)
    is_one = builder.or_(
        builder.fcmp_ordered("==", x, one), builder.fcmp_ordered("==", y, _floats(y, 0.0))
    )
    return builder.select(is_one, one, result)


# --- Kernels: the parts that several functions share, without special cases.


def _exp_between(builder: ir.IRBuilder, x: Value) -> Value:
    """e^x for -104 <= x <= 89 or NaN."""
    # e^x = 2^m e^r 2^m with |r| <= ln 2: powers of half the exponent are never out of range, so
    # that only the last product overflows or becomes denormal, and is rounded once.
    m, scale = _round_to_power(builder, x, 0.5 / _LN2, bias=127)
    r = _fmuladd(builder, m, _floats(x, -2 * _LN2_HI), x)
    r = _fmuladd(builder, m, _floats(x, -2 * _LN2_LO), r)
    tail = _fmuladd(builder, builder.fmul(r, r), _polynomial(builder, r, _EXP), r)
    result = builder.fadd(tail, _floats(x, 1.0))
    return builder.fmul(builder.fmul(result, scale), scale)


def _scaled_expm1(builder: ir.IRBuilder, x: Value, scale: float) -> tuple[Value, Value]:
    """scale (e^x - 1), where scale is 1 or 1/2, for -20 <= x <= 88 or NaN; and its r^2 (below).

    With scale 1/2 for x <= 89 too, where e^x overflows."""
    # e^x = 2^n e^r with |r| <= ln 2 / 2. The result is p (e^r - 1) + (p - scale), p = scale 2^n.
    n, power = _round_to_power(builder, x, 1 / _LN2, bias=127 if scale == 1.0 else 126)
    r = _fmuladd(builder, n, _floats(x, -_LN2_HI), x)
    r = _fmuladd(builder, n, _floats(x, -_LN2_LO), r)
    square = builder.fmul(r, r)
    reduced = _fmuladd(builder, square, _polynomial(builder, r, _EXPM1), r)
    offset = builder.fsub(power, _floats(x, scale))
    return _fmuladd(builder, reduced, power, offset), square


def _round_to_power(
    builder: ir.IRBuilder, x: Value, factor: float, bias: int
) -> tuple[Value, Value]:
    """The integer n nearest to x * factor, as a float; the float with biased exponent n + bias."""
    magic = _floats(x, _MAGIC + bias)
    shifted = _fmuladd(builder, x, _floats(x, factor), magic)
    bits = _bits(builder, shifted)
    power = builder.bitcast(builder.shl(bits, _integers(bits, 23)), x.type)
    return builder.fsub(shifted, magic), power


def _bits_as_normal(builder: ir.IRBuilder, x: Value) -> Value:
    """The bits of a positive x; of a denormal as if the exponent field went on below 0."""
    denormal = _less(builder, x, 2.0**-126)
    scaled = _bits(builder, builder.fmul(x, _floats(x, 2.0**23)))
    scaled = builder.sub(scaled, _integers(scaled, 23 * _EXPONENT_ONE))
    return builder.select(denormal, scaled, _bits(builder, x))


def _exponent_to_reduce(builder: ir.IRBuilder, bits: Value, upper: int) -> Value:
    """What to add to a float's bits to bring it into (upper / 2, upper]: a multiple of 2^23."""
    return builder.and_(builder.sub(_integers(bits, upper), bits), _integers(bits, -_EXPONENT_ONE))


def _log_of_parts(builder: ir.IRBuilder, k: Value, f: Value) -> Value:
    """log((1 + f) 2^-k), with k in the exponent's place, |f| <= 1/3."""
    tail = _polynomial(builder, f, _LOG1P)
    result = _fmuladd(builder, builder.fmul(f, f), tail, f)
    exponent = builder.sitofp(k, f.type)
    return _fmuladd(builder, exponent, _floats(f, -_LN2 / _EXPONENT_ONE), result)


def _with_log_specials(builder: ir.IRBuilder, x: Value, pole: float, result: Value) -> Value:
    """A logarithm's result where it has no finite value: at the pole, below it, at infinity."""
    at_pole = builder.fcmp_ordered("==", x, _floats(x, pole))
    outside = builder.select(at_pole, _floats(x, -_INFINITY), _floats(x, _NAN))
    result = builder.select(_greater(builder, x, pole), result, outside)
    at_infinity = builder.fcmp_ordered("==", x, _floats(x, _INFINITY))
    return builder.select(at_infinity, x, result)


def _sin_off_multiple(
    builder: ir.IRBuilder, x: Value, wide: Value, shifted: Value, multiple: Value
) -> Value:
    """(-1)^n sin(x - multiple * pi); wide is x in double, shifted is n plus the magic number."""
    # Where x is close to a multiple of pi, float would lose most digits of the difference.
    r = _fmuladd(builder, multiple, _floats(wide, -_PI_HI), wide)
    r = _fmuladd(builder, multiple, _floats(wide, -_PI_LO), r)
    r = builder.fptrunc(r, x.type)
    square = builder.fmul(r, r)
    tail = _polynomial(builder, square, _SIN)
    result = _fmuladd(builder, builder.fmul(r, square), tail, r)
    result = _at_most(builder, 1.0, _at_least(builder, -1.0, result))
    n = builder.trunc(builder.bitcast(shifted, _like(x, _I64)), _like(x, _I32))
    sign = builder.shl(n, _integers(n, 31))
    return builder.bitcast(builder.xor(_bits(builder, result), sign), x.type)


def _power_of_positive(builder: ir.IRBuilder, x: Value, y: Value) -> Value:
    """x^y for finite positive x and finite y, in double: 2^(y log2(x))."""
    bits = _bits_as_normal(builder, x)
    k = _exponent_to_reduce(builder, bits, _SQRT_TWO_BITS)
    mantissa = builder.bitcast(builder.add(bits, k), x.type)
    mantissa = builder.fpext(mantissa, _like(x, _F64))
    one = _floats(mantissa, 1.0)
    s = builder.fdiv(builder.fsub(mantissa, one), builder.fadd(mantissa, one))
    log2 = builder.fmul(s, _polynomial(builder, builder.fmul(s, s), _LOG2))
    exponent = builder.sitofp(k, log2.type)
    log2 = _fmuladd(builder, exponent, _floats(log2, -1.0 / _EXPONENT_ONE), log2)

    product = builder.fmul(log2, builder.fpext(y, log2.type))
    product = _at_most(builder, 140.0, _at_least(builder, -160.0, product))
    shifted = builder.fadd(product, _floats(product, _MAGIC_F64))
    fraction = builder.fsub(product, builder.fsub(shifted, _floats(product, _MAGIC_F64)))
    # In double these exponents are in range; rounding to float makes infinities and denormals.
    scale = builder.bitcast(shifted, _like(x, _I64))
    scale = builder.shl(scale, _integers(scale, 52))
    result = builder.bitcast(_polynomial(builder, fraction, _EXP2), scale.type)
    result = builder.bitcast(builder.add(result, scale), log2.type)
    return builder.fptrunc(result, x.type)


# --- Notation.


def _like(vector: Value, element: ir.Type) -> ir.VectorType:
    return ir.VectorType(element, vector.type.count)


def _floats(vector: Value, number: float) -> ir.Constant:
    """A number in all lanes of a vector's type, float or double."""
    return ir.Constant(vector.type, number)


def _integers(vector: Value, number: int) -> ir.Constant:
    """An integer in all lanes of a vector's type."""
    return ir.Constant(vector.type, number)


def _bits(builder: ir.IRBuilder, x: Value) -> Value:
    return builder.bitcast(x, _like(x, _I32))


def _magnitude(builder: ir.IRBuilder, x: Value) -> Value:
    bits = _bits(builder, x)
    return builder.bitcast(builder.and_(bits, _integers(bits, ~_SIGN_BIT)), x.type)


def _with_sign_of(builder: ir.IRBuilder, x: Value, magnitude: Value) -> Value:
    bits = _bits(builder, x)
    sign = builder.and_(bits, _integers(bits, _SIGN_BIT))
    return builder.bitcast(builder.or_(_bits(builder, magnitude), sign), x.type)


def _less(builder: ir.IRBuilder, x: Value, bound: float) -> Value:
    return builder.fcmp_ordered("<", x, _floats(x, bound))


def _greater(builder: ir.IRBuilder, x: Value, bound: float) -> Value:
    return builder.fcmp_ordered(">", x, _floats(x, bound))


def _at_least(builder: ir.IRBuilder, bound: float, x: Value) -> Value:
    """max(bound, x), or NaN if x is. In this order of operands, x86 has an instruction for it."""
    low = _floats(x, bound)
    return builder.select(builder.fcmp_ordered(">", low, x), low, x)


def _at_most(builder: ir.IRBuilder, bound: float, x: Value) -> Value:
    """min(bound, x), or NaN if x is."""
    high = _floats(x, bound)
    return builder.select(builder.fcmp_ordered("<", high, x), high, x)


def _fmuladd(builder: ir.IRBuilder, a: Value, b: Value, c: Value) -> Value:
    """a * b + c, fused where the target has an instruction for it (`llvm.fma` would call libm)."""
    element = "f32" if isinstance(a.type.element, ir.FloatType) else "f64"
    name = f"llvm.fmuladd.v{a.type.count}{element}"
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(a.type, [a.type] * 3), name)
    return builder.call(function, [a, b, c])


def _polynomial(builder: ir.IRBuilder, x: Value, coefficients: Sequence[float]) -> Value:
    """The sum of coefficients[i] x^i, by Horner's rule: fewest instructions."""
    *lower, highest = coefficients
    result = _floats(x, highest)
    for coefficient in reversed(lower):
        result = _fmuladd(builder, x, result, _floats(x, coefficient))
    return result
