"""Functions of each element: arithmetic, comparison, choice."""

from __future__ import annotations

from collections.abc import Callable

from graphc.ir.types import FLOATS
from graphc.trace import Tensor

from .base import (
    TensorLike,
    align,
    broadcast_shapes,
    broadcast_to,
    cast,
    convert_to_tensor,
    floating,
    node,
    recorded,
)


def _unary(op: str, name: str, doc: str) -> Callable[[TensorLike], Tensor]:
    def function(x: TensorLike) -> Tensor:
        if op in ("neg", "abs", "sign", "stop_gradient"):
            return node(op, convert_to_tensor(x))
        return node(op, floating(x))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return recorded(function)


def _binary(op: str, name: str, doc: str, swap: bool = False) -> Callable[..., Tensor]:
    def function(x1: TensorLike, x2: TensorLike) -> Tensor:
        a, b = align(x1, x2)
        if op in ("div", "power") and a.type.dtype not in FLOATS:
            a, b = cast(a, "f32"), cast(b, "f32")
        if op.startswith("logical"):
            a, b = cast(a, "bool"), cast(b, "bool")
        return node(op, b, a) if swap else node(op, a, b)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return recorded(function)


negative = _unary("neg", "negative", "-x.")
absolute = abs = _unary("abs", "absolute", "|x|.")
sign = _unary("sign", "sign", "-1, 0 or 1.")
floor = _unary("floor", "floor", "The largest integer not above x.")
exp = _unary("exp", "exp", "e**x.")
expm1 = _unary("expm1", "expm1", "e**x - 1, exact near 0.")
log = _unary("log", "log", "Natural logarithm.")
log1p = _unary("log1p", "log1p", "log(1 + x), exact near 0.")
sqrt = _unary("sqrt", "sqrt", "Square root.")
rsqrt = _unary("rsqrt", "rsqrt", "1 / sqrt(x).")
sin = _unary("sin", "sin", "Sine, x in radians.")
cos = _unary("cos", "cos", "Cosine, x in radians.")
tanh = _unary("tanh", "tanh", "Hyperbolic tangent.")
sigmoid = _unary("sigmoid", "sigmoid", "1 / (1 + e**-x).")
erf = _unary("erf", "erf", "The error function.")
isfinite = _unary("is_finite", "isfinite", "Whether x is neither infinite nor NaN.")
stop_gradient = _unary("stop_gradient", "stop_gradient", "x, taken as a constant by gradients.")

add = _binary("add", "add", "x1 + x2.")
subtract = _binary("sub", "subtract", "x1 - x2.")
multiply = _binary("mul", "multiply", "x1 * x2.")
divide = _binary("div", "divide", "x1 / x2; integers are divided as float32.")
power = _binary("power", "power", "x1**x2.")
maximum = _binary("maximum", "maximum", "The larger of two, element by element.")
minimum = _binary("minimum", "minimum", "The smaller of two, element by element.")
equal = _binary("equal", "equal", "x1 == x2.")
less = _binary("less", "less", "x1 < x2.")
less_equal = _binary("less_equal", "less_equal", "x1 <= x2.")
greater = _binary("less", "greater", "x1 > x2.", swap=True)
greater_equal = _binary("less_equal", "greater_equal", "x1 >= x2.", swap=True)
logical_and = _binary("logical_and", "logical_and", "x1 and x2.")
logical_or = _binary("logical_or", "logical_or", "x1 or x2.")


@recorded
def logical_not(x: TensorLike) -> Tensor:
    """Not x."""
    return node("logical_not", cast(convert_to_tensor(x), "bool"))


@recorded
def not_equal(x1: TensorLike, x2: TensorLike) -> Tensor:
    """x1 != x2."""
    return logical_not(equal(x1, x2))


@recorded
def where(condition: TensorLike, x1: TensorLike, x2: TensorLike) -> Tensor:
    """x1 where the condition holds, else x2."""
    a, b = align(x1, x2)
    condition = cast(convert_to_tensor(condition), "bool")
    shape = broadcast_shapes(condition.shape, a.shape)
    return node("select", *(broadcast_to(t, shape) for t in (condition, a, b)))


@recorded
def clip(x: TensorLike, x_min: TensorLike, x_max: TensorLike) -> Tensor:
    """x held between x_min and x_max."""
    return minimum(maximum(x, x_min), x_max)


@recorded
def square(x: TensorLike) -> Tensor:
    """x * x."""
    return multiply(x, x)


@recorded
def logaddexp(x1: TensorLike, x2: TensorLike) -> Tensor:
    """log(exp(x1) + exp(x2)) without overflow."""
    a, b = align(x1, x2)
    largest = maximum(a, b)
    largest = stop_gradient(where(isfinite(largest), largest, 0.0))
    return add(largest, log(add(exp(subtract(a, largest)), exp(subtract(b, largest)))))
