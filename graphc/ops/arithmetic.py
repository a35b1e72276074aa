"""Functions of each element that are composed of others: rounding, division, logarithms, angles."""

from __future__ import annotations

import math

import numpy as np

from graphc.ir.types import DTYPES, FLOATS
from graphc.trace import Tensor

from .base import TensorLike, align, cast, convert_to_tensor, floating, recorded
from .elementwise import (
    absolute,
    add,
    cos,
    divide,
    equal,
    exp,
    expm1,
    floor,
    greater,
    less,
    log,
    log1p,
    multiply,
    negative,
    not_equal,
    power,
    sign,
    sin,
    sqrt,
    square,
    subtract,
    where,
)


@recorded
def reciprocal(x: TensorLike) -> Tensor:
    """1 / x."""
    return divide(1.0, x)


@recorded
def ceil(x: TensorLike) -> Tensor:
    """The smallest integer not below x."""
    return negative(floor(negative(floating(x))))


@recorded
def trunc(x: TensorLike) -> Tensor:
    """x without its fraction."""
    x = convert_to_tensor(x)
    if x.type.dtype not in FLOATS:
        return x
    return where(less(x, 0.0), ceil(x), floor(x))


@recorded
def round(x: TensorLike, decimals: int = 0) -> Tensor:
    """The nearest number of so many decimals, the even one of two; ints stay with decimals >= 0."""
    x = convert_to_tensor(x)
    if x.type.dtype not in FLOATS and decimals >= 0:
        return x
    factor = 10.0**decimals
    scaled = multiply(floating(x), factor) if decimals else floating(x)
    low = floor(scaled)
    rest = subtract(scaled, low)
    even = multiply(2.0, floor(divide(add(low, 1.0), 2.0)))
    whole = where(less(rest, 0.5), low, where(greater(rest, 0.5), add(low, 1.0), even))
    return cast(divide(whole, factor) if decimals else whole, x.type.dtype)


def _quotient(x1: Tensor, x2: Tensor) -> Tensor:
    """floor(x1 / x2) in float64, where rounding cannot take the quotient of 32-bit numbers up."""
    return floor(divide(cast(x1, "f64"), cast(x2, "f64")))


@recorded
def floor_divide(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The largest integer not above x1 / x2."""
    a, b = align(x1, x2)
    return cast(_quotient(a, b), a.type.dtype)


@recorded
def mod(x1: TensorLike, x2: TensorLike) -> Tensor:
    """What floor_divide leaves of x1; it has the sign of x2."""
    a, b = align(x1, x2)
    rest = subtract(cast(a, "f64"), multiply(_quotient(a, b), cast(b, "f64")))
    return cast(rest, a.type.dtype)


@recorded
def log2(x: TensorLike) -> Tensor:
    """Logarithm to the base 2."""
    return multiply(log(x), 1 / math.log(2))


@recorded
def log10(x: TensorLike) -> Tensor:
    """Logarithm to the base 10."""
    return multiply(log(x), 1 / math.log(10))


@recorded
def exp2(x: TensorLike) -> Tensor:
    """2**x."""
    return power(2.0, floating(x))


@recorded
def sinh(x: TensorLike) -> Tensor:
    """Hyperbolic sine."""
    x = floating(x)
    return multiply(0.5, subtract(expm1(x), expm1(negative(x))))


@recorded
def cosh(x: TensorLike) -> Tensor:
    """Hyperbolic cosine."""
    x = floating(x)
    return multiply(0.5, add(exp(x), exp(negative(x))))


@recorded
def tan(x: TensorLike) -> Tensor:
    """Tangent, x in radians."""
    return divide(sin(x), cos(x))


@recorded
def arcsinh(x: TensorLike) -> Tensor:
    """What sinh gives x for."""
    x = floating(x)
    size = absolute(x)
    root = sqrt(add(square(size), 1.0))
    return multiply(sign(x), log1p(add(size, divide(square(size), add(root, 1.0)))))


@recorded
def arccosh(x: TensorLike) -> Tensor:
    """What of at least 0 cosh gives x for; NaN below 1."""
    above = subtract(floating(x), 1.0)
    return log1p(add(above, sqrt(multiply(above, add(above, 2.0)))))


@recorded
def arctanh(x: TensorLike) -> Tensor:
    """What tanh gives x for."""
    x = floating(x)
    return multiply(0.5, subtract(log1p(x), log1p(negative(x))))


# Of atan(t) / t - 1 in t * t, for |t| up to tan(pi / 8), within 1e-7 (Moshier, Cephes, atanf).
_ARCTAN = (8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1)


@recorded
def arctan(x: TensorLike) -> Tensor:
    """The angle in (-pi/2, pi/2) whose tangent is x, within 2e-7."""
    x = floating(x)
    size = absolute(x)
    far, middle = greater(size, math.tan(3 * math.pi / 8)), greater(size, math.tan(math.pi / 8))
    # Where another branch counts, its argument is 1, so that no derivative there is infinite.
    inverse = divide(-1.0, where(far, size, 1.0))
    turned = divide(subtract(size, 1.0), add(size, 1.0))
    near = where(far, inverse, where(middle, turned, size))
    start = where(far, math.pi / 2, where(middle, math.pi / 4, 0.0))
    t = square(near)
    series = multiply(t, _ARCTAN[0])
    for coefficient in _ARCTAN[1:]:
        series = multiply(t, add(series, coefficient))
    return multiply(where(less(x, 0.0), -1.0, 1.0), add(start, add(near, multiply(near, series))))


@recorded
def arcsin(x: TensorLike) -> Tensor:
    """The angle in [-pi/2, pi/2] whose sine is x; NaN where there is none."""
    x = floating(x)
    return arctan(divide(x, sqrt(multiply(subtract(1.0, x), add(1.0, x)))))


@recorded
def arccos(x: TensorLike) -> Tensor:
    """The angle in [0, pi] whose cosine is x; NaN where there is none."""
    return subtract(math.pi / 2, arcsin(x))


@recorded
def isnan(x: TensorLike) -> Tensor:
    """Whether x is not a number."""
    x = floating(x)
    return not_equal(x, x)


@recorded
def isinf(x: TensorLike) -> Tensor:
    """Whether x is infinite."""
    return equal(absolute(floating(x)), math.inf)


@recorded
def nan_to_num(
    x: TensorLike, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """x with numbers in place of NaN and infinities: by default 0, and the largest and smallest."""
    x = floating(x)
    limits = np.finfo(DTYPES[x.type.dtype])
    high = float(limits.max) if posinf is None else posinf
    low = float(limits.min) if neginf is None else neginf
    finite = where(equal(x, math.inf), high, where(equal(x, -math.inf), low, x))
    return where(isnan(x), nan, finite)
