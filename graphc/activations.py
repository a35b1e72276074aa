"""Activation functions, by name and as functions, as in `keras.activations`.

Each takes and returns a tensor of any shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import ops
from .ops import (
    celu,
    elu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    swish,
    tanh,
    tanh_shrink,
    threshold,
)
from .registration import CustomObjectScope, export
from .serialization import serialize_keras_object
from .trace import Tensor
from .utils import resolve

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


def exponential(x: Any) -> Tensor:
    """e**x."""
    return ops.exp(x)


def gelu(x: Any, approximate: bool = False) -> Tensor:
    """x times the normal distribution's function at x (Hendrycks and Gimpel 2016)."""
    return ops.gelu(x, approximate)


def mish(x: Any) -> Tensor:
    """x * tanh(softplus(x))."""
    return ops.multiply(x, ops.tanh(ops.softplus(x)))


_ALL: dict[str, Activation] = {
    f.__name__: f
    for f in (
        linear, relu, relu6, leaky_relu, elu, celu, selu, softplus, softsign, softmax, log_softmax,
        sigmoid, log_sigmoid, tanh, exponential, gelu, silu, mish, hard_sigmoid, hard_silu,
        hard_tanh, tanh_shrink, soft_shrink, hard_shrink, threshold, squareplus, sparse_plus,
        sparse_sigmoid, glu, sparsemax,
    )
}  # fmt: skip
_ALL |= {"swish": swish, "hard_swish": hard_swish}


def get(identifier: object) -> Activation:
    """The activation of a name, function, configuration, or None (linear).

    Raises:
        ValueError: for an unknown name, with the nearest known one.
    """
    found: Activation | None = resolve("activation", identifier, _ALL, "keras.activations")
    return linear if found is None else found


def serialize(activation: Activation) -> str | dict[str, Any]:
    """The name of an activation of Keras's; the configuration of another function or object."""
    config: dict[str, Any] = serialize_keras_object(activation)
    name: str = config["config"]
    return name if _ALL.get(name) is activation else config


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Activation:
    """The activation of a name or configuration; `custom_objects` are a user's own, by name."""
    with CustomObjectScope(custom_objects):
        return get(config)


export("keras.activations", _ALL)
