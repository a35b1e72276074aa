"""Functions of neural networks, composed of the others."""

from __future__ import annotations

import math
from collections.abc import Sequence

from graphc.trace import Tensor

from .base import TensorLike, floating, recorded
from .elementwise import (
    add,
    divide,
    erf,
    exp,
    greater,
    log,
    log1p,
    maximum,
    multiply,
    negative,
    rsqrt,
    stop_gradient,
    subtract,
    tanh,
    where,
)
from .reductions import max, sum


@recorded
def relu(x: TensorLike) -> Tensor:
    """max(x, 0)."""
    return maximum(x, 0.0)


@recorded
def softplus(x: TensorLike) -> Tensor:
    """log(1 + e**x), without overflow."""
    # With the halves chosen by `where`, the derivative at 0 is 1/2; that of max and |x| would be 0.
    x = floating(x)
    positive = greater(x, 0.0)
    return add(where(positive, x, 0.0), log1p(exp(where(positive, negative(x), x))))


@recorded
def log_sigmoid(x: TensorLike) -> Tensor:
    """log(sigmoid(x)), without underflow."""
    return negative(softplus(negative(floating(x))))


@recorded
def softmax(x: TensorLike, axis: int = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along an axis."""
    x = floating(x)
    e = exp(subtract(x, stop_gradient(max(x, axis, True))))
    return divide(e, sum(e, axis, True))


@recorded
def log_softmax(x: TensorLike, axis: int = -1) -> Tensor:
    """log(softmax(x)) along an axis, without underflow."""
    x = floating(x)
    shifted = subtract(x, stop_gradient(max(x, axis, True)))
    return subtract(shifted, log(sum(exp(shifted), axis, True)))


@recorded
def gelu(x: TensorLike, approximate: bool = True) -> Tensor:
    """x times the normal distribution's function at x; by tanh when approximate."""
    x = floating(x)
    if approximate:
        inner = multiply(add(x, multiply(0.044715, _cube(x))), math.sqrt(2 / math.pi))
        return multiply(multiply(0.5, x), add(1.0, tanh(inner)))
    return multiply(multiply(0.5, x), add(1.0, erf(multiply(x, math.sqrt(0.5)))))


def _cube(x: Tensor) -> Tensor:
    """x * x * x."""
    return multiply(multiply(x, x), x)


@recorded
def normalize(x: TensorLike, axis: int | Sequence[int] = -1, epsilon: float = 1e-7) -> Tensor:
    """x divided by its length along axes; by epsilon, where the length is less."""
    x = floating(x)
    # As in Keras, the squared length is held above epsilon squared.
    squared = maximum(sum(multiply(x, x), axis, True), epsilon * epsilon)
    return multiply(x, rsqrt(squared))
