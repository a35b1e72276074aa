"""Activation functions, by name and as functions, as in `keras.activations`.

Each takes and returns a tensor of any shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import ops
from .errors import unknown_name
from .trace import Tensor

Activation = Callable[..., Tensor]


def linear(x: Any) -> Tensor:
    """x."""
    return x  # type: ignore[no-any-return]


def relu(
    x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Tensor:
    """max(x, 0); negative_slope * (x - threshold) below the threshold, held below max_value."""
    if negative_slope == 0.0 and threshold == 0.0:
        result = ops.relu(x)
    else:
        low = ops.multiply(negative_slope, ops.subtract(x, threshold))
        result = ops.where(ops.greater_equal(x, threshold), x, low)
    return result if max_value is None else ops.minimum(result, max_value)


def relu6(x: Any) -> Tensor:
    """min(max(x, 0), 6)."""
    return ops.minimum(ops.relu(x), 6.0)


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """x where positive, else negative_slope * x."""
    return ops.where(ops.greater(x, 0.0), x, ops.multiply(negative_slope, x))


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where positive, else alpha * (e**x - 1)."""
    positive = ops.greater(x, 0.0)
    return ops.where(positive, x, ops.multiply(alpha, ops.expm1(ops.where(positive, 0.0, x))))


def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where positive, else alpha * (e**(x / alpha) - 1)."""
    positive = ops.greater(x, 0.0)
    low = ops.expm1(ops.divide(ops.where(positive, 0.0, x), alpha))
    return ops.where(positive, x, ops.multiply(alpha, low))


def selu(x: Any) -> Tensor:
    """elu scaled so that activations normalise themselves (Klambauer et al. 2017)."""
    return ops.multiply(1.0507009873554805, elu(x, 1.6732632423543772))


def softplus(x: Any) -> Tensor:
    """log(1 + e**x)."""
    return ops.softplus(x)


def softsign(x: Any) -> Tensor:
    """x / (1 + |x|)."""
    return ops.divide(x, ops.add(1.0, ops.absolute(x)))


def softmax(x: Any, axis: int = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along an axis."""
    return ops.softmax(x, axis)


def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """log(softmax(x)) along an axis."""
    return ops.log_softmax(x, axis)


def sigmoid(x: Any) -> Tensor:
    """1 / (1 + e**-x)."""
    return ops.sigmoid(x)


def log_sigmoid(x: Any) -> Tensor:
    """log(sigmoid(x))."""
    return ops.log_sigmoid(x)


def tanh(x: Any) -> Tensor:
    """Hyperbolic tangent."""
    return ops.tanh(x)


def exponential(x: Any) -> Tensor:
    """e**x."""
    return ops.exp(x)


def gelu(x: Any, approximate: bool = False) -> Tensor:
    """x times the normal distribution's function at x (Hendrycks and Gimpel 2016)."""
    return ops.gelu(x, approximate)


def silu(x: Any) -> Tensor:
    """x * sigmoid(x)."""
    return ops.multiply(x, ops.sigmoid(x))


def mish(x: Any) -> Tensor:
    """x * tanh(softplus(x))."""
    return ops.multiply(x, ops.tanh(ops.softplus(x)))


def hard_sigmoid(x: Any) -> Tensor:
    """relu6(x + 3) / 6."""
    return ops.divide(relu6(ops.add(x, 3.0)), 6.0)


def hard_silu(x: Any) -> Tensor:
    """x * hard_sigmoid(x)."""
    return ops.multiply(x, hard_sigmoid(x))


def hard_tanh(x: Any) -> Tensor:
    """x held between -1 and 1."""
    return ops.clip(x, -1.0, 1.0)


def tanh_shrink(x: Any) -> Tensor:
    """x - tanh(x)."""
    return ops.subtract(x, ops.tanh(x))


def soft_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """x moved towards 0 by the threshold; 0 within it."""
    high = ops.where(ops.greater(x, threshold), ops.subtract(x, threshold), 0.0)
    return ops.where(ops.less(x, -threshold), ops.add(x, threshold), high)


def hard_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """x, but 0 within the threshold."""
    return ops.where(ops.greater(ops.absolute(x), threshold), x, 0.0)


def threshold(x: Any, threshold: float, default_value: float) -> Tensor:
    """x above the threshold, else the default value."""
    return ops.where(ops.greater(x, threshold), x, default_value)


def squareplus(x: Any, b: float = 4.0) -> Tensor:
    """(x + sqrt(x**2 + b)) / 2."""
    return ops.divide(ops.add(x, ops.sqrt(ops.add(ops.square(x), b))), 2.0)


def sparse_plus(x: Any) -> Tensor:
    """0 below -1, x above 1, ((x + 1) / 2)**2 between."""
    middle = ops.multiply(0.25, ops.square(ops.add(x, 1.0)))
    return ops.where(ops.less_equal(x, -1.0), 0.0, ops.where(ops.less(x, 1.0), middle, x))


def sparse_sigmoid(x: Any) -> Tensor:
    """0 below -1, 1 above 1, (x + 1) / 2 between."""
    return ops.clip(ops.multiply(0.5, ops.add(x, 1.0)), 0.0, 1.0)


_ALL: dict[str, Activation] = {
    f.__name__: f
    for f in (
        linear, relu, relu6, leaky_relu, elu, celu, selu, softplus, softsign, softmax, log_softmax,
        sigmoid, log_sigmoid, tanh, exponential, gelu, silu, mish, hard_sigmoid, hard_silu,
        hard_tanh, tanh_shrink, soft_shrink, hard_shrink, threshold, squareplus, sparse_plus,
        sparse_sigmoid,
    )
}  # fmt: skip
_ALL |= {"swish": silu, "hard_swish": hard_silu}
swish, hard_swish = silu, hard_silu


def get(identifier: object) -> Activation:
    """The activation of a name, function, or None (linear).

    Raises:
        ValueError: for an unknown name, with the nearest known one.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str) and identifier in _ALL:
        return _ALL[identifier]
    if callable(identifier):
        return identifier
    raise unknown_name("activation", identifier, _ALL)


def serialize(activation: Activation) -> str:
    """The activation's name."""
    return activation.__name__
