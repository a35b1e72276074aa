"""Activation functions that are composed of others."""

from __future__ import annotations

from graphc.trace import Tensor

from .base import TensorLike, cast, floating, recorded
from .elementwise import (
    absolute,
    add,
    clip,
    divide,
    expm1,
    greater,
    greater_equal,
    less,
    less_equal,
    minimum,
    multiply,
    sigmoid,
    sqrt,
    square,
    subtract,
    tanh,
    where,
)
from .nn import relu
from .reductions import sum
from .shaping import expand_dims, moveaxis, split


@recorded
def relu6(x: TensorLike) -> Tensor:
    """min(max(x, 0), 6)."""
    return minimum(relu(x), 6.0)


@recorded
def leaky_relu(x: TensorLike, negative_slope: float = 0.2) -> Tensor:
    """x where positive, else negative_slope * x."""
    return where(greater(x, 0.0), x, multiply(negative_slope, x))


@recorded
def elu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """x where positive, else alpha * (e**x - 1)."""
    positive = greater(x, 0.0)
    return where(positive, x, multiply(alpha, expm1(where(positive, 0.0, x))))


@recorded
def celu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """x where positive, else alpha * (e**(x / alpha) - 1)."""
    positive = greater(x, 0.0)
    low = expm1(divide(where(positive, 0.0, x), alpha))
    return where(positive, x, multiply(alpha, low))


@recorded
def selu(x: TensorLike) -> Tensor:
    """elu scaled so that activations normalise themselves (Klambauer et al. 2017)."""
    return multiply(1.0507009873554805, elu(x, 1.6732632423543772))


@recorded
def softsign(x: TensorLike) -> Tensor:
    """x / (1 + |x|)."""
    return divide(x, add(1.0, absolute(x)))


@recorded
def silu(x: TensorLike) -> Tensor:
    """x * sigmoid(x)."""
    return multiply(x, sigmoid(x))


@recorded
def hard_sigmoid(x: TensorLike) -> Tensor:
    """relu6(x + 3) / 6."""
    return divide(relu6(add(x, 3.0)), 6.0)


@recorded
def hard_silu(x: TensorLike) -> Tensor:
    """x * hard_sigmoid(x)."""
    return multiply(x, hard_sigmoid(x))


@recorded
def hard_tanh(x: TensorLike) -> Tensor:
    """x held between -1 and 1."""
    return clip(x, -1.0, 1.0)


@recorded
def tanh_shrink(x: TensorLike) -> Tensor:
    """x - tanh(x)."""
    return subtract(x, tanh(x))


@recorded
def soft_shrink(x: TensorLike, threshold: float = 0.5) -> Tensor:
    """x moved towards 0 by the threshold; 0 within it."""
    high = where(greater(x, threshold), subtract(x, threshold), 0.0)
    return where(less(x, -threshold), add(x, threshold), high)


@recorded
def hard_shrink(x: TensorLike, threshold: float = 0.5) -> Tensor:
    """x, but 0 within the threshold."""
    return where(greater(absolute(x), threshold), x, 0.0)


@recorded
def threshold(x: TensorLike, threshold: float, default_value: float) -> Tensor:
    """x above the threshold, else the default value."""
    return where(greater(x, threshold), x, default_value)


@recorded
def squareplus(x: TensorLike, b: float = 4.0) -> Tensor:
    """(x + sqrt(x**2 + b)) / 2."""
    return divide(add(x, sqrt(add(square(x), b))), 2.0)


@recorded
def sparse_plus(x: TensorLike) -> Tensor:
    """0 below -1, x above 1, ((x + 1) / 2)**2 between."""
    middle = multiply(0.25, square(add(x, 1.0)))
    return where(less_equal(x, -1.0), 0.0, where(less(x, 1.0), middle, x))


@recorded
def sparse_sigmoid(x: TensorLike) -> Tensor:
    """0 below -1, 1 above 1, (x + 1) / 2 between."""
    return clip(multiply(0.5, add(x, 1.0)), 0.0, 1.0)


@recorded
def glu(x: TensorLike, axis: int = -1) -> Tensor:
    """The first half along an axis times the sigmoid of the second (Dauphin et al. 2017)."""
    first, second = split(floating(x), 2, axis)
    return multiply(first, sigmoid(second))


@recorded
def sparsemax(x: TensorLike, axis: int = -1) -> Tensor:
    """max(x - t, 0), where t makes the sum along an axis 1 (Martins and Astudillo 2016).

    Which elements stay above 0 is told, in place of sorting, by comparing all with all: those
    where 1 + rank * x is more than the sum of the elements not below x.
    """
    x = moveaxis(floating(x), axis, -1)
    one, other = expand_dims(x, -1), expand_dims(x, -2)
    above = greater_equal(other, one)
    rank, total = sum(cast(above, x.dtype), -1), sum(where(above, other, 0.0), -1)
    support = greater(add(1.0, multiply(rank, x)), total)
    count = sum(cast(support, x.dtype), -1, True)
    excess = subtract(sum(where(support, x, 0.0), -1, True), 1.0)
    return moveaxis(relu(subtract(x, divide(excess, count))), -1, axis)


swish, hard_swish = silu, hard_silu
