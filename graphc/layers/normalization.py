"""Normalisation layers, as in `keras.layers`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from graphc import initializers, ops
from graphc.serialization import serialize_keras_object, with_objects
from graphc.trace import Tensor, Variable, current

from .base import Layer

EPSILON = 1e-7  # keras.config.epsilon()


class Normalizing(Layer):
    """What layers share that scale what they have normalised.

    Args:
        axis: whose elements have a scale and an offset of their own.
        epsilon: added to the variance.
        center, scale: whether there is an offset (beta), and a factor (gamma).
        beta_initializer, gamma_initializer: zeros and ones by default.
    """

    weight_options: ClassVar[dict[str, str]] = {"beta": "beta", "gamma": "gamma"}

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: object = "zeros",
        gamma_initializer: object = "ones",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.supports_masking = True
        self.gamma: Variable | None = None
        self.beta: Variable | None = None

    def axes(self, rank: int) -> list[int]:
        given = [self.axis] if isinstance(self.axis, int) else self.axis
        return sorted(axis % rank for axis in given)

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape[axis] for axis in self.axes(len(input_shape)))
        if None in shape:
            raise ValueError(f"axis {self.axis} of an input of shape {input_shape} must be known")
        if self.scale:
            self.gamma = self.add_weight(shape, self.gamma_initializer, name="gamma")
        if self.center:
            self.beta = self.add_weight(shape, self.beta_initializer, name="beta")

    def scaled(self, x: Tensor, mean: Tensor, variance: Tensor, shape: Sequence[Any]) -> Tensor:
        """(x - mean) / sqrt(variance + epsilon) * gamma + beta, in Keras's order of operations.

        Args:
            x: values.
            mean, variance: broadcast to x.
            shape: of gamma and beta, to broadcast to x.
        """
        factor = ops.rsqrt(ops.add(variance, self.epsilon))
        if self.gamma is not None:
            factor = ops.multiply(factor, ops.reshape(self.gamma, shape))
        offset = ops.negative(ops.multiply(mean, factor))
        if self.beta is not None:
            offset = ops.add(offset, ops.reshape(self.beta, shape))
        return ops.add(ops.multiply(x, factor), offset)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
        }


def _around(shape: Sequence[Any], axes: Sequence[int]) -> tuple[Any, ...]:
    """The shape with 1 in place of all other axes."""
    return tuple(d if a in axes else 1 for a, d in enumerate(shape))


class BatchNormalization(Normalizing):
    """Brings each channel to mean 0 and variance 1 over the batch (Ioffe and Szegedy 2015).

    In training the batch's statistics are used, and moving ones updated; else the moving ones,
    and always when the layer is not trainable.

    Args:
        axis: the channels'.
        momentum: of the moving statistics.
        epsilon, center, scale, beta_initializer, gamma_initializer: see `Normalizing`.
        moving_mean_initializer, moving_variance_initializer: zeros and ones by default.

    Weights: gamma, beta, moving_mean, moving_variance, each (channels,).
    """

    default_training: ClassVar[bool | None] = None
    only_defaults: ClassVar[dict[str, Any]] = {
        "synchronized": False, "renorm": False, "renorm_clipping": None, "renorm_momentum": 0.99,
    }  # fmt: skip

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: object = "zeros",
        gamma_initializer: object = "ones",
        moving_mean_initializer: object = "zeros",
        moving_variance_initializer: object = "ones",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            axis, epsilon, center, scale, beta_initializer, gamma_initializer, **kwargs
        )
        self.momentum = momentum
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        shape = (input_shape[self.axis],)
        self.moving_mean = self.add_weight(
            shape, self.moving_mean_initializer, trainable=False, name="moving_mean"
        )
        self.moving_variance = self.add_weight(
            shape, self.moving_variance_initializer, trainable=False, name="moving_variance"
        )

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Tensor:
        kept = self.axes(inputs.ndim)
        shape = _around(inputs.shape, kept)
        if training and self.trainable:
            axes = tuple(a for a in range(inputs.ndim) if a not in kept)
            mean, variance = _moments(inputs, axes, mask)
            for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
                new = ops.reshape(value, moving.shape)
                moved = moving * self.momentum + new * (1.0 - self.momentum)
                current().assign(moving, moved)
        else:
            mean = ops.reshape(self.moving_mean, shape)
            variance = ops.reshape(self.moving_variance, shape)
        return self.scaled(inputs, mean, variance, shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
        }


def _moments(x: Tensor, axes: tuple[int, ...], mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean and variance over axes (kept as 1), of what a mask does not hide."""
    if mask is None:
        return ops.moments(x, axes, keepdims=True)
    shown = ops.broadcast_to(ops.expand_dims(ops.cast(mask, x.dtype), -1), x.shape)
    count = ops.add(ops.sum(shown, axes, keepdims=True), EPSILON)
    mean = ops.divide(ops.sum(ops.multiply(x, shown), axes, keepdims=True), count)
    squares = ops.multiply(ops.square(ops.subtract(x, mean)), shown)
    return mean, ops.divide(ops.sum(squares, axes, keepdims=True), count)


class LayerNormalization(Normalizing):
    """Brings each sample to mean 0 and variance 1 over axes (Ba et al. 2016).

    Args:
        axis: the last by default, or several.
        epsilon, center, scale, beta_initializer, gamma_initializer: see `Normalizing`.

    Weights: gamma and beta, of the axes' sizes.
    """

    only_defaults: ClassVar[dict[str, Any]] = {"rms_scaling": False}

    def call(self, inputs: Any) -> Tensor:
        axes = tuple(self.axes(inputs.ndim))
        mean, variance = _moments(inputs, axes, None)
        return self.scaled(inputs, mean, variance, _around(inputs.shape, axes))


class GroupNormalization(Normalizing):
    """Brings groups of channels of each sample to mean 0 and variance 1 (Wu and He 2018).

    Args:
        groups: how many; -1 for one channel each (instance normalisation).
        axis: the channels'.
        epsilon, center, scale, beta_initializer, gamma_initializer: see `Normalizing`.

    Weights: gamma and beta, each (channels,).
    """

    def __init__(self, groups: int = 32, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(axis, **kwargs)
        if not isinstance(groups, int) or (groups < 1 and groups != -1):
            raise ValueError(
                f"GroupNormalization: groups must be a positive int or -1, got {groups!r}"
            )
        self.groups = groups

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        channels = input_shape[self.axis]
        if self.groups == -1:
            self.groups = channels
        if channels % self.groups:
            raise ValueError(f"{channels} channels cannot be cut into groups={self.groups}")

    def call(self, inputs: Any) -> Tensor:
        (axis,) = self.axes(inputs.ndim)
        shape = inputs.shape
        parts = (*shape[:axis], self.groups, shape[axis] // self.groups, *shape[axis + 1 :])
        x = ops.reshape(inputs, parts)
        others = tuple(a for a in range(1, x.ndim) if a != axis)
        mean, variance = _moments(x, others, None)
        scaled = self.scaled(x, mean, variance, _around(parts, (axis, axis + 1)))
        return ops.reshape(scaled, shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups}


class RMSNormalization(Layer):
    """Divides by the root of the mean square over axes (Zhang and Sennrich 2019).

    Args:
        axis: the last by default, or several.
        epsilon: added to the mean square.

    Weights: scale, of the axes' sizes.
    """

    def __init__(
        self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self.epsilon = epsilon

    def build(self, input_shape: Any) -> None:
        given = [self.axis] if isinstance(self.axis, int) else self.axis
        self.axes = sorted(axis % len(input_shape) for axis in given)
        self.scale = self.add_weight([input_shape[a] for a in self.axes], "ones", name="scale")

    def call(self, inputs: Any) -> Tensor:
        square = ops.mean(ops.square(inputs), tuple(self.axes), keepdims=True)
        normal = ops.multiply(inputs, ops.rsqrt(ops.add(square, self.epsilon)))
        return ops.multiply(normal, ops.reshape(self.scale, _around(inputs.shape, self.axes)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}


class UnitNormalization(Layer):
    """Brings each sample to length 1 over axes.

    Args:
        axis: the last by default, or several.
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self.supports_masking = True

    def call(self, inputs: Any) -> Tensor:
        axis = self.axis if isinstance(self.axis, int) else tuple(self.axis)
        return ops.normalize(inputs, axis, epsilon=1e-12)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class Normalization(Layer):
    """Brings features to mean 0 and variance 1 with statistics of a data set.

    Args:
        axis: the features', or several; None for one mean and variance of all.
        mean, variance: the statistics, if they are known; else `adapt` takes them from data.
        invert: whether to turn normalised features back.

    Weights, unless mean and variance are given: mean and variance, of the axes' sizes, and count.
    """

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (mean is None) != (variance is None):
            raise ValueError("Normalization: mean and variance must be given both, or none of them")
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        self.invert = invert
        self.given = (
            None
            if mean is None
            else (np.asarray(mean, np.float32), np.asarray(variance, np.float32))
        )
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        self.axes = tuple(sorted(axis % rank for axis in self.axis))
        shape = tuple(input_shape[a] for a in self.axes)
        if None in shape:
            raise ValueError(f"axes {self.axis} of an input of shape {input_shape} must be known")
        if self.given is None:
            self.mean = self.add_weight(shape, "zeros", trainable=False, name="mean")
            self.variance = self.add_weight(shape, "ones", trainable=False, name="variance")
            self.count = self.add_weight((), "zeros", "int32", False, "count")

    def adapt(self, data: Any) -> None:
        """Takes mean and variance from data, (samples, ...), or from batches of it.

        Raises:
            ValueError: when there is no data, or mean and variance were given.
        """
        if self.given is not None:
            raise ValueError(f"layer {self.name!r}: mean and variance were given; nothing to adapt")
        batches = [data] if hasattr(data, "shape") else list(data)
        if not batches:
            raise ValueError(f"layer {self.name!r}: adapt needs at least one batch")
        array = np.concatenate([np.asarray(b, np.float64) for b in batches])
        if not self.built:
            self.build((None, *array.shape[1:]))
            self.built = True
        others = tuple(a for a in range(array.ndim) if a not in self.axes)
        self.mean.assign(array.mean(others))
        self.variance.assign(array.var(others))

    def call(self, inputs: Any) -> Tensor:
        shape = _around(inputs.shape, self.axes)
        if self.given is None:
            mean, variance = (ops.reshape(w, shape) for w in (self.mean, self.variance))
        else:
            mean, variance = (
                ops.convert_to_tensor(np.reshape(v, [shape[a] for a in range(-v.ndim, 0)]))
                for v in self.given
            )
        deviation = ops.maximum(ops.sqrt(variance), EPSILON)
        if self.invert:
            return ops.add(mean, ops.multiply(inputs, deviation))
        return ops.divide(ops.subtract(inputs, mean), deviation)

    def get_config(self) -> dict[str, Any]:
        mean, variance = self.given or (None, None)
        return {
            **super().get_config(),
            "axis": self.axis,
            "mean": None if mean is None else mean.tolist(),
            "variance": None if variance is None else variance.tolist(),
            "invert": self.invert,
        }


class Rescaling(Layer):
    """inputs * scale + offset.

    Args:
        scale, offset: numbers, or arrays that broadcast to the input.
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale
        self.offset = offset
        self.supports_masking = True

    def call(self, inputs: Any) -> Tensor:
        scale, offset = (
            v if isinstance(v, (int, float)) else np.asarray(v, np.float32)
            for v in (self.scale, self.offset)
        )
        return ops.add(ops.multiply(ops.cast(inputs, "float32"), scale), offset)

    def get_config(self) -> dict[str, Any]:
        arrays = serialize_keras_object({"scale": self.scale, "offset": self.offset})
        return {**super().get_config(), **arrays}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**with_objects(config, "scale", "offset"))
