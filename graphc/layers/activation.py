"""Activations as layers, as in `keras.layers`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from graphc import activations, initializers, ops
from graphc.trace import Tensor

from .base import Layer


class _Activation(Layer):
    """An elementwise function: the result has the input's shape."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True


class ReLU(_Activation):
    """max(x, 0), with a slope below a threshold and a ceiling.

    Args:
        max_value: the ceiling; None for none.
        negative_slope: below the threshold.
        threshold: 0 by default; results between it and 0 are 0.
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (max_value is not None and max_value < 0) or negative_slope < 0 or threshold < 0:
            raise ValueError("ReLU: max_value, negative_slope and threshold must not be negative")
        self.max_value = max_value
        self.negative_slope = negative_slope
        self.threshold = threshold

    def call(self, inputs: Any) -> Tensor:
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


class LeakyReLU(_Activation):
    """x, with a slope below 0.

    Args:
        negative_slope: 0.3 by default; `alpha` is Keras 2's name of it.
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        negative_slope = kwargs.pop("alpha", negative_slope)
        super().__init__(**kwargs)
        self.negative_slope = negative_slope

    def call(self, inputs: Any) -> Tensor:
        return ops.leaky_relu(inputs, self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negative_slope": self.negative_slope}


class PReLU(_Activation):
    """x, with a slope below 0 that is learned (He et al. 2015).

    Args:
        alpha_initializer: zeros by default.
        shared_axes: axes along which the slope is the same.

    Weights: alpha, of the input's shape without the batch, 1 along shared axes.
    """

    weight_options: ClassVar[dict[str, str]] = {"alpha": "alpha"}

    def __init__(
        self,
        alpha_initializer: object = "zeros",
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.shared_axes = [shared_axes] if isinstance(shared_axes, int) else shared_axes

    def build(self, input_shape: Any) -> None:
        shape = [
            1 if axis in (self.shared_axes or ()) else dim
            for axis, dim in enumerate(input_shape[1:], 1)
        ]
        if None in shape:
            raise ValueError(f"sizes of {input_shape} must be known where axes are not shared")
        self.alpha = self.add_weight(shape, self.alpha_initializer, name="alpha")

    def call(self, inputs: Any) -> Tensor:
        return ops.where(inputs > 0.0, inputs, self.alpha * inputs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "shared_axes": self.shared_axes,
        }


class ELU(_Activation):
    """x, and alpha (exp(x) - 1) below 0 (Clevert et al. 2016).

    Args:
        alpha: 1 by default.
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs: Any) -> Tensor:
        return ops.elu(inputs, self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


class Softmax(_Activation):
    """exp(x) / sum(exp(x)) over axes; where a mask hides, 0.

    Args:
        axis: the last by default, or several.
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any, mask: Any = None) -> Tensor:
        if mask is not None:
            inputs = ops.where(mask, inputs, -1e9)
        if isinstance(self.axis, int):
            result = ops.softmax(inputs, self.axis)
        else:
            total = ops.logsumexp(inputs, tuple(self.axis), keepdims=True)
            result = ops.exp(inputs - total)
        # Also where all is hidden, which would be even.
        return result if mask is None else ops.where(mask, result, 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
