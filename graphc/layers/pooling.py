"""Pooling layers, as in `keras.layers`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphc import ops
from graphc.ops.convolution import spatial
from graphc.trace import Tensor

from .base import Layer


def _checked_rank(inputs: Any, rank: int) -> None:
    if inputs.ndim != rank + 2:
        raise ValueError(f"expected an input of {rank + 2} axes, got shape {list(inputs.shape)}")


class BasePooling(Layer):
    """A function of each window of the input.

    Args:
        pool_size: the window, one size or one an axis.
        strides: steps between windows; `pool_size` by default.
        padding: "valid" or "same".
        data_format: "channels_last" (default) or "channels_first".
    """

    rank: int
    pool: Callable[..., Tensor]

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        kind = type(self).__name__
        self.pool_size = spatial(pool_size, self.rank, f"{kind}: pool_size")
        self.strides = spatial(strides or self.pool_size, self.rank, f"{kind}: strides")
        self.padding = str(padding).lower()
        self.data_format = data_format or "channels_last"
        if self.padding not in ("valid", "same"):
            raise ValueError(f"{kind}: padding must be 'valid' or 'same', got {padding!r}")

    def call(self, inputs: Any) -> Tensor:
        _checked_rank(inputs, self.rank)
        function = type(self).pool
        return function(inputs, self.pool_size, self.strides, self.padding, self.data_format)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
        }


class MaxPooling1D(BasePooling):
    """The largest element of windows of (batch, steps, channels)."""

    rank, pool = 1, ops.max_pool


class MaxPooling2D(BasePooling):
    """The largest element of windows of (batch, height, width, channels)."""

    rank, pool = 2, ops.max_pool


class MaxPooling3D(BasePooling):
    """The largest element of windows of (batch, depth, height, width, channels)."""

    rank, pool = 3, ops.max_pool


class AveragePooling1D(BasePooling):
    """The mean of windows of (batch, steps, channels); padding does not count."""

    rank, pool = 1, ops.average_pool


class AveragePooling2D(BasePooling):
    """The mean of windows of (batch, height, width, channels); padding does not count."""

    rank, pool = 2, ops.average_pool


class AveragePooling3D(BasePooling):
    """The mean of windows of (batch, depth, height, width, channels); padding does not count."""

    rank, pool = 3, ops.average_pool


class BaseGlobalPooling(Layer):
    """A function of all places of each channel.

    Args:
        data_format: "channels_last" (default) or "channels_first".
        keepdims: whether the spatial axes stay, with size 1.
    """

    rank: int
    reduce: Callable[..., Tensor]

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format or "channels_last"
        self.keepdims = keepdims

    @property
    def _axes(self) -> tuple[int, ...]:
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.rank))

    def call(self, inputs: Any) -> Tensor:
        _checked_rank(inputs, self.rank)
        return type(self).reduce(inputs, self._axes, self.keepdims)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "data_format": self.data_format,
            "keepdims": self.keepdims,
        }


class GlobalMaxPooling1D(BaseGlobalPooling):
    """(batch, steps, channels) to (batch, channels)."""

    rank, reduce = 1, ops.max


class GlobalMaxPooling2D(BaseGlobalPooling):
    """(batch, height, width, channels) to (batch, channels)."""

    rank, reduce = 2, ops.max


class GlobalMaxPooling3D(BaseGlobalPooling):
    """(batch, depth, height, width, channels) to (batch, channels)."""

    rank, reduce = 3, ops.max


class GlobalAveragePooling1D(BaseGlobalPooling):
    """(batch, steps, channels) to (batch, channels); steps that a mask leaves out do not count."""

    rank, reduce = 1, ops.mean
    supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Tensor:
        if mask is None:
            return super().call(inputs)
        _checked_rank(inputs, self.rank)
        axis = self._axes[0]
        weights = ops.expand_dims(ops.cast(mask, inputs.dtype), 2 if axis == 1 else 1)
        total = ops.sum(ops.multiply(inputs, weights), axis, self.keepdims)
        return ops.divide(total, ops.sum(weights, axis, self.keepdims))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """There are no steps left to mask."""


class GlobalAveragePooling2D(BaseGlobalPooling):
    """(batch, height, width, channels) to (batch, channels)."""

    rank, reduce = 2, ops.mean


class GlobalAveragePooling3D(BaseGlobalPooling):
    """(batch, depth, height, width, channels) to (batch, channels)."""

    rank, reduce = 3, ops.mean


class BaseAdaptivePooling(Layer):
    """A function of so many windows that cover each spatial axis.

    Args:
        output_size: the number of windows, one or one an axis.
        data_format: "channels_last" (default) or "channels_first".
    """

    rank: int
    pool: Callable[..., Tensor]

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_size = spatial(output_size, self.rank, f"{type(self).__name__}: output_size")
        self.data_format = data_format or "channels_last"

    def call(self, inputs: Any) -> Tensor:
        _checked_rank(inputs, self.rank)
        return type(self).pool(inputs, self.output_size, self.data_format)

    def get_config(self) -> dict[str, Any]:
        own = {"output_size": self.output_size, "data_format": self.data_format}
        return {**super().get_config(), **own}


class AdaptiveAveragePooling1D(BaseAdaptivePooling):
    """The means of so many windows of (batch, steps, channels)."""

    rank, pool = 1, ops.adaptive_average_pool


class AdaptiveAveragePooling2D(BaseAdaptivePooling):
    """The means of so many windows of (batch, height, width, channels)."""

    rank, pool = 2, ops.adaptive_average_pool


class AdaptiveAveragePooling3D(BaseAdaptivePooling):
    """The means of so many windows of (batch, depth, height, width, channels)."""

    rank, pool = 3, ops.adaptive_average_pool


class AdaptiveMaxPooling1D(BaseAdaptivePooling):
    """The largest elements of so many windows of (batch, steps, channels)."""

    rank, pool = 1, ops.adaptive_max_pool


class AdaptiveMaxPooling2D(BaseAdaptivePooling):
    """The largest elements of so many windows of (batch, height, width, channels)."""

    rank, pool = 2, ops.adaptive_max_pool


class AdaptiveMaxPooling3D(BaseAdaptivePooling):
    """The largest elements of so many windows of (batch, depth, height, width, channels)."""

    rank, pool = 3, ops.adaptive_max_pool
