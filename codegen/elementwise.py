"""Lowering of elementwise ops: one table from op to the vector code that computes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from llvmlite import ir

from . import vectormath
from .builder import F32, F64, I1, I32, I64, SCALARS, Emitter, splat

Value: TypeAlias = ir.Value
Attrs = dict[str, Any]
Lowering = Callable[..., Value]


class Unsupported(ValueError):
    """An op on a dtype or shape that native code cannot be made for; the message says which."""


def is_float(value: Value) -> bool:
    return isinstance(value.type.element, (ir.FloatType, ir.DoubleType))


def constant(value: Value, number: float) -> ir.Constant:
    """A constant of another value's vector type."""
    return splat(number, value.type.element, value.type.count)


def _math(function: Callable[..., Value]) -> Lowering:
    def lower(e: Emitter, attrs: Attrs, *operands: Value) -> Value:
        if operands[0].type.element != F32:
            raise Unsupported(
                f"{function.__name__} is compiled for float32 only; cast the operand to float32"
            )
        return function(e.ir, *operands)

    return lower


def _intrinsic(name: str) -> Lowering:
    return lambda e, attrs, x: e.intrinsic(name, x)


def _arithmetic(for_float: str, for_int: str) -> Lowering:
    def lower(e: Emitter, attrs: Attrs, x: Value, y: Value) -> Value:
        if for_int == "add" and x.type.element == I1:  # as in NumPy
            return e.ir.or_(x, y)
        return getattr(e.ir, for_float if is_float(x) else for_int)(x, y)

    return lower


def _compare(operator: str) -> Lowering:
    """Attribute "unsigned" says how ints are meant; bools are unsigned."""

    def lower(e: Emitter, attrs: Attrs, x: Value, y: Value) -> Value:
        if is_float(x):
            return e.ir.fcmp_ordered(operator, x, y)
        unsigned = attrs.get("unsigned") or x.type.element == I1
        return (e.ir.icmp_unsigned if unsigned else e.ir.icmp_signed)(operator, x, y)

    return lower


def _neg(e: Emitter, attrs: Attrs, x: Value) -> Value:
    return e.ir.fneg(x) if is_float(x) else e.ir.neg(x)


def _abs(e: Emitter, attrs: Attrs, x: Value) -> Value:
    if is_float(x):
        return e.intrinsic("fabs", x)
    return e.ir.select(_compare("<")(e, attrs, x, constant(x, 0)), e.ir.neg(x), x)


def _sign(e: Emitter, attrs: Attrs, x: Value) -> Value:
    zero, one, minus = constant(x, 0), constant(x, 1), constant(x, -1)
    less, greater = _compare("<")(e, attrs, x, zero), _compare(">")(e, attrs, x, zero)
    return e.ir.select(greater, one, e.ir.select(less, minus, x))  # x: 0, -0 or NaN


def _is_finite(e: Emitter, attrs: Attrs, x: Value) -> Value:
    return e.ir.fcmp_ordered("<", e.intrinsic("fabs", x), constant(x, float("inf")))


def extremum(operator: str) -> Lowering:
    """maximum (">") or minimum ("<"), NaN if either operand is NaN."""

    def lower(e: Emitter, attrs: Attrs, x: Value, y: Value) -> Value:
        if not is_float(x):
            return e.ir.select(_compare(operator)(e, attrs, x, y), x, y)
        if isinstance(x, ir.Constant):
            x, y = y, x
        # y where y is further than x, else x: which is x when x is NaN.
        result = e.ir.select(e.ir.fcmp_ordered(operator, y, x), y, x)
        if isinstance(y, ir.Constant):
            return result
        return e.ir.select(e.ir.fcmp_unordered("uno", y, y), y, result)

    return lower


def _cast(e: Emitter, attrs: Attrs, x: Value) -> Value:
    source, target = x.type.element, SCALARS[str(attrs["dtype"])]
    vector = ir.VectorType(target, x.type.count)
    unsigned_source = source == I1 or bool(attrs.get("unsigned"))
    unsigned_target = str(attrs["dtype"]).startswith("u")
    if source == target:
        return x
    if target == I1:  # whether it is not 0, as NaN is not
        differs = e.ir.fcmp_unordered if is_float(x) else e.ir.icmp_unsigned
        return differs("!=", x, constant(x, 0))
    if is_float(x):
        if isinstance(target, (ir.FloatType, ir.DoubleType)):
            return e.ir.fpext(x, vector) if target == F64 else e.ir.fptrunc(x, vector)
        return e.ir.fptoui(x, vector) if unsigned_target else e.ir.fptosi(x, vector)
    if isinstance(target, (ir.FloatType, ir.DoubleType)):
        return e.ir.uitofp(x, vector) if unsigned_source else e.ir.sitofp(x, vector)
    if target.width < source.width:
        return e.ir.trunc(x, vector)
    return e.ir.zext(x, vector) if unsigned_source else e.ir.sext(x, vector)


def _rsqrt(e: Emitter, attrs: Attrs, x: Value) -> Value:
    return e.ir.fdiv(constant(x, 1.0), e.intrinsic("sqrt", x))


def _floor(e: Emitter, attrs: Attrs, x: Value) -> Value:
    """Through an int where |x| < 2**23 (f64: 2**52), as larger floats are integers.

    No libm call on any target.
    """
    double = x.type.element == F64
    ints = ir.VectorType(I64 if double else I32, x.type.count)
    limit = constant(x, 2.0**52 if double else 2.0**23)
    small = e.ir.fcmp_ordered("<", e.intrinsic("fabs", x), limit)
    safe = e.ir.select(small, x, constant(x, 0.0))
    whole = e.ir.sitofp(e.ir.fptosi(safe, ints), x.type)
    down = e.ir.fsub(whole, constant(x, 1.0))
    whole = e.ir.select(e.ir.fcmp_ordered(">", whole, safe), down, whole)
    # What is whole stays as it is: -0.0 too.
    return e.ir.select(e.ir.and_(small, e.ir.fcmp_ordered("!=", whole, x)), whole, x)


def _select(e: Emitter, attrs: Attrs, condition: Value, x: Value, y: Value) -> Value:
    return e.ir.select(condition, x, y)


def _same(e: Emitter, attrs: Attrs, x: Value) -> Value:
    return x


# Op -> its vector code.
LOWERINGS: dict[str, Lowering] = {
    "neg": _neg,
    "abs": _abs,
    "sign": _sign,
    "floor": _floor,
    "exp": _math(vectormath.exp),
    "expm1": _math(vectormath.expm1),
    "log": _math(vectormath.log),
    "log1p": _math(vectormath.log1p),
    "sin": _math(vectormath.sin),
    "cos": _math(vectormath.cos),
    "tanh": _math(vectormath.tanh),
    "sigmoid": _math(vectormath.sigmoid),
    "erf": _math(vectormath.erf),
    "power": _math(vectormath.power),
    "sqrt": _intrinsic("sqrt"),
    "rsqrt": _rsqrt,
    "is_finite": _is_finite,
    "logical_not": lambda e, attrs, x: e.ir.not_(x),
    "stop_gradient": _same,
    "copy": _same,
    "cast": _cast,
    "add": _arithmetic("fadd", "add"),
    "sub": _arithmetic("fsub", "sub"),
    "mul": _arithmetic("fmul", "mul"),
    "div": lambda e, attrs, x, y: e.ir.fdiv(x, y),
    "maximum": extremum(">"),
    "minimum": extremum("<"),
    "equal": _compare("=="),
    "less": _compare("<"),
    "less_equal": _compare("<="),
    "logical_and": lambda e, attrs, x, y: e.ir.and_(x, y),
    "logical_or": lambda e, attrs, x, y: e.ir.or_(x, y),
    "select": _select,
}


def philox_uniform(e: Emitter, seed: Value, stream: int, step: Value, index: Value) -> Value:
    """f32 in [0, 1) for each element index (vector of i64); as `ir.interpret.philox_uniform`."""
    lanes = index.type.count
    wide = ir.VectorType(I64, lanes)
    b, low = e.ir, splat(0xFFFFFFFF, I64, lanes)
    x0 = b.and_(index, low)
    x1 = e.spread(b.zext(step, I64), lanes)
    key = b.add(seed, ir.Constant(I32, (stream * 0x85EBCA6B) & 0xFFFFFFFF))
    for _ in range(10):
        product = b.mul(x0, splat(0xD256D193, I64, lanes))
        mixed = b.xor(b.lshr(product, splat(32, I64, lanes)), e.spread(b.zext(key, I64), lanes))
        x0, x1 = b.xor(mixed, x1), b.and_(product, low)
        key = b.add(key, ir.Constant(I32, 0x9E3779B9))
    bits = b.trunc(b.lshr(x0, splat(8, I64, lanes)), ir.VectorType(I32, lanes))
    real = b.uitofp(bits, ir.VectorType(F32, lanes))
    assert wide == index.type
    return b.fmul(real, splat(2.0**-24, F32, lanes))
